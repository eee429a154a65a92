from __future__ import annotations

import pytest

from router.scoring.kind import NAMES, OTHER
from router.scoring.prompt import Prompt
from router.scoring.scorer import Scorer

SCORER = Scorer()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write a Python function that merges two sorted arrays.", "code"),
        ("def f(x):\n    return x[::-1]\nassert f('ab') == ??", "code"),
        ("Fix this SQL query: SELECT name FROM users WHERE id = ;", "code"),
        (r"Find all real $x$ with $x^2 - 5x + 6 = 0$.", "maths"),
        ("Tom has 3 apples and buys 4 more each day. How many apples has he after 5 days?", "maths"),
        ("Which of the following is a noble gas?\nA. Oxygen\nB. Neon\nC. Nitrogen\nD. Chlorine", "knowledge"),
        ("Who wrote Don Quixote?", "knowledge"),
        ("Write a poem about the sea.", "writing"),
        ("Draft a cover letter for a nurse.", "writing"),
        ("Pretend you are a pirate and greet me.", "roleplay"),
        ("Translate into French: where is the station?", "translation"),
        ("Classify the sentiment of this review: the food was cold.", "classification"),
        ("Extract the dates from the following text as JSON.", "extraction"),
        ("Summarize the following article.", "summary"),
        ("Hello! How are you?", "chat"),
        ("Explain the difference between DNA and RNA.", "explanation"),
    ],
)
def test_kind_of_a_plain_request(text: str, kind: str) -> None:
    assert SCORER.assess(Prompt(text)).kind == kind


def test_no_words_are_of_no_kind() -> None:
    assert SCORER.assess(Prompt("")).kind == OTHER


def test_every_kind_is_one_of_the_names() -> None:
    assert len(set(NAMES)) == len(NAMES) == 13
