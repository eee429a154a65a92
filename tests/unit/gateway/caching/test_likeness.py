from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cache.calibration.table import table
from cache.semantic.settings import SemanticSettings
from gateway.caching.audits import Audits
from gateway.caching.likeness import Likeness
from gateway.caching.silent_log import SilentLog
from gateway.domain.embedding import Embedder, EmbedderUnavailableError
from gateway.domain.request import ModelRequest
from gateway.embedding import Opened
from gateway.exchange import Exchange
from gateway.experiments.allowance import Allowance, AllowedAsk
from gateway.upstreams.base import PlainReply, Reply
from tests.support.caching import WHOLE, House, Stream, answer, come_true, said
from tests.support.semantic import EGG, THE_EGG, embedder

NO_EGG = EGG.replace("should an egg", "should an egg not")

Ask = Callable[[ModelRequest, str], PlainReply]


class Home:
    """A house whose answers are found by meaning too.

    Attributes:
        asked: models that audits have asked, with the request.
        told: what they answer.
    """

    def __init__(self, *, audit_share: float = 0.0, fake: Embedder | None = None) -> None:
        self.house = House()
        self.asked: list[tuple[str, ModelRequest]] = []
        self.told: PlainReply | Exception = answer()
        self.allowance = Allowance(1.0, self.house.clock)
        self.audits = Audits(AllowedAsk(self._ask, lambda *_: 10, self.allowance, 10.0), self.allowance, None)
        self.fake = fake or embedder()
        self.likeness = Likeness(
            SemanticSettings(audit_share=audit_share, look_up_ms=5000.0),
            error_budget=0.02,
            exact=self.house.exact,
            open_embedder=self._open,
            open_log=SilentLog,
            audits=self.audits,
        )
        self.house.find_alike(self.likeness)

    async def ask(self, text: str, reply: Reply | None = None, **fields: Any) -> tuple[Exchange, bytes]:
        """Ask a question, and wait until its answer can be found."""
        cache = self.likeness.cache
        before = 0 if cache is None else cache.added + cache.not_added
        messages = fields.pop("messages", [{"role": "user", "content": text}])
        opened, sent = await self.house.ask(reply, messages=messages, **fields)
        if cache is not None and opened.hit is None and not cache.complaint and opened.miss_reason != "miss":
            await come_true(lambda: cache.added + cache.not_added > before)
        return opened, sent

    async def _open(self) -> Opened:
        return Opened(self.fake, table())

    async def _ask(self, request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
        self.asked.append((model, request))
        if isinstance(self.told, Exception):
            raise self.told
        return self.told, 5


@asynccontextmanager
async def opened_home(**options: Any) -> AsyncIterator[Home]:
    home = Home(**options)
    running = asyncio.create_task(home.likeness.run())
    try:
        await come_true(lambda: home.likeness.cache is not None and home.likeness.cache.is_warm)
        yield home
    finally:
        running.cancel()
        await asyncio.wait((running,))


@pytest.mark.parametrize("stream", [True, False])
async def test_a_question_that_means_the_same_gets_the_same_answer(*, stream: bool) -> None:
    async with opened_home() as home:
        await home.ask(EGG)
        opened, sent = await home.ask(THE_EGG, Stream(*WHOLE), stream=stream)

    assert opened.cached == "semantic"
    assert opened.hit is not None
    assert 0.9 < opened.hit.similarity < 1.0
    assert opened.cost_microusd == 0
    assert said(sent) == "Hello there."


async def test_a_streamed_answer_is_found_too() -> None:
    async with opened_home() as home:
        await home.ask(EGG, Stream(*WHOLE), stream=True)
        opened, _ = await home.ask(THE_EGG)

    assert opened.cached == "semantic"


async def test_a_question_that_a_rule_tells_apart_gets_an_answer_of_its_own() -> None:
    async with opened_home() as home:
        await home.ask(EGG)
        opened, sent = await home.ask(NO_EGG, answer("Not at all."))

    assert opened.hit is None
    assert said(sent) == "Not at all."


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "another"},
        {"temperature": 0.2},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": THE_EGG}]},
        {"tools": [{"type": "function", "function": {"name": "cook"}}]},
        {"response_format": {"type": "json_object"}},
        {"seed": 7},
    ],
)
async def test_only_the_last_message_may_differ(fields: dict[str, Any]) -> None:
    async with opened_home() as home:
        await home.ask(EGG)
        opened, _ = await home.ask(THE_EGG, **fields)

    assert opened.hit is None


async def test_requests_that_likeness_is_not_asked_about_are_counted() -> None:
    async with opened_home() as home:
        await home.ask(EGG, n=2)

    assert home.likeness.unlike == {"choices": 1}


async def test_an_answer_called_wrong_answers_no_question() -> None:
    async with opened_home() as home:
        await home.ask(EGG)
        hit = (await home.ask(THE_EGG))[0].hit
        assert hit is not None
        assert home.likeness.keeper is not None
        before = home.likeness.keeper.measured().wrong

        assert await home.house.stage.report_wrong(hit.entry_id)
        opened, _ = await home.ask(EGG)
        again, _ = await home.ask(THE_EGG)

    assert opened.hit is None
    assert again.cached == "barred"
    assert home.likeness.keeper.measured().wrong == before + 1


async def test_a_hit_that_is_checked_is_asked_for_again_and_the_same_answer_is_right() -> None:
    async with opened_home(audit_share=1.0) as home:
        await home.ask(EGG)
        home.told = answer("hello, THERE")
        await home.ask(THE_EGG, stream=True)
        await come_true(lambda: home.audits.outcomes)

    assert home.audits.outcomes == {"right": 1}
    assert [model for model, _ in home.asked] == ["m"]
    assert json.loads(home.asked[0][1].body)["stream"] is False
    assert home.allowance.spent_microusd == 5


async def test_a_hit_that_was_wrong_never_comes_again() -> None:
    async with opened_home(audit_share=1.0) as home:
        await home.ask(EGG)
        home.told = answer("Seven minutes, and not one more.")
        assert (await home.ask(THE_EGG))[0].cached == "semantic"
        await come_true(lambda: home.audits.outcomes)
        opened, _ = await home.ask(THE_EGG)

    assert home.audits.outcomes == {"wrong": 1}
    assert opened.cached in ("barred", "far")


async def test_a_check_that_cannot_be_made_says_nothing() -> None:
    async with opened_home(audit_share=1.0) as home:
        await home.ask(EGG)
        home.told = ValueError("no answer")
        await home.ask(THE_EGG)
        await come_true(lambda: home.audits.outcomes)
        opened, _ = await home.ask(THE_EGG)

    assert home.audits.outcomes["failed"] >= 1
    assert opened.cached == "semantic"


async def test_no_store_leaves_nothing_for_other_questions() -> None:
    async with opened_home() as home:
        await home.house.ask(messages=[{"role": "user", "content": EGG}], control=b"no-store")
        opened, _ = await home.ask(THE_EGG)

    assert opened.hit is None


async def test_no_cache_keeps_the_answer_for_other_questions() -> None:
    async with opened_home() as home:
        await home.ask(EGG, control=b"no-cache")
        opened, _ = await home.ask(THE_EGG)

    assert opened.cached == "semantic"


async def test_without_an_embedder_equal_requests_are_answered() -> None:
    home = Home()
    home._open = broken  # type: ignore[method-assign]
    home.likeness._open_embedder = broken
    running = asyncio.create_task(home.likeness.run())
    await come_true(lambda: home.likeness.complaint)

    await home.ask(EGG)
    opened, _ = await home.ask(EGG)
    running.cancel()
    await asyncio.wait((running,))

    assert opened.cached == "exact"


async def broken() -> Opened:
    raise EmbedderUnavailableError("there is no model")
