"""Watches requests and budgets, keeps the alerts, and has operators told of every change once."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

from gateway.alerts.book import AlertBook, AlertView, Moment
from gateway.alerts.budgets import BudgetWatch
from gateway.alerts.notification import Change, Notification
from gateway.alerts.rules import traffic_rules
from gateway.alerts.settings import AlertSettings
from gateway.alerts.traffic import TrafficWindow, duration_bounds
from gateway.alerts.webhook import Delivery, Webhook, open_webhook
from gateway.telemetry import Metric, counter, gauge
from policies.meters import Standing

log = logging.getLogger("tierway")

Budgets = Callable[[], Awaitable[Sequence[Standing]]]
"""Tells how the budgets stand."""

TRAFFIC_S: Final = 10.0
"""Seconds between two looks at the requests, and the length of a bucket of the window."""

BUDGETS_S: Final = 20.0
"""Seconds between two looks at the budgets."""

BUDGETS_PATIENCE_S: Final = 10.0
"""Seconds that a look at the budgets may take before it counts as failed."""

TEAMS: Final = 50
"""Teams that are watched apart from the rest, as many as have metrics of their own."""

TOLD_AT_ONCE: Final = 20
"""Changes in one notification: more would not be read."""

REMEMBERED: Final = 50
"""Notifications that are still shown."""

ALL: Final = "all"


class AlertWatch:
    """The alerts of a gateway.

    Args:
        settings: the thresholds.
        budgets: tells how budgets stand; None where there are none.
        webhook: where changes are sent; owned. None: they are logged and shown only.
        tick: seconds of a clock that never goes back.
        clock: seconds since the epoch.
        sleep: waits for seconds.

    Attributes:
        observe: takes in a `Record` of a request that has ended; cheap, and never raises.
        failures: looks that failed, by what was looked at.
    """

    def __init__(
        self,
        settings: AlertSettings,
        *,
        budgets: Budgets | None = None,
        webhook: Webhook | None = None,
        tick: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        p95_s = settings.p95_latency_s
        bounds = duration_bounds(*(() if p95_s is None else (p95_s, p95_s * settings.resolve_at)))
        self._traffic = TrafficWindow(settings.window_s, bounds, TEAMS)
        self._rules = traffic_rules(settings, bounds)
        self._book = AlertBook()
        self._budget_watch = BudgetWatch(settings)
        self._budgets = budgets
        self._webhook = webhook
        self._tick, self._clock, self._sleep = tick, clock, sleep
        self._deliveries: deque[Delivery] = deque(maxlen=REMEMBERED)
        self._ids = (f"{secrets.token_hex(6)}-{number}" for number in itertools.count(1))
        self.observe = self._traffic.observe
        self.failures = {"requests": 0, "budgets": 0}
        for rule in self._rules:
            self._book.take(rule.rule, ALL, ALL, rule.read(None), self._now(), is_shown=True)

    async def run(self) -> None:
        """Watch until cancelled. A look that fails is counted, and the next one comes all the same."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self.judge_requests, TRAFFIC_S, "requests"))
            if self._budgets is not None:
                group.create_task(self._repeat(self.judge_budgets, BUDGETS_S, "budgets"))
            if self._webhook is not None:
                group.create_task(self._webhook.run())

    async def close(self) -> None:
        """Close the webhook's connection; what waits to be sent is not."""
        if self._webhook is not None:
            await self._webhook.close()

    async def judge_requests(self) -> None:
        """Close a bucket of the window and judge the requests in it: all of them, and each team's."""
        now = self._now()
        self._traffic.turn(now.tick)
        teams = self._traffic.teams()
        for rule in self._rules:
            everyone = rule.read(self._traffic.overall)
            self._book.take(rule.rule, ALL, ALL, everyone, now, is_shown=True)
            for team, tally in teams.items():
                self._book.take(rule.rule, _identity(team), f"team '{team}'", rule.read(tally), now)
        self._book.end_missing([rule.rule for rule in self._rules], {_identity(team) for team in teams}, now)
        self._tell(now)

    async def judge_budgets(self) -> None:
        """Ask how the budgets stand and judge it. When that fails, alerts stay as they are.

        Raises:
            TimeoutError: there was no answer in time.
            Exception: whatever asking raises.
        """
        if self._budgets is None:
            return
        async with asyncio.timeout(BUDGETS_PATIENCE_S):
            standings = await self._budgets()
        now = self._now()
        await self._budget_watch.take(standings, self._book, now)
        self._tell(now)

    def forecast(self, meter_key: str) -> float | None:
        """Return in how many seconds a budget will be empty; None when it will not before its window ends."""
        return self._budget_watch.forecast(meter_key, self._tick())

    def forecasts(self) -> Mapping[str, float]:
        """Return the same for every budget of which there is something to say, by meter key."""
        return self._budget_watch.forecasts(self._tick())

    def views(self) -> list[AlertView]:
        """Return how the alerts stand: those over all requests, and others that are not at rest."""
        return self._book.views()

    def deliveries(self) -> list[Delivery]:
        """Return the last notifications, newest first."""
        return list(reversed(self._deliveries))

    @property
    def webhook_host(self) -> str | None:
        """The host that changes are sent to, None for none."""
        return None if self._webhook is None else self._webhook.host

    @property
    def overlooked(self) -> int:
        """How many budgets are not watched, and how often an alert was not followed, as there are too many."""
        return self._budget_watch.overlooked + self._book.overlooked

    def gauges(self) -> Iterator[Metric]:
        """Yield the metrics of alerts."""
        firing: dict[tuple[str, str], float] = {}
        for view in self._book.views():
            labels = (view.alert, view.subject)
            firing[labels] = max(firing.get(labels, 0.0), float(view.state == "firing"))
        family = gauge("tierway_alerts_firing", "Whether an alert fires.", "alert", {})
        for (alert, subject), value in firing.items():
            family.add_sample("tierway_alerts_firing", {"alert": alert, "subject": subject}, value)
        yield family
        sent = {} if self._webhook is None else {name: float(n) for name, n in self._webhook.outcomes.items()}
        yield counter("tierway_alert_notifications", "Notifications, by what became of them.", "result", sent)
        failed = {name: float(count) for name, count in self.failures.items()}
        yield counter("tierway_alert_failures", "Looks for alerts that failed.", "look", failed)

    async def _repeat(self, look: Callable[[], Awaitable[None]], every_s: float, name: str) -> None:
        is_failing = False
        while True:
            await self._sleep(every_s)
            try:
                await look()
                is_failing = False
            except Exception as error:  # noqa: BLE001  requests go on without alerts; counted
                self.failures[name] += 1
                if not is_failing:
                    log.warning("alerts: the look at %s failed: %s", name, type(error).__name__)
                is_failing = True

    def _tell(self, now: Moment) -> None:
        changes = self._book.changes()
        for change in changes:
            level = logging.WARNING if change.state == "firing" else logging.INFO
            log.log(level, "alert %s: %s", change.state, change.summary)
        for start in range(0, len(changes), TOLD_AT_ONCE):
            self._send(changes[start : start + TOLD_AT_ONCE], now)

    def _send(self, changes: tuple[Change, ...], now: Moment) -> None:
        delivery = Delivery(Notification(next(self._ids), now.at, changes))
        self._deliveries.append(delivery)
        if self._webhook is None:
            delivery.outcome = "unsent"
        else:
            self._webhook.offer(delivery)

    def _now(self) -> Moment:
        return Moment(self._tick(), self._clock())


def open_watch(settings: AlertSettings, budgets: Budgets | None = None) -> AlertWatch:
    """Return the alerts of a gateway, with the webhook its settings name.

    Raises:
        OSError: the system's certificates cannot be read.
    """
    webhook = None if settings.webhook is None else open_webhook(settings.webhook)
    return AlertWatch(settings, budgets=budgets, webhook=webhook)


def _identity(team: str) -> str:
    """Return what tells a team from `all`, whatever it is called."""
    return f"team:{team}"
