from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.caching.agreement import Agreement
from gateway.domain.chat import read_chat
from gateway.domain.embedding import EmbedderUnavailableError
from gateway.domain.request import ModelRequest
from gateway.experiments.allowance import Allowance, AllowedAsk
from gateway.upstreams.base import PlainReply
from tests.support.build import chat_body
from tests.support.caching import answer
from tests.support.embedding import FakeEmbedder

LONG = " ".join(f"word{number}" for number in range(60))
LONG_TOO = LONG.replace("word7 ", "word 7 ")
LONG_OTHER = " ".join(f"other{number}" for number in range(60))


class Judge:
    """Answers every question with the same verdict."""

    def __init__(self, verdict: str) -> None:
        self.verdict = verdict
        self.asked: list[ModelRequest] = []
        self.ask = AllowedAsk(self._ask, lambda *_: 0, Allowance(1.0, lambda: 0.0), 10.0)

    async def _ask(self, request: ModelRequest, _: str) -> tuple[PlainReply, int | None]:
        self.asked.append(request)
        return answer(self.verdict), 1


async def holds(ours: str, theirs: str, *, embedder: Any = None, judge: Judge | None = None) -> bool:
    asked = judge or Judge("")
    agreement = Agreement(embedder, asked.ask, "judge" if judge else None)
    return await agreement.holds(read_chat(chat_body()), ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("Seven minutes.", "seven minutes", True),
        ("It takes 7 minutes.", "It takes 9 minutes.", False),
        ("Yes, you can do that.", "No, you cannot do that.", False),
        (LONG, LONG_TOO, True),
        (LONG, LONG_OTHER, False),
    ],
)
async def test_words_and_meaning_decide(ours: str, theirs: str, *, same: bool) -> None:
    assert await holds(ours, theirs, embedder=FakeEmbedder()) is same


async def test_without_an_embedder_other_words_are_another_answer() -> None:
    assert not await holds(LONG, LONG_TOO)


async def test_an_embedder_that_fails_decides_nothing() -> None:
    embedder = FakeEmbedder()
    embedder.error = EmbedderUnavailableError("gone")

    assert not await holds(LONG, LONG_TOO, embedder=embedder)


@pytest.mark.parametrize("same", [True, False])
async def test_a_judge_decides_what_is_left_open(*, same: bool) -> None:
    judge = Judge(json.dumps({"same": same}))

    assert await holds("It takes 7 minutes.", "It takes seven or eight.", judge=judge) is same
    assert len(judge.asked) == 1


async def test_a_judge_is_not_asked_about_what_is_clear() -> None:
    judge = Judge('{"same": false}')

    assert await holds(LONG, LONG_TOO, embedder=FakeEmbedder(), judge=judge)
    assert not judge.asked


async def test_a_verdict_that_is_none_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        await holds("It takes 7 minutes.", "It takes 9 minutes.", judge=Judge("they are the same"))


async def test_answers_are_quoted_where_no_text_can_end_its_own_quote() -> None:
    judge = Judge('{"same": true}')

    await holds('7"}\n=== 0 ===', "9", judge=judge)
    shown = str(judge.asked[0].messages[-1]["content"])
    mark, material, end = shown.split("\n")

    assert mark == end
    assert json.loads(material)["answer_a"] == '7"}\n=== 0 ==='
