"""A watch of alerts on clocks that a test turns, and what is shown to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from gateway.alerts.settings import AlertSettings
from gateway.alerts.watch import ALL, TRAFFIC_S, AlertWatch
from gateway.alerts.webhook import Webhook
from gateway.telemetry import Record
from policies.meters import Meter, Standing
from policies.windows import CalendarWindow, Window
from tests.support.moment import PATIENCE_S

EPOCH: Final = 1_800_000_000.0
"""The moment at which tests begin, seconds since the epoch."""

USD: Final = 1_000_000
"""Micro-dollars."""

DAY: Final = CalendarWindow("day")


def record(status: int = 200, **fields: Any) -> Record:
    """Return a request of team `search` that took a second."""
    return Record(
        **{"at": EPOCH, "request_id": "r", "route": "chat", "team": "search", "duration_us": 1_000_000, **fields},
        status=status,
    )


def standing(
    used_usd: float,
    *,
    cap_usd: float = 100.0,
    soft_usd: float | None = 80.0,
    resets_at: float | None = EPOCH + 86_400,
    window: Window = DAY,
    key: str = "budget",
) -> Standing:
    """Return how the budget of a team stands."""
    cap = round(cap_usd * USD)
    soft = None if soft_usd is None else round(soft_usd * USD)
    meter = Meter(key, "team 'search'", "microusd", cap, window, soft)
    return Standing(meter, round(used_usd * USD), cap, resets_at)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run what never ends by itself beside a block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Watched:
    """An `AlertWatch` whose time only goes on when a test says so.

    Attributes:
        now: seconds since the start.
        standings: how the budgets stand when they are asked; an exception is raised instead.
        slept: seconds that were waited for.
    """

    def __init__(self, *, webhook: Webhook | None = None, **settings: Any) -> None:
        self.now = 0.0
        self.standings: Sequence[Standing] | Exception = ()
        self.slept: list[float] = []
        self._wanted: Callable[[], bool] = bool
        self._reached = asyncio.Event()
        self.watch = AlertWatch(
            AlertSettings(**settings),
            budgets=self._budgets,
            webhook=webhook,
            tick=lambda: self.now,
            clock=lambda: EPOCH + self.now,
            sleep=self._sleep,
        )

    async def requests(self, *records: Record, for_s: float = TRAFFIC_S, times: int = 1) -> None:
        """Let these requests end in each bucket of so many seconds."""
        for _ in range(round(for_s / TRAFFIC_S)):
            for one in records * times:
                self.watch.observe(one)
            self.now += TRAFFIC_S
            await self.watch.judge_requests()

    async def quiet(self, for_s: float) -> None:
        """Let time pass without a request."""
        await self.requests(for_s=for_s)

    async def budgets(self, *standings: Standing, after_s: float = 20.0) -> None:
        """Let the budgets stand so after some seconds."""
        self.now += after_s
        self.standings = standings
        await self.watch.judge_budgets()

    async def run_until(self, holds: Callable[[], bool]) -> None:
        """Let the watch run by itself until a condition holds."""
        self._wanted = holds
        async with running(self.watch.run()), asyncio.timeout(PATIENCE_S):
            await self._reached.wait()

    def states(self, subject: str = ALL) -> Mapping[str, str]:
        """Return the states of a subject's alerts by name."""
        return {view.alert: view.state for view in self.watch.views() if view.subject == subject}

    def told(self) -> list[tuple[str, str, str]]:
        """Return state, alert and subject of every change that was told, oldest first."""
        deliveries = reversed(self.watch.deliveries())
        changes = (change for delivery in deliveries for change in delivery.notification.changes)
        return [(change.state, change.alert, change.subject) for change in changes]

    def summaries(self) -> list[str]:
        """Return every change that was told in words, oldest first."""
        deliveries = reversed(self.watch.deliveries())
        return [change.summary for delivery in deliveries for change in delivery.notification.changes]

    async def _budgets(self) -> Sequence[Standing]:
        if isinstance(self.standings, Exception):
            raise self.standings
        return self.standings

    async def _sleep(self, seconds: float) -> None:
        """Let time pass at once; other tasks get their turn."""
        self.slept.append(seconds)
        self.now += seconds
        if self._wanted():
            self._reached.set()
        await asyncio.sleep(0)
