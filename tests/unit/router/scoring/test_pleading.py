from __future__ import annotations

import pytest

from router.scoring.calibration import Calibrator
from router.scoring.cuts import Mix
from router.scoring.pleading import strip
from router.scoring.prompt import Prompt
from router.scoring.scorer import Scorer
from tests.unit.router.scoring.pleas import FOR_LESS, FOR_MORE, cases

SCORER = Scorer()


def tier(text: str) -> int:
    thresholds = Calibrator(Mix(), SCORER.load().reference).thresholds()
    score = SCORER.assess(Prompt(text)).score
    return int(score >= thresholds.simple_below) + int(score >= thresholds.medium_below)


def test_pleas_hardly_ever_move_the_tier() -> None:
    found = cases()

    moved = [pleading for plain, pleading in found if tier(plain) != tier(pleading)]

    assert len(found) >= 200
    assert len(moved) <= 0.02 * len(found), moved


def test_pleas_move_no_score_by_much() -> None:
    shifts = [abs(SCORER.assess(Prompt(a)).score - SCORER.assess(Prompt(b)).score) for a, b in cases()]

    assert sum(shift > 0.02 for shift in shifts) <= 0.03 * len(shifts)


@pytest.mark.parametrize("plea", [*FOR_MORE[:12], *FOR_LESS[:8]])
def test_a_plea_alone_is_read_as_it_stands(plea: str) -> None:
    assert strip(plea.casefold()).strip()


@pytest.mark.parametrize(
    "text",
    [
        "which model of car has the most space?",
        "explain how linear regression models are fitted.",
        "what is the hardest mineral?",
        "compare the simple and the compound interest on 100 dollars.",
        "what does a network router do with a packet?",
    ],
)
def test_what_is_asked_is_left_alone(text: str) -> None:
    assert strip(text) == text


def test_politeness_is_cut() -> None:
    assert strip("please list three fruits. thank you very much!").strip() == "list three fruits."


def test_the_question_beside_a_plea_stays() -> None:
    assert strip("this is very complex, use the best model: what is 2+2?") == "what is 2+2?"


def test_a_text_of_many_clauses_that_may_be_pleas_is_about_the_matter() -> None:
    assert len(strip("hard, " * 600)) > 3000
