from __future__ import annotations

from cache.verifier.lexicon.contrasts import CONTRASTS
from cache.verifier.lexicon.languages import ENGLISH, OTHERS
from cache.verifier.lexicon.notation import groups, words
from cache.verifier.lexicon.opposites import OPPOSITES
from cache.verifier.lexicon.quantities import UNITS
from cache.verifier.lexicon.synonyms import SYNONYMS


def test_lists_are_words_and_groups_of_words() -> None:
    assert words(" a  b\nc ") == ["a", "b", "c"]
    assert groups("\na b|c d\n\ne f|\n") == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_opposites_hold_both_ways() -> None:
    for word, others in OPPOSITES.items():
        assert word not in others
        for other in others:
            assert word in OPPOSITES[other]


def test_there_are_several_hundred_pairs_of_opposites() -> None:
    assert sum(len(others) for others in OPPOSITES.values()) // 2 > 500


def test_what_stands_for_a_group_stands_for_itself() -> None:
    assert all(SYNONYMS[word] == word for word in set(SYNONYMS.values()))


def test_no_two_opposites_are_synonyms_of_each_other() -> None:
    wrong = [
        (word, other)
        for word, others in OPPOSITES.items()
        for other in others
        if SYNONYMS.get(word, word) == SYNONYMS.get(other, other)
    ]

    assert wrong == []


def test_a_place_and_its_people_are_one() -> None:
    assert CONTRASTS["indian"] == CONTRASTS["india"] == ("place", "india")


def test_languages_share_no_small_word_with_english() -> None:
    assert ENGLISH.isdisjoint(OTHERS)


def test_units_meet_under_one_name() -> None:
    assert UNITS["kilometres"] == UNITS["kms"] == "km"
