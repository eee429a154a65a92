"""Trials of a gateway before providers that fail: what they do in each phase, who asks, and what is read in the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from tests.support.admin_client import ADMIN_KEY, Operator
from tests.support.fault_account import Account, Bar
from tests.support.fault_callers import Ask, Caller, Outcome, ask_all
from tests.support.faulty_answers import Fault
from tests.support.faulty_upstream import WELL, FaultyUpstream, Mix
from tests.support.live import LiveGateway

KEY: Final = "key-of-the-faultless-0123456789"
POISONER: Final = "key-of-the-poisoner-0123456789"
"""Callers of the same gateway; the second one sends requests that every model fails on."""

TIER: Final = ("a", "b", "c")
NEXT: Final = ("d",)
"""The candidates of the tier that is asked, in their order, and of the next tier up."""

TIMEOUTS: Final = {"connect_s": 0.5, "first_byte_s": 0.5, "idle_s": 0.5, "total_s": 1.0}
"""Of upstreams, in seconds; short, as thousands of calls wait for them."""

NO_BREAKERS: Final = {"breaker": {"failures": 10_000}}
"""Settings of the router under which a model that often fails is not left alone: fewer calls fail while they count."""

_FLAP_S: Final = 0.3
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 20.0


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a scenario.

    Attributes:
        part: of the requests of the scenario.
        mixes: what models do, by name; the others are well.
        dead: models that nobody serves.
        flapping: models that are dead and alive in turn.
        poison: the fault of all models with the poisoner's requests.
        poisoned: the share of requests that are the poisoner's.
    """

    part: float = 1.0
    mixes: Mapping[str, Mix] = {}
    dead: Sequence[str] = ()
    flapping: Sequence[str] = ()
    poison: Fault | Literal[""] = ""
    poisoned: float = 0.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Phases before one gateway, one after another.

    Attributes:
        bar: what is promised.
        has_next: whether there is a tier above the one that is asked.
        comes_back: whether all models are well in the end, and must be used again.
        deadline_ms: the callers' own, beside which upstreams may be silent for as long as is usual; 0 for none.
        router: what the settings say of routing, besides.
    """

    name: str
    phases: Sequence[Phase]
    bar: Bar = "answered"
    has_next: bool = False
    comes_back: bool = False
    deadline_ms: int = 0
    router: Mapping[str, Any] = {}


def settings(
    upstream: FaultyUpstream, *, has_next: bool, timeouts: Mapping[str, float], router: Mapping[str, Any]
) -> dict[str, Any]:
    """Return settings with one tier on the models of the upstream, and two callers under a budget."""
    names = [*TIER, *(NEXT if has_next else ())]
    tiers = {"simple": TIER, **({"medium": NEXT} if has_next else {})}
    rules = {"budgets": [{"usd": 1000, "window": "total"}]}
    keys = {name: {"keys": [{"name": "k", "secret": key}], **rules} for name, key in _TEAMS.items()}
    return {
        "server": {"admin_key": ADMIN_KEY},
        "upstreams": {
            name: {
                "kind": "openai",
                "base_url": upstream.models[name].url,
                "features": ["chat"],
                "timeouts": dict(timeouts),
            }
            for name in names
        },
        "models": {name: {"upstream": name, "price": {"input": 1.0, "output": 2.0}} for name in names},
        "router": {"strategy": "fixed", "tiers": tiers, "default_tier": "simple", **router},
        "organisation": {"name": "acme", "teams": keys},
    }


class Trial:
    """One scenario before one gateway."""

    def __init__(
        self, gateway: LiveGateway, upstream: FaultyUpstream, scenario: Scenario, *, requests: int, concurrency: int
    ) -> None:
        self._gateway, self._upstream, self._scenario = gateway, upstream, scenario
        self._requests, self._concurrency = requests, concurrency
        self._numbers = itertools.count(1)
        self._operator = Operator(gateway.address)

    async def run(self) -> Account:
        """Run every phase and return what everybody says in the end."""
        account = Account(name=self._scenario.name, bar=self._scenario.bar)
        for phase in self._scenario.phases:
            async with self._arranged(phase):
                count = round(self._requests * phase.part)
                account.count(await ask_all(self._gateway.address, self._asks(phase, count), self._concurrency))
        await self._read(account)
        if self._scenario.comes_back:
            await self._come_back(account)
        return account

    @contextlib.asynccontextmanager
    async def _arranged(self, phase: Phase) -> AsyncIterator[None]:
        """Have the models do as they are to, and be well afterwards."""
        models = self._upstream.models
        for name, model in models.items():
            model.mix = phase.mixes.get(name, WELL)
            if name in phase.dead:
                await model.die()
        flapping = asyncio.create_task(self._flap(phase.flapping))
        try:
            yield
        finally:
            flapping.cancel()
            await asyncio.gather(flapping, return_exceptions=True)
            for model in models.values():
                model.mix = WELL
                await model.revive()

    async def _flap(self, names: Sequence[str]) -> None:
        while names:
            for name in names:
                await self._upstream.models[name].die()
                await asyncio.sleep(_FLAP_S)
                await self._upstream.models[name].revive()
                await asyncio.sleep(_FLAP_S)

    def _asks(self, phase: Phase, count: int) -> Iterator[Ask]:
        """Yield requests, half of them streams, the poisoner's spread evenly among them."""
        for number in itertools.islice(self._numbers, count):
            is_poison = int(number * phase.poisoned) > int((number - 1) * phase.poisoned)
            yield Ask(
                id=f"r{number}",
                key=POISONER if is_poison else KEY,
                is_stream=number % 4 >= 2,
                deadline_ms=self._scenario.deadline_ms,
                poison=phase.poison if is_poison else "",
            )

    async def _read(self, account: Account) -> None:
        """Read the log, the metrics and the provider's own counts, once all is quiet."""
        account.in_flight = await self._quiet()
        account.held = await self._operator.idle()
        metrics = await self._operator.metrics()
        account.busy = int(metrics["tierway_in_flight"]) - 1
        account.told_retries = _sum(metrics, 'tierway_router_retries_total{result="made"}')
        account.fallbacks = _sum(metrics, 'tierway_router_events_total{event="fallback"}')
        account.opened = _sum(metrics, "tierway_breaker_opened_total{")
        account.opened += _sum(metrics, "tierway_breaker_opened_for_one_total{")
        lines = [line for line in await self._logged(account.sent) if line["route"] == "chat"]
        account.logged = len(lines)
        account.retries = sum(line.get("retries", 0) for line in lines)
        account.most_retries = max((line.get("retries", 0) for line in lines), default=0)
        account.most_attempts = max((line.get("attempts", 0) for line in lines), default=0)
        models = self._upstream.models.values()
        for model in models:
            account.played.update(model.played)
        account.calls, account.again = sum(model.calls for model in models), self._upstream.asked_again()
        account.aborted, account.late = sum(model.aborted for model in models), sum(model.late for model in models)
        account.most_in_flight = max(model.most_in_flight for model in models)
        account.own_faults = self._gateway.faults()

    async def _logged(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many lines are in the log; return those that are."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            lines = [line for line in list(self._gateway.log) if line["route"] == "chat"]
            if len(lines) >= count or time.monotonic() > until:
                return lines
            await asyncio.sleep(_LOOK_S)

    async def _quiet(self) -> int:
        """Wait until no call is under way at the provider; return how many are in the end."""
        until = time.monotonic() + _PATIENCE_S
        while self._upstream.in_flight and time.monotonic() < until:  # noqa: ASYNC110  ends set no event
            await asyncio.sleep(_LOOK_S)
        return self._upstream.in_flight

    async def _come_back(self, account: Account) -> None:
        """Ask until somebody answers, and then find that everybody does."""
        again = Account(name="back again")
        address = self._gateway.address
        until = time.monotonic() + 2 * _PATIENCE_S
        while time.monotonic() < until and (await self._ask_once()).end != "whole":  # noqa: ASYNC110  nor do these
            await asyncio.sleep(_LOOK_S)
        again.count(await ask_all(address, self._asks(Phase(), 10 * self._concurrency), self._concurrency))
        if again.whole != again.sent:
            account.wrong.append(f"not back: {again.whole} of {again.sent} whole, {again.statuses} {again.wrong}")

    async def _ask_once(self) -> Outcome:
        caller = Caller(self._gateway.address)
        try:
            return await caller.ask(next(self._asks(Phase(), 1)))
        finally:
            caller.hang_up()


async def run(
    folder: Path,
    scenario: Scenario,
    *,
    requests: int,
    concurrency: int,
    timeouts: Mapping[str, float] = TIMEOUTS,
    router: Mapping[str, Any] = {},
) -> Account:
    """Run one scenario before a gateway of its own, in a folder of its own."""
    async with FaultyUpstream((*TIER, *NEXT)) as upstream:
        timeouts = {} if scenario.deadline_ms else timeouts
        router = {**router, **scenario.router}
        told = settings(upstream, has_next=scenario.has_next, timeouts=timeouts, router=router)
        gateway = await asyncio.to_thread(LiveGateway(folder, told).__enter__)
        try:
            return await Trial(gateway, upstream, scenario, requests=requests, concurrency=concurrency).run()
        finally:
            await asyncio.to_thread(gateway.stop)


def _sum(metrics: Mapping[str, float], start: str) -> int:
    """Return the sum of the samples whose names start so."""
    return int(sum(value for sample, value in metrics.items() if sample.startswith(start)))


_TEAMS: Final = {"well": KEY, "ill": POISONER}
