from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.money import Rate
from router.conversation import user_turns
from router.stickiness import Stickiness, TurnScores, fold, pays_to_move

THRESHOLDS = (0.4, 0.7)
EASY, MIDDLING, HARD = 0.1, 0.5, 0.9
DEAR = Rate(3_000_000, 15_000_000, 300_000, 3_750_000)
CHEAP = Rate(150_000, 600_000, 75_000, 150_000)
CLOSE = Rate(2_500_000, 10_000_000, 1_250_000, 2_500_000)


def always(position: int, tier: int, target: int) -> bool:
    return True


# ---------------------------------------------------------------- what a move costs


def test_a_move_pays_where_the_other_models_full_price_is_below_this_ones_cached_one() -> None:
    assert pays_to_move(10_000, 100, 200, DEAR, CHEAP)


def test_a_move_does_not_pay_where_the_lost_cache_is_dearer_than_what_is_saved() -> None:
    assert not pays_to_move(10_000, 100, 200, DEAR, CLOSE)


def test_a_move_pays_where_much_is_generated() -> None:
    assert pays_to_move(10_000, 100, 8000, DEAR, CLOSE)


def test_a_move_that_does_not_pay_at_once_may_pay_in_time() -> None:
    rates = Rate(1_500_000, 8_000_000, 150_000, 1_500_000)

    assert not pays_to_move(10_000, 200, 400, DEAR, rates, turns=1)
    assert pays_to_move(10_000, 200, 400, DEAR, rates, turns=10)


def test_below_the_shortest_cached_prefix_there_is_no_cache_to_lose() -> None:
    assert pays_to_move(1023, 0, 0, DEAR, CLOSE)
    assert not pays_to_move(1024, 0, 0, DEAR, CLOSE)


def test_a_write_to_the_cache_is_paid_where_it_has_a_price() -> None:
    stay = Rate(100, 100, 100, 100)

    assert pays_to_move(10_000, 0, 0, stay, Rate(99, 99, 99, 99))
    assert not pays_to_move(10_000, 0, 0, stay, Rate(99, 99, 99, 125))


def test_a_move_that_changes_nothing_does_not_pay() -> None:
    assert not pays_to_move(0, 100, 100, DEAR, DEAR)


tokens = st.integers(0, 10**6)
prices = st.integers(0, 10**8)
rates_of = st.builds(Rate, prices, prices, prices, prices)


@given(prefix=tokens, new=tokens, output=tokens, stay=rates_of, go=rates_of, turns=st.integers(1, 20))
def test_a_move_and_the_move_back_never_both_pay_without_a_cache(
    prefix: int, new: int, output: int, stay: Rate, go: Rate, turns: int
) -> None:
    prefix %= 1024

    there = pays_to_move(prefix, new, output, stay, go, turns)

    assert not (there and pays_to_move(prefix, new, output, go, stay, turns))


# ---------------------------------------------------------------- the tier of a conversation


@pytest.mark.parametrize(
    ("scores", "rank"),
    [
        ([EASY], 0),
        ([0.4], 1),
        ([0.69], 1),
        ([0.7], 2),
        ([EASY, MIDDLING], 1),
        ([EASY, MIDDLING, HARD], 2),
        ([EASY, 0.44], 0),
        ([EASY, 0.46], 1),
        ([EASY, 0.72], 1),
        ([MIDDLING, 0.72], 1),
        ([MIDDLING, 0.76], 2),
        ([HARD, EASY], 2),
        ([HARD, *[EASY] * 50], 2),
        ([EASY, HARD, EASY, MIDDLING], 2),
    ],
)
def test_a_conversation_rises_when_a_turn_clearly_hardens(scores: list[float], rank: int) -> None:
    assert fold(scores, THRESHOLDS) == rank


def test_a_conversation_without_turns_is_judged_by_nobody_and_goes_up() -> None:
    assert fold([], THRESHOLDS) == 2


@pytest.mark.parametrize("scores", [[float("nan")], [EASY, float("nan")]])
def test_a_score_that_is_no_number_goes_up(scores: list[float]) -> None:
    assert fold(scores, THRESHOLDS) == 2


def test_without_thresholds_there_is_one_tier() -> None:
    assert fold([HARD, EASY], ()) == 0


@pytest.mark.parametrize(
    ("scores", "rank"),
    [
        ([HARD, EASY], 2),
        ([HARD, EASY, EASY], 2),
        ([HARD, EASY, EASY, EASY], 0),
        ([HARD, EASY, MIDDLING, EASY], 1),
        ([HARD, EASY, EASY, HARD, EASY], 2),
        ([HARD, EASY, EASY, EASY, HARD], 2),
        ([HARD, EASY, EASY, MIDDLING, EASY, EASY], 1),
        ([HARD, EASY, EASY, MIDDLING, EASY, EASY, EASY], 0),
    ],
)
def test_only_a_run_of_easier_turns_lets_a_conversation_fall(scores: list[float], rank: int) -> None:
    assert fold(scores, THRESHOLDS, eases=always) == rank


def test_a_conversation_that_may_not_fall_at_one_turn_may_at_a_later_one() -> None:
    asked: list[tuple[int, int, int]] = []

    def later(position: int, tier: int, target: int) -> bool:
        asked.append((position, tier, target))
        return position == 4

    assert fold([HARD, MIDDLING, EASY, EASY, EASY], THRESHOLDS, eases=later) == 0
    assert asked == [(3, 2, 1), (4, 2, 0)]


scores_of = st.lists(st.floats(0, 1), min_size=1, max_size=30)
answers_of = st.lists(st.booleans(), min_size=31, max_size=31)


@given(scores=scores_of, new=st.floats(0, 1))
def test_a_new_turn_never_lowers_the_tier_by_itself(scores: list[float], new: float) -> None:
    assert fold([*scores, new], THRESHOLDS) >= fold(scores, THRESHOLDS)


@given(scores=scores_of, new=st.floats(0, 1), answers=answers_of)
def test_the_tier_falls_only_at_a_turn_at_which_it_pays(scores: list[float], new: float, answers: list[bool]) -> None:
    def eases(position: int, tier: int, target: int) -> bool:
        return answers[position]

    before, after = fold(scores, THRESHOLDS, eases=eases), fold([*scores, new], THRESHOLDS, eases=eases)

    assert after >= before or answers[len(scores)]


@given(scores=scores_of)
def test_the_tier_is_never_above_the_hardest_turn(scores: list[float]) -> None:
    assert fold(scores, THRESHOLDS, eases=always) <= fold([max(scores)], THRESHOLDS)


@given(scores=scores_of)
def test_a_wider_margin_never_raises_a_conversation_further(scores: list[float]) -> None:
    assert fold(scores, THRESHOLDS, margin=0.2) <= fold(scores, THRESHOLDS, margin=0.0)


# ---------------------------------------------------------------- with prices


def conversation(turns: int, system: str = "") -> ChatRequest:
    pairs = [
        message
        for number in range(turns)
        for message in ({"role": "user", "content": f"turn {number}"}, {"role": "assistant", "content": "Yes."})
    ]
    messages = [{"role": "system", "content": system}, *pairs[:-1]]
    return read_chat(json.dumps({"model": "m", "messages": messages}).encode())


def rank(scores: Sequence[float], *rates: Rate | None, system: str = "", **settings: int) -> int:
    request = conversation(len(scores), system)
    return Stickiness(THRESHOLDS, rates, **settings).rank(request, user_turns(request), scores)


LONG = "word" * 10_000


def test_a_follow_up_keeps_the_tier_of_a_hard_conversation() -> None:
    assert rank([HARD, EASY], CHEAP, CHEAP, DEAR) == 2


def test_a_conversation_falls_when_it_has_eased_and_that_pays() -> None:
    assert rank([HARD, EASY, EASY, EASY], CHEAP, CHEAP, DEAR, system=LONG) == 0


def test_a_conversation_does_not_fall_where_the_lost_cache_is_dearer() -> None:
    eased = [HARD, EASY, EASY, EASY]

    assert rank(eased, CLOSE, CLOSE, DEAR, system=LONG) == 2
    assert rank(eased, CLOSE, CLOSE, DEAR) == 0


def test_many_turns_ahead_may_pay_for_the_lost_cache() -> None:
    eased = [HARD, EASY, EASY, EASY]
    rates = Rate(1_500_000, 8_000_000, 150_000, 1_500_000)

    assert rank(eased, rates, rates, DEAR, system=LONG) == 2
    assert rank(eased, rates, rates, DEAR, system=LONG, turns_ahead=50) == 0


@pytest.mark.parametrize("rates", [(None, CHEAP, DEAR), (CHEAP, CHEAP, None)])
def test_nothing_falls_from_or_to_a_tier_whose_prices_are_unknown(rates: tuple[Rate | None, ...]) -> None:
    assert rank([HARD, EASY, EASY, EASY], *rates) == 2


def test_a_fall_stands_once_the_conversation_goes_on() -> None:
    eased = [HARD, EASY, EASY, EASY]

    assert rank([*eased, EASY], CHEAP, CHEAP, DEAR, system=LONG) == 0
    assert rank([*eased, EASY, HARD], CHEAP, CHEAP, DEAR, system=LONG) == 2


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=8), other=st.lists(st.floats(0, 1), min_size=1, max_size=8)
)
def test_a_transcript_that_is_sent_again_gets_the_tier_it_had(scores: list[float], other: list[float]) -> None:
    sticky = Stickiness(THRESHOLDS, (CHEAP, CHEAP, DEAR))
    mine, theirs = conversation(len(scores), LONG), conversation(len(other), LONG)
    before = sticky.rank(mine, user_turns(mine), scores)

    sticky.rank(theirs, user_turns(theirs), other)

    assert sticky.rank(mine, user_turns(mine), scores) == before


def test_each_tier_needs_its_rates() -> None:
    with pytest.raises(ValueError, match="threshold"):
        Stickiness(THRESHOLDS, (CHEAP, DEAR))


# ---------------------------------------------------------------- remembered scores


class Scorer:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: str) -> float:
        self.asked.append(text)
        return len(text) / 10


def test_a_turn_is_scored_once() -> None:
    scores, scorer = TurnScores(), Scorer()

    found = [scores.get_or(text, scorer) for text in ("one", "three", "one", "three")]

    assert found == [0.3, 0.5, 0.3, 0.5]
    assert scorer.asked == ["one", "three"]


def test_a_score_of_nothing_is_remembered_too() -> None:
    scores, scorer = TurnScores(), Scorer()

    assert [scores.get_or("", scorer), scores.get_or("", scorer)] == [0, 0]
    assert scorer.asked == [""]


def test_the_score_that_was_longest_unused_is_forgotten_first() -> None:
    scores, scorer = TurnScores(2), Scorer()

    for text in ("a", "b", "a", "c", "a", "b"):
        scores.get_or(text, scorer)

    assert len(scores) == 2
    assert scorer.asked == ["a", "b", "c", "b"]


def test_a_failure_to_score_is_raised_and_not_remembered() -> None:
    scores = TurnScores()

    with pytest.raises(ZeroDivisionError):
        scores.get_or("a", lambda text: 1 / 0)

    assert len(scores) == 0


def test_long_texts_that_differ_at_an_end_or_in_length_have_scores_of_their_own() -> None:
    scores, scorer = TurnScores(), Scorer()
    long = "a" * 10_000

    for text in (long, long + "a", "b" + long[1:], long[:-1] + "b", "a" + long[1:]):
        scores.get_or(text, scorer)

    assert len(scorer.asked) == 4
