from __future__ import annotations

import pytest

from router.scoring.reading import HEAD, TAIL, clip, read


def words(text: str) -> list[int]:
    return read(text, len(text)).words.tolist()  # type: ignore[no-any-return]


def test_case_does_not_count() -> None:
    assert words("What IS the Capital?") == words("what is the capital?")


def test_marks_between_words_do_not_count() -> None:
    assert words("what, is -- the capital") == words("what is the capital")


def test_a_word_has_the_same_hash_wherever_it_stands() -> None:
    found = words("alpha beta gamma alpha")

    assert found[0] == found[3]
    assert len(set(found)) == 3


def test_numbers_of_as_many_digits_are_the_same_word() -> None:
    assert words("add 12") == words("add 99")
    assert words("add 12") != words("add 123")


def test_runs_of_blanks_are_one_blank() -> None:
    assert read("a  b\t\tc", 7).letters.tobytes() == read("a b c", 5).letters.tobytes()


@pytest.mark.parametrize("text", ["a\n\n\nb", "a \n b", "a\r\nb", "a  \n\n  b"])
def test_blanks_with_a_line_feed_are_one_line_feed(text: str) -> None:
    assert read(text, len(text)).letters.tobytes().strip() == b"a\nb"


def test_left_out_blanks_do_not_count_as_length() -> None:
    spaced, plain = "a b c" + " " * 50 + "d", "a b c d"

    assert read(spaced, len(spaced)).characters == read(plain, len(plain)).characters


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\x00\x01", "\ud800", "é", "!"])
def test_odd_texts_are_read(text: str) -> None:
    assert len(words(text)) <= 1


def test_a_long_text_is_cut_to_its_head_and_tail() -> None:
    text = "h" * HEAD + "m" * 1_000_000 + "t" * TAIL

    clipped = clip(text)

    assert clipped == "h" * HEAD + "\n" + "t" * TAIL


def test_a_short_text_is_not_cut() -> None:
    text = "x" * (HEAD + TAIL)

    assert clip(text) is text
