from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from router.scoring.artefact import load
from router.scoring.calibration import Calibrator
from router.scoring.cuts import Mix
from router.scoring.model import Model
from router.scoring.prompt import Prompt
from router.scoring.scorer import Assessment, Scorer, assess
from router.training.ordinary import ORDINARY
from tests.unit.router.scoring.pleas import BASES

SCORER = Scorer()
TEXTS = (*ORDINARY, *BASES)

ODD = [
    "",
    " ",
    "\n\n\n",
    "?",
    "\x00\x01\x02" * 500,
    "\ud800 half",
    "\udfff" * 5000,
    "a" * 100_000,
    "9" * 100_000,
    "🙂" * 5000,
    "İ" * 3000,
    "ß" * 4001,
    "ΐ" * 4000,
    "\nA. \nB. \nC. ",
    "A. ",
    "\\" * 4000,
    "$" * 4000,
    "hard, " * 3000,
    "model " * 3000,
    "ignore routing " * 1000,
    "这个问题非常复杂" * 1000,
    "".join(chr(point) for point in range(0x10000)),
]


def score(text: str) -> float:
    return SCORER.assess(Prompt(text)).score


def tier(text: str) -> int:
    thresholds = Calibrator(Mix(), SCORER.load().reference).thresholds()
    found = score(text)
    return int(found >= thresholds.simple_below) + int(found >= thresholds.medium_below)


@pytest.mark.parametrize("text", ODD)
def test_any_text_has_an_assessment(text: str) -> None:
    found = SCORER.assess(Prompt(text, system=text))

    assert 0 <= found.score <= 1
    assert 0 <= found.medium_fails <= found.simple_fails <= 1
    assert 0 <= found.confidence <= 1
    assert 1 <= len(found.reasons) <= 5


@pytest.mark.parametrize("text", ["", "\x00\x01\x02" * 500, "a" * 5000, "zxq vbn wrt ploi kjhg mnbv cxza"])
def test_what_cannot_be_judged_goes_up(text: str) -> None:
    found = SCORER.assess(Prompt(text))

    assert found.confidence < 0.5
    assert found.score > score("Write a short birthday message for my colleague Anna.") + 0.1


def test_a_language_that_was_never_labelled_goes_up() -> None:
    assert score("Wie heißt die Hauptstadt von Peru?") > score("What is the capital of Peru?")


def test_hard_tasks_score_above_light_ones() -> None:
    light = [score(ORDINARY[at]) for at in (0, 2, 3, 5, 10, 13)]
    hard = [
        score(r"Let $f(x) = x^3 - 3x + 1$. Find the sum of the squares of its real roots, and prove your result."),
        score("Five people sit in a row. Anna is not next to Bob, Carl sits left of Dora. Who must sit in the middle?"),
        score(r"How many integers $n < 1000$ are such that $n^2 + 1$ is divisible by 5 but $n$ is not prime?"),
    ]

    assert min(hard) > max(light)


def test_more_asked_at_once_scores_higher() -> None:
    short = "Tom has 3 apples and buys 4 more. How many apples has he?"
    long = (
        "Tom has 3 apples and buys 4 more each day, except on Sundays, when he buys twice as many as on Saturday. His "
        "sister takes half of what is left at the end of each week, but never more than 10. If he starts on a Monday, "
        "how many apples has he after 3 weeks?"
    )

    assert score(long) > score(short)


def test_more_options_score_higher() -> None:
    stem = "Which of these is a noble gas?\nA. Oxygen\nB. Neon\nC. Nitrogen\nD. Chlorine"

    assert score(stem + "\nE. Iron\nF. Zinc\nG. Lead\nH. Gold\nI. Tin\nJ. Mercury") > score(stem)


def edits() -> dict[str, Callable[[str], str]]:
    return {
        "upper case": str.upper,
        "lower case": str.lower,
        "blank lines": lambda text: "\n\n" + text.replace("\n", "\n\n") + "\n\n",
        "blanks at the ends of lines": lambda text: text.replace("\n", "  \n") + "  ",
        "please before": lambda text: f"Please {text}",
        "please after": lambda text: f"{text} Please.",
        "thanks": lambda text: f"{text}\nThank you very much!",
        "double blanks": lambda text: text.replace(" ", "  "),
    }


@pytest.mark.parametrize("name", list(edits()))
def test_harmless_edits_hardly_ever_move_the_tier(name: str) -> None:
    edit = edits()[name]

    moved = [text for text in TEXTS if tier(edit(text)) != tier(text)]

    assert len(moved) <= 0.05 * len(TEXTS), moved


def test_a_fixed_system_prompt_hardly_counts() -> None:
    for text in TEXTS:
        with_system = SCORER.assess(Prompt(text, system="You are a helpful assistant. " * 40)).score
        assert abs(with_system - score(text)) < 0.01


@pytest.mark.parametrize(
    "around",
    [{"tools": 3}, {"turns": 9}, {"context_characters": 40_000}, {"attachments": 1}, {"has_schema": True}],
)
def test_what_surrounds_a_prompt_moves_it_up_a_little(around: dict[str, int]) -> None:
    plain = Prompt("List the invoices of March.")

    found = SCORER.assess(msgspec.structs.replace(plain, **around)).score

    assert 0 < found - SCORER.assess(plain).score < 0.1


def test_only_the_ends_of_a_long_text_are_read() -> None:
    text = "Summarize this. " + "words and more words. " * 20_000 + "Be brief."
    other = "Summarize this. " + "words and more words. " * 10_000 + "x^2 = $y$ " * 22_000

    assert len(text) > 400_000
    assert score(text) == pytest.approx(score(text[:300_000] + "§" * 1000 + text[301_000:]))
    assert score(other) != pytest.approx(score(text))


def test_the_kind_is_the_first_reason() -> None:
    found = SCORER.assess(Prompt(r"Solve $x^2 = 2$."))

    assert found.reasons[0] == found.kind == "maths"
    assert "formulas" in found.reasons


def test_the_same_prompt_has_the_same_assessment() -> None:
    assert Scorer().assess(Prompt(TEXTS[0])) == SCORER.assess(Prompt(TEXTS[0]))


def test_threads_may_share_a_scorer() -> None:
    shared = Scorer()
    found: list[Assessment] = []

    threads = [threading.Thread(target=lambda: found.append(shared.assess(Prompt("Explain rain.")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [SCORER.assess(Prompt("Explain rain."))] * 8


def test_without_an_artefact_kind_and_demand_still_tell() -> None:
    bare = Model(None)

    assert assess(bare, Prompt(r"Prove that $\sqrt{3}$ is irrational.")).score > assess(bare, Prompt("hello")).score


def test_loading_returns_what_is_shipped() -> None:
    assert np.array_equal(Scorer().load().reference, load().reference)
