"""The gateway killed again and again under load: whole answers are settled, others charged once or given back.

`make soak-kill` runs it: fifty kills at random moments on each store, under plain requests and streams, and then asks
the ledger, the budget and the provider whether they say the same.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import uvloop

from tests.soak.budget_race import state_of
from tests.support.admin_client import ADMIN_KEY, Operator
from tests.support.live import LiveGateway
from tests.support.metered_upstream import CEILING, MAX_TOKENS, PRICE, MeteredUpstream, Outcome, Plan, ask

KEY: Final = "key-of-the-killed-0123456789"
TEAM: Final = "soak"
LEASE_S: Final = 2
CALLERS: Final = 48
CONCURRENCY: Final = 200
BUDGET_USD: Final = 1000

OnExpiry = Literal["charge", "release"]

_PATIENCE_S: Final = 30.0
_LOOK_S: Final = 0.1


class Account(msgspec.Struct, kw_only=True):
    """What everybody says when all is over. Amounts are in micro-dollars.

    Attributes:
        kills: how often the gateway was killed.
        sent: requests in all.
        answers: of them, those whose last byte was received.
        missing, differing, twice: of these, those without a record, with another cost than the provider said, and with
            more than one record.
        unfinished: requests without a whole answer.
        recorded: the ledger's sum.
        expired: records of calls whose lease ended.
        misjudged: of them, those not charged as the rule says.
        used: what the budget counts.
        held: calls that are counted as in flight.
        locked_out: callers that were refused in the end.
    """

    kills: int = 0
    sent: int = 0
    answers: int = 0
    missing: int = 0
    differing: int = 0
    twice: int = 0
    unfinished: int = 0
    recorded: int = 0
    expired: int = 0
    misjudged: int = 0
    used: int = 0
    held: int = 0
    locked_out: int = 0

    def faults(self) -> list[str]:
        """Return what should not be."""
        checks = {
            f"{self.missing} answers have no record": not self.missing,
            f"{self.differing} answers were charged otherwise than the provider said": not self.differing,
            f"{self.twice} requests were charged twice": not self.twice,
            f"{self.expired} calls expired of {self.unfinished} unfinished": self.expired <= self.unfinished,
            f"{self.misjudged} expired calls were not charged by the rule": not self.misjudged,
            f"{self.used} is counted, {self.recorded} recorded": self.used == self.recorded,
            f"{self.held} calls are still counted as in flight": not self.held,
            f"{self.locked_out} callers are locked out": not self.locked_out,
            "nothing was answered, or nothing cut off": self.answers > 0 and self.expired > 0,
        }
        return [what for what, holds in checks.items() if not holds]


def settings(upstream_url: str, state: str, on_expiry: OnExpiry) -> dict[str, Any]:
    """Return settings with one key, whose leases are short."""
    limits = {"concurrency": CONCURRENCY, "requests_per_day": 10_000_000}
    rules = {"budgets": [{"usd": BUDGET_USD, "window": "total"}], "limits": limits}
    return {
        "state": state,
        "server": {"admin_key": ADMIN_KEY},
        "upstreams": {"metered": {"kind": "openai", "base_url": upstream_url, "max_connections": 2000}},
        "models": {"metered": {"upstream": "metered", "price": PRICE}},
        "router": {"breaker": None, "retries": {"attempts": 0}},
        "organisation": {
            "name": "acme",
            "holds": {"lease_s": LEASE_S, "on_expiry": on_expiry},
            "teams": {TEAM: {"keys": [{"name": "k", "secret": KEY, **rules}]}},
        },
        "telemetry": {"log": {"format": "none"}},
    }


class Load:
    """Callers that ask again and again while there is a gateway.

    Attributes:
        outcomes: what became of every request.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.outcomes: list[Outcome] = []
        self._count = 0

    async def run(self, address: tuple[str, int], is_over: asyncio.Event) -> None:
        """Ask until it is over; requests under way get to their end, whatever that is."""
        await asyncio.gather(*(self._call(address, is_over) for _ in range(CALLERS)))

    async def burst(self, address: tuple[str, int], count: int) -> list[Outcome]:
        """Ask so often at once."""
        found = await asyncio.gather(*(ask(address, KEY, self._plan()) for _ in range(count)))
        self.outcomes += found
        return found

    async def _call(self, address: tuple[str, int], is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            outcome = await ask(address, KEY, self._plan())
            self.outcomes.append(outcome)
            await asyncio.sleep(0 if outcome.status == 200 else 0.02)

    def _plan(self) -> Plan:
        self._count += 1
        chance = self._chance
        return Plan(
            id=f"q{self._count}",
            stream=chance.random() < 0.5,
            prompt_tokens=chance.randint(1, 100),
            completion_tokens=chance.randint(1, MAX_TOKENS),
            leave=chance.choice(("",) * 9 + ("before",)),
            answer_s=chance.random() * 0.15,
            gap_s=chance.random() * 0.004,
            leave_s=chance.random() * 0.1,
        )


class Killing:
    """Kills a gateway under load, starts it again on the same state, and reads the books in the end."""

    def __init__(self, folder: Path, state: str, upstream: MeteredUpstream, on_expiry: OnExpiry) -> None:
        self._folder, self._upstream, self._on_expiry = folder, upstream, on_expiry
        self._settings = settings(upstream.url, state, on_expiry)
        self._chance = random.Random(7)  # noqa: S311  reproducible, nothing secret
        self._load = Load(self._chance)

    async def run(self, kills: int) -> Account:
        """Kill so often, and return what everybody says then."""
        for _ in range(kills):
            await self._round()
        gateway = await self._start()
        try:
            return await self._account(gateway, kills)
        finally:
            await asyncio.to_thread(gateway.stop)

    async def _start(self) -> LiveGateway:
        return await asyncio.to_thread(LiveGateway(self._folder, self._settings).__enter__)

    async def _round(self) -> None:
        gateway, is_over = await self._start(), asyncio.Event()
        load = asyncio.create_task(self._load.run(gateway.address, is_over))
        await asyncio.sleep(self._chance.uniform(0.1, 1.5))
        gateway.process.kill()
        is_over.set()
        await load
        await asyncio.to_thread(gateway.wait_for_exit)

    async def _account(self, gateway: LiveGateway, kills: int) -> Account:
        operator, account = Operator(gateway.address), Account(kills=kills)
        account.held = await self._leases_over(operator)
        burst = await self._load.burst(gateway.address, CONCURRENCY)
        account.locked_out = sum(one.status not in (0, 200) for one in burst)
        await operator.idle()
        account.used = await self._agreed(operator)
        self._compare(account, await operator.records())
        return account

    async def _agreed(self, operator: Operator) -> int:
        """Wait until budget and ledger agree: what a killed process ended is listed by another some seconds later."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            used, sums = await operator.used(f"{TEAM}/k"), await operator.recorded()
            if used == sums["cost_microusd"] or time.monotonic() > until:
                return used
            await asyncio.sleep(_LOOK_S)

    async def _leases_over(self, operator: Operator) -> int:
        """Wait until the leases that a killed process left have ended; return how many have not."""
        until = time.monotonic() + LEASE_S + _PATIENCE_S
        while True:
            held = await operator.used(f"{TEAM}/k", "concurrency")
            if not held or time.monotonic() > until:
                return held
            await asyncio.sleep(_LOOK_S)

    def _compare(self, account: Account, records: list[dict[str, Any]]) -> None:
        outcomes, said = self._load.outcomes, self._upstream.said
        answered = {one["request_id"]: one["cost_microusd"] for one in records if one["kind"] == "answer"}
        times = Counter(one["request_id"] for one in records)
        whole = [one.plan.id for one in outcomes if one.is_answer]
        expired = [one["cost_microusd"] for one in records if one["kind"] == "expired"]
        due = CEILING if self._on_expiry == "charge" else 0
        account.sent, account.answers = len(outcomes), len(whole)
        account.unfinished = sum(not one.is_whole for one in outcomes)
        account.missing = sum(name not in answered for name in whole)
        account.differing = sum(name in answered and answered[name] != said[name] for name in whole)
        account.twice = sum(count > 1 for count in times.values())
        account.expired, account.misjudged = len(expired), sum(cost != due for cost in expired)
        account.recorded = sum(one["cost_microusd"] for one in records)


async def kill_under_load(folder: Path, state: str, *, kills: int, on_expiry: OnExpiry = "charge") -> Account:
    """Kill a gateway so often while it is asked, and return what everybody says in the end."""
    async with MeteredUpstream() as upstream:
        return await Killing(folder, state, upstream, on_expiry).run(kills)


def main() -> int:
    """Kill on each store; exit 1 when anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="on each store (default: 50)")
    parser.add_argument("--store", choices=("sqlite", "redis"), help="one store only")
    parser.add_argument("--on-expiry", choices=("charge", "release"), default="charge")
    arguments = parser.parse_args()
    failed = False
    for store in (arguments.store,) if arguments.store else ("sqlite", "redis"):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, state_of(store) as state:
            run = kill_under_load(Path(folder), state, kills=arguments.kills, on_expiry=arguments.on_expiry)
            account = uvloop.run(run)
        print(f"soak: {store}: {account}, {time.monotonic() - began:.0f} s")
        for fault in account.faults():
            failed = True
            print(f"soak: {store}: {fault}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
