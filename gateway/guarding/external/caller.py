"""Asks one guard: within its time, or not at all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from msgspec import structs

from gateway.domain.errors import GatewayError
from gateway.guarding.external.base import (
    Heard,
    NonsenseError,
    Outcome,
    Placed,
    Question,
    Result,
    Side,
    Tongue,
    mildest,
)
from gateway.guarding.external.memo import Memo
from gateway.guarding.external.pause import Pause
from gateway.upstreams.base import RelayCall
from gateway.upstreams.remote import Remote
from gateway.upstreams.transport import Patience
from policies.sanitise.external.settings import AnyExternalGuard
from policies.sanitise.settings import Action

log = logging.getLogger("tierway")

MOST_ANSWER_BYTES: Final = 1 << 20
"""Of an answer; a finding takes about a hundred."""

_HEADERS: Final = ((b"content-type", b"application/json"), (b"accept", b"application/json"))


class GuardCaller:
    """One guard and how it fares.

    Args:
        settings: of the guard.
        tongue: how it is spoken to.
        server: where it is; owned.
        clock: seconds, of any origin.

    Attributes:
        results: how often what came of asking it.
        known: how often it had spoken of all texts before, and was not asked.
        seconds: that callers waited for it, together.
        pause: whether it is left alone.
    """

    def __init__(
        self, settings: AnyExternalGuard, tongue: Tongue, server: Remote, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self._tongue, self._server, self._clock = tongue, server, clock
        self._action: Action = settings.action
        self._budget_s = settings.timeout_ms / 1000
        self.pause = Pause()
        self._memo = Memo()
        self.known = 0
        self.results: dict[Result, int] = dict.fromkeys(("clear", "found", "failed", "late", "resting"), 0)
        self.seconds = 0.0

    def sees(self, side: Side) -> bool:
        """Tell whether it is shown prompts, or answers."""
        return self.settings.direction in (side, "both")

    @property
    def is_resting(self) -> bool:
        """Whether it is left alone for the moment."""
        return self.pause.is_on(self._clock())

    async def ask(self, question: Question) -> Outcome:
        """Ask about texts; whatever is wrong with the guard is an outcome, never an exception."""
        known = [self._memo.get(told.text) for told in question.texts] if self._tongue.is_by_text else []
        new = [index for index, found in enumerate(known) if found is None]
        before = tuple(Placed(index, one) for index, found in enumerate(known) for one in found or ())
        if not self._tongue.is_by_text:
            return await self._ask(question, range(len(question.texts)), before)
        if not new:
            self.known += 1
            return Outcome(self.name, *self._judge(before, None))
        return await self._ask(structs.replace(question, texts=[question.texts[index] for index in new]), new, before)

    async def _ask(self, question: Question, indices: Sequence[int], before: tuple[Placed, ...]) -> Outcome:
        """Ask about texts.

        Args:
            indices: of the texts among all.
            before: what is known of the others.
        """
        began = self._clock()
        if not self.pause.admits(began):
            return self._unheard("resting", 0.0)
        try:
            async with asyncio.timeout(self._budget_s):
                heard = self._tongue.hear(question, await self._answers(question))
        except TimeoutError:
            return self._failed("late", "its time was over", began)
        except GatewayError as error:
            return self._failed("failed", error.code or "error", began)
        except NonsenseError:
            return self._failed("failed", "its answer cannot be used", began)
        except Exception as error:  # noqa: BLE001  a guard's fault is the guard's outcome; counted, logged, and closed where it must be
            return self._failed("failed", type(error).__name__, began)
        self.pause.note_success()
        self._remember(question, heard)
        told = (*before, *(Placed(indices[one.index], one.finding) for one in heard.found))
        judged = self._judge(told, heard.action)
        took_s = self._clock() - began
        self.results[judged[0]] += 1
        self.seconds += took_s
        return Outcome(self.name, *judged, microseconds=int(took_s * 1_000_000))

    def _remember(self, question: Question, heard: Heard) -> None:
        if not self._tongue.is_by_text:
            return
        for index, told in enumerate(question.texts):
            self._memo.put(told.text, tuple(one.finding for one in heard.found if one.index == index))

    async def close(self) -> None:
        """Let go of connections."""
        await self._server.close()

    def _judge(
        self, told: tuple[Placed, ...], action: Action | None
    ) -> tuple[Literal["clear", "found"], Action, tuple[Placed, ...]]:
        found = tuple(one for one in told if one.finding.score >= self.settings.threshold)
        if not found:
            return "clear", "ignore", ()
        return "found", self._action if action is None else mildest(action, self._action), found

    async def _answers(self, question: Question) -> list[bytes]:
        bodies = self._tongue.ask(question)
        if len(bodies) == 1:
            return [await self._post(bodies[0])]
        try:
            async with asyncio.TaskGroup() as group:
                posts = [group.create_task(self._post(body)) for body in bodies]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return [post.result() for post in posts]

    async def _post(self, body: bytes) -> bytes:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        patience = Patience(task)
        try:
            reply = await self._server.relay(
                RelayCall(
                    method="POST",
                    path=self._tongue.path,
                    query=self._tongue.query,
                    headers=_HEADERS,
                    body=body,
                    patience=patience,
                )
            )
            try:
                if not 200 <= reply.status < 300:
                    raise NonsenseError
                answer = b""
                async for chunk in reply.chunks():
                    answer += chunk
                    if len(answer) > MOST_ANSWER_BYTES:
                        raise NonsenseError
                return answer
            finally:
                await reply.close()
        finally:
            patience.end()

    def _failed(self, result: Result, reason: str, began: float) -> Outcome:
        now = self._clock()
        known = self.pause.begun
        self.pause.note_failure(now)
        if known == 0 and self.pause.begun:
            way = "go on unseen" if self.settings.on_failure == "open" else "are refused"
            log.warning("guard %s does not answer (%s): it is left alone, and requests %s", self.name, reason, way)
        return self._unheard(result, now - began)

    def _unheard(self, result: Result, took_s: float) -> Outcome:
        self.results[result] += 1
        self.seconds += took_s
        closed = self.settings.on_failure == "closed"
        return Outcome(self.name, result, microseconds=int(took_s * 1_000_000), closed=closed)
