from __future__ import annotations

from router.scoring.lexicon import GROUPS, PAIRS, WORDS
from router.scoring.reading import read
from router.scoring.rows import runs_of
from router.scoring.vocabulary import Vocabulary

VOCABULARY = Vocabulary()


def weight(text: str, group: str) -> float:
    entries = VOCABULARY.find(runs_of(read(text, len(text)).words))
    return VOCABULARY.total(set(entries.tolist()))[GROUPS.index(group)]


def test_words_of_a_group_are_found_in_any_case() -> None:
    assert weight("PYTHON", "code") == 1


def test_a_pair_counts_twice() -> None:
    assert weight("stack trace", "code") == 2


def test_a_word_may_be_of_several_groups() -> None:
    assert weight("prove", "maths") == weight("prove", "advanced") == 1


def test_unknown_words_are_of_no_group() -> None:
    assert VOCABULARY.total(VOCABULARY.find(runs_of(read("zyxw", 4).words)).tolist()) == [0.0] * len(GROUPS)


def test_every_entry_of_the_lexicon_is_one_word_or_a_pair() -> None:
    words = [word for group in WORDS.values() for word in group.split()]
    pairs = [pair.strip() for group in PAIRS.values() for pair in group.split(",")]

    assert [word for word in words if len(read(word, 0).words) != 1] == []
    assert [pair for pair in pairs if len(read(pair, 0).words) != 2] == []


def test_every_group_has_words() -> None:
    assert set(WORDS) == set(GROUPS)
    assert set(PAIRS) <= set(GROUPS)
