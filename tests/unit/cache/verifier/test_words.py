from __future__ import annotations

from cache.verifier.words import opposites_of, word


def test_grammar_is_no_content() -> None:
    assert not word("the").content
    assert not word("not").content
    assert not word("where").content
    assert word("volcano").content


def test_figures_and_dates_are_no_content() -> None:
    assert not word("seven").content
    assert not word("october").content
    assert word("march").content


def test_opposites_are_known_both_ways_and_in_every_form() -> None:
    assert "disabl" in opposites_of(word("enabling").stem)
    assert "enabl" in opposites_of(word("disables").stem)
    assert opposites_of("volcano") == frozenset()


def test_a_word_is_never_its_own_opposite() -> None:
    assert "free" not in opposites_of("free")


def test_a_very_long_word_is_cut() -> None:
    assert len(word("x" * 5000).stem) <= 64


def test_words_that_say_nothing_rare_are_told_apart() -> None:
    assert not word("volcano").rare
    assert word("seven").rare
    assert word("upload").rare
