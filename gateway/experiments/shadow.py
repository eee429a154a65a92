"""Asks another model what callers asked, once they have their answers, and has the two compared."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from fnmatch import fnmatchcase
from typing import Any, Final, get_args

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.chat import ChatRequest
from gateway.domain.money import PER_MILLION
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.responses import ResponsesRequest
from gateway.experiments.allowance import Allowance, AllowedAsk, AllowedCall, Ask, Ceiling, OverAllowanceError
from gateway.experiments.answer_text import answer_text
from gateway.experiments.chance import chance
from gateway.experiments.comparison import Answered, Comparison, Result
from gateway.experiments.judge import Judge, Judgement
from gateway.experiments.settings import ShadowSettings
from gateway.telemetry import Metric, counter, gauge

AT_ONCE: Final = 8
"""Calls under way at once: few beside those of callers, so that a slow shadow takes no connections from them."""

MOST_WAITING: Final = 256
MOST_WAITING_BYTES: Final = 8 * 2**20
"""Requests that wait, and bytes of those and of the ones being compared; beyond either a request is dropped. Decoded, a
request takes several times its bytes."""

MOST_BODY_BYTES: Final = 2**20
"""A longer request is not sampled: one would cost more than a hundred others."""

PATIENCE_S: Final = 300.0
"""Seconds that the shadow, and then its judge, may take."""

_SHAPES: Final[frozenset[Shape]] = frozenset({"chat", "responses", "messages"})


class Shadow:
    """Compares one model with those that answer.

    `wants` and `offer` are on the path of requests: they wait for nothing and raise nothing.

    Args:
        settings: who is asked, how often and within what.
        ask: asks a model; see `Ask`.
        ceiling: what a call can cost at most.
        judge: compares the answers; None to compare cost, time and failures only.
        clock: seconds since the epoch, for the day's allowance.
        tick: seconds of a clock that never goes back.

    Attributes:
        comparisons: the newest ones, oldest first.
        outcomes: requests of the sample by what became of them: a `Result`, `over_allowance` (the day's was spent) or
            `dropped` (too many waited).
    """

    def __init__(
        self,
        settings: ShadowSettings,
        *,
        ask: Ask,
        ceiling: Ceiling,
        judge: Judge | None = None,
        clock: Callable[[], float] = time.time,
        tick: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = settings
        self.allowance = Allowance(settings.usd_per_day, clock)
        self.comparisons: deque[Comparison] = deque(maxlen=settings.keep)
        self.outcomes = dict.fromkeys((*get_args(Result), "over_allowance", "dropped"), 0)
        self._ask = AllowedAsk(ask, ceiling, self.allowance, PATIENCE_S)
        self._judge = judge
        self._asked = (settings.model,) if judge is None else (settings.model, judge.model)
        self._tick = tick
        self._purpose = f"shadow:{settings.model}"
        self._waiting: asyncio.Queue[Answered] = asyncio.Queue(MOST_WAITING)
        self._bytes = 0

    def wants(self, chance_id: str, caller: Caller, request: ModelRequest, routed_model: str) -> bool:
        """Tell whether a request is in the sample, which the same id always is or is not; 1 us where it is not.

        Args:
            chance_id: as `Answered.chance_id`.
            caller: who asks. What they say goes to no model that they may not use, nor to such a judge.
            request: what was asked.
            routed_model: who answers it.
        """
        return (
            chance(self._purpose, chance_id) < self.settings.share
            and may_be_asked_again(request)
            and routed_model != self.settings.model
            and all(map(caller.may_use, self._asked))
            and any(fnmatchcase(routed_model, pattern) for pattern in self.settings.models)
        )

    def offer(self, answered: Answered) -> None:
        """Take a request whose answer has gone out, if it is in the sample and there is room for it."""
        if not self.wants(answered.chance_id, answered.caller, answered.request, answered.routed_model):
            return
        size = len(answered.request.body)
        if self._waiting.full() or self._bytes + size > MOST_WAITING_BYTES:
            self.outcomes["dropped"] += 1
            return
        self._bytes += size
        self._waiting.put_nowait(answered)

    async def run(self) -> None:
        """Compare until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    async def compare(self, answered: Answered) -> None:
        """Ask the shadow, and the judge about its answer. A failure is counted, and says nothing of the request."""
        started = self._tick()
        try:
            call = await self._ask(plain(answered.request), self.settings.model)
        except OverAllowanceError:
            self.outcomes["over_allowance"] += 1
        except Exception:  # noqa: BLE001  nobody waits for this answer: counted
            self._keep(_comparison(answered, "failed"))
        else:
            elapsed_s = self._tick() - started
            judgement = await self._judge_both(answered, call)
            self._keep(_comparison(answered, "unjudged", call, elapsed_s, judgement))

    async def _judge_both(self, answered: Answered, call: AllowedCall) -> Judgement | None:
        """Return what the judge says; None without a judge, a text of both, or an answer of the judge."""
        if self._judge is None or answered.text is None:
            return None
        messages = answered.request.messages
        try:
            text = answer_text(call.reply.body, answered.request.shape)
            if text is None:
                return None
            return await self._judge.compare(self._ask, answered.chance_id, messages, text, answered.text)
        except Exception:  # noqa: BLE001  as in `compare`; a spent allowance too leaves the pair unjudged
            return None

    def _keep(self, comparison: Comparison) -> None:
        self.outcomes[comparison.result] += 1
        self.comparisons.append(comparison)

    async def _work(self) -> None:
        while True:
            answered = await self._waiting.get()
            try:
                await self.compare(answered)
            finally:
                self._bytes -= len(answered.request.body)


def shadow_gauges(shadows: Sequence[Shadow]) -> Iterator[Metric]:
    """Yield what became of sampled requests and what was spent on them, by shadow."""
    results = {
        (shadow.settings.model, name): float(count) for shadow in shadows for name, count in shadow.outcomes.items()
    }
    yield counter("tierway_shadow_requests", "Requests of a shadow's sample.", ("model", "result"), results)
    spent = {shadow.settings.model: shadow.allowance.spent_microusd / PER_MILLION for shadow in shadows}
    yield gauge("tierway_shadow_spent_usd", "What a shadow and its judge have cost today (UTC).", "model", spent)


def may_be_asked_again(request: ModelRequest) -> bool:
    """Tell whether a second model can be asked the same, and leaves no traces by answering.

    All of the prompt must be in the request, and neither a stored answer nor a run in the background come of it. Tools
    are no hindrance: a model names them, and nobody calls them for a shadow.
    """
    if request.shape not in _SHAPES or len(request.body) > MOST_BODY_BYTES or not request.is_whole:
        return False
    if isinstance(request, ResponsesRequest) and request.is_stored:
        return False
    return request.document.get("store") is not True and request.document.get("background") is not True


def plain(request: ModelRequest) -> ModelRequest:
    """Return a request whose answer comes in one piece."""
    if not request.stream:
        return request
    edits: dict[str, Any] = {"stream": False}
    if "stream_options" in request.document:
        edits["stream_options"] = None
    whole = copy(request)
    whole.body = request.edited({name: msgspec.json.encode(value) for name, value in edits.items()})
    whole.document = {**request.document, **edits}
    whole.stream = False
    if isinstance(whole, ChatRequest):
        whole.wants_usage = False
    return whole


def _comparison(
    answered: Answered,
    result: Result,
    call: AllowedCall | None = None,
    elapsed_s: float | None = None,
    judgement: Judgement | None = None,
) -> Comparison:
    return Comparison(
        routed_model=answered.routed_model,
        result=result if judgement is None else judgement.outcome,
        cost_microusd=answered.cost_microusd,
        elapsed_s=answered.elapsed_s,
        shadow_cost_microusd=None if call is None else call.cost_microusd,
        shadow_elapsed_s=elapsed_s,
        first_wins=0 if judgement is None else judgement.first_wins,
        decided=0 if judgement is None else judgement.decided,
    )
