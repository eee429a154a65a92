from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.money import Rate
from router.base import Choice, Question
from router.learned import Learned
from router.scoring.cuts import Thresholds
from router.scoring.prompt import Prompt
from router.scoring.scorer import Assessment
from router.settings import RouterSettings
from router.strategies.by_complexity import ByComplexity
from tests.support.build import chat_request

TIERS = {"simple": ("s",), "medium": ("m",), "complex": ("c",)}
RATES = {"s": Rate(1, 2, 1, 1), "m": Rate(10, 20, 5, 10), "c": Rate(100, 200, 10, 100)}


class Scored:
    """Scores a prompt by the number in it; see `Traffic`."""

    def __init__(self) -> None:
        self.scorer = self
        self.assessed: list[str] = []

    def assess(self, prompt: Prompt) -> Assessment:
        self.assessed.append(prompt.text)
        score = float(prompt.text.split()[0])
        return Assessment(
            kind="maths",
            score=score,
            alone=score,
            simple_fails=score,
            medium_fails=score / 2,
            confidence=0.75,
            reasons=("maths", "long"),
            language="en",
        )

    def score(self, prompt: Prompt) -> tuple[Assessment, Thresholds]:
        return self.assess(prompt), Thresholds(0.4, 0.7)


def strategy(**settings: Any) -> tuple[ByComplexity, Scored]:
    wanted = RouterSettings(tiers=TIERS, **settings)  # type: ignore[arg-type]
    learned, scored = Learned(wanted, RATES), Scored()
    learned.traffic = scored  # type: ignore[assignment]
    return ByComplexity(wanted, learned, RATES), scored


def conversation(*said: str) -> ChatRequest:
    messages: list[dict[str, str]] = []
    for text in said:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "ok"}]
    return read_chat(msgspec.json.encode({"model": "auto", "messages": messages[:-1]}))


def tiers(asked: Sequence[str], **settings: Any) -> str:
    return strategy(**settings)[0].choose(Question(conversation(*asked))).tier


@pytest.mark.parametrize(
    ("score", "tier"),
    [("0.1", "simple"), ("0.39", "simple"), ("0.4", "medium"), ("0.69", "medium"), ("0.7", "complex")],
)
def test_the_score_decides_between_the_thresholds(score: str, tier: str) -> None:
    made, _ = strategy()

    choice = made.choose(Question(chat_request(score)))

    assert choice.tier == tier
    assert (choice.confidence, choice.reason) == (0.75, "maths+long")


def test_a_choice_says_what_it_was_made_by() -> None:
    made, _ = strategy()

    grounds = made.choose(Question(chat_request("0.5"))).grounds

    assert grounds is not None
    assert (grounds.kind, grounds.language, grounds.score, grounds.simple_fails) == ("maths", "en", 0.5, 0.5)
    assert (grounds.simple_below, grounds.medium_below, grounds.turns) == (0.4, 0.7, 1)


def test_a_conversation_keeps_its_tier_when_its_newest_turn_is_easy() -> None:
    made, _ = strategy()

    choice = made.choose(Question(conversation("0.9 prove it", "0.1 thanks")))

    assert (choice.tier, choice.reason) == ("complex", "conversation")


def test_a_conversation_goes_up_when_it_clearly_hardens() -> None:
    assert tiers(["0.1 hello", "0.9 prove it"]) == "complex"
    assert tiers(["0.1 hello", "0.41 on the threshold"]) == "simple"


def test_every_turn_counts_for_itself_where_policy_says_so() -> None:
    assert tiers(["0.9 prove it", "0.1 thanks"], sticky=False) == "simple"


def test_a_turn_is_scored_once_however_often_it_is_sent() -> None:
    made, scored = strategy()
    said = [f"0.{n} turn" for n in range(1, 9)]

    for length in range(1, 9):
        made.choose(Question(conversation(*said[:length])))

    # The first one twice: whether a request of one message begins a conversation shows only later.
    assert len(scored.assessed) == 8 + 1


def test_a_scorer_that_fails_is_the_routers_to_count() -> None:
    made, _ = strategy()

    with pytest.raises(ValueError, match="could not convert"):
        made.choose(Question(chat_request("no number")))


def test_the_shipped_scorer_sends_hard_prompts_further_up_than_easy_ones() -> None:
    settings = RouterSettings(tiers=TIERS)  # type: ignore[arg-type]
    made = ByComplexity(settings, Learned(settings, RATES), RATES)
    easy = made.choose(Question(chat_request("What is the capital of France?")))
    hard = made.choose(
        Question(
            chat_request(
                "Prove that every bounded monotone sequence of real numbers converges, and derive from it that a "
                "continuous function on a closed interval attains its maximum. Show each step."
            )
        )
    )

    assert isinstance(easy, Choice)
    assert easy.tier == "simple"
    assert hard.tier in ("medium", "complex")
