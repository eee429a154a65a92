"""Providers that fail in every way under load: each caller gets a whole answer while one candidate is well.

`make soak-faults` runs it: ten thousand requests a scenario, half of them streams, 32 at once, before a gateway of its
own with a tier of three candidates. Streams that the provider breaks off after some of an answer was sent are counted
apart; they must end with an error event.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import uvloop

from tests.support.fault_account import Account
from tests.support.fault_trials import NO_BREAKERS, TIER, Phase, Scenario, run
from tests.support.faulty_answers import FAULTS, Fault
from tests.support.faulty_upstream import Mix

OFTEN: Final = 0.3
"""The share of calls with a fault where some go well: too few to open a breaker once it has seen others go well."""

AT_TIMES: Final = 0.3
"""The share of calls with a fault where no candidate is well all the time: one request in 37 meets three of them."""

WARM_UP: Final = Phase(part=0.05)
"""What breakers see first where they are to stay closed: calls that go well."""

_REST: Final = 1 - WARM_UP.part

_ONE_BY_ONE: Final = tuple(fault for fault in FAULTS if fault != "refused")
"""Without the one that takes a provider down for a moment: where all are down at once, each caller is refused, and
callers that come back at once are counted again and again."""

_AT_ONCE: Final = tuple(fault for fault in FAULTS if fault not in ("limited", "unavailable"))
"""Faults after which nobody is asked to wait, so that the model is called again at once."""

POISONED: Final = 0.125

POISONS: Final[tuple[Fault, ...]] = ("error", "hang", "wrong_json", "cut_first", "unavailable", "invalid")

DEADLINE_MS: Final = 1500

REFUSED_WITHIN_S: Final = 5.0
"""The longest that a caller waits for a refusal: two retries, the wait before each, and what a busy machine adds."""

_FIRST, _SECOND, _THIRD = TIER


def scenarios() -> Iterator[Scenario]:
    """Yield every scenario."""
    for fault in FAULTS:
        yield Scenario(name=f"{fault} often", phases=(Phase(mixes={_FIRST: Mix((fault,), OFTEN)}),), router=NO_BREAKERS)
    for fault in FAULTS:
        yield alone(fault)
    yield Scenario(name="mixed on two", phases=(WARM_UP, mixed(0.4, _FIRST, _SECOND, part=_REST)))
    yield Scenario(name="all but one broken", phases=(mixed(1.0, _FIRST, _SECOND),))
    yield Scenario(
        name="mixed on two, often", phases=(mixed(OFTEN, _FIRST, _SECOND, faults=_AT_ONCE),), router=NO_BREAKERS
    )
    yield Scenario(
        name="mixed, hedged", phases=(mixed(OFTEN, _FIRST, faults=_AT_ONCE),), router={**NO_BREAKERS, "hedge": {}}
    )
    yield Scenario(
        name="at times on all", phases=(WARM_UP, mixed(AT_TIMES, *TIER, faults=_ONE_BY_ONE, part=_REST)), bar="most"
    )
    yield Scenario(name="at times, no breaker", phases=(mixed(AT_TIMES, *TIER),), bar="most", router=NO_BREAKERS)
    yield Scenario(name="one dead", phases=(Phase(dead=(_FIRST,)),))
    yield Scenario(name="one dead, one mixed", phases=(Phase(dead=(_FIRST,), mixes={_SECOND: Mix(FAULTS, 0.5)}),))
    yield Scenario(name="two come and go", phases=(Phase(flapping=(_FIRST, _SECOND)),))
    yield Scenario(name="a tier dead", phases=(Phase(dead=TIER),), has_next=True)
    yield Scenario(name="a tier broken", phases=(mixed(1.0, *TIER),), has_next=True)
    yield all_dead()
    yield Scenario(
        name="two hang", phases=(Phase(mixes={n: Mix(("hang",), 0.3) for n in TIER[:2]}),), deadline_ms=DEADLINE_MS
    )
    for poison in POISONS:
        yield poisoned(poison)


def alone(fault: Fault) -> Scenario:
    """Return one fault at one candidate: on many of its calls, then on all of them, until it is left alone."""
    often = Phase(part=0.6, mixes={_FIRST: Mix((fault,), OFTEN)})
    always = Phase(part=0.4 - WARM_UP.part, mixes={_FIRST: Mix((fault,))})
    return Scenario(name=f"{fault} alone", phases=(WARM_UP, often, always))


def all_dead() -> Scenario:
    """Return a tier of which nobody is left, and which comes back."""
    return Scenario(name="all dead", phases=(Phase(dead=TIER),), bar="refused", comes_back=True)


def poisoned(poison: Fault, alone: float = 0.02) -> Scenario:
    """Return a caller whose requests fail at every candidate: before the others come, and then among them."""
    before = Phase(part=alone, poison=poison, poisoned=1.0)
    among = Phase(part=1 - alone, poison=poison, poisoned=POISONED)
    return Scenario(name=f"poison: {poison}", phases=(before, among))


def mixed(share: float, *names: str, part: float = 1.0, faults: Sequence[Fault] = FAULTS) -> Phase:
    """Return a phase in which these candidates have all faults in turn, each from another one on."""
    turned = {name: (*faults[3 * number :], *faults[: 3 * number]) for number, name in enumerate(names)}
    return Phase(part=part, mixes={name: Mix(faults, share) for name, faults in turned.items()})


def _slow(account: Account) -> list[str]:
    """Return what took too long; only here, as it is no machine's business to be quick in a test."""
    longest_s = account.quantile_ms(1.0) / 1000
    is_slow = account.bar == "refused" and longest_s > REFUSED_WITHIN_S
    return [f"a refusal took {longest_s:.1f} s"] if is_slow else []


def _row(account: Account, seconds: float) -> str:
    """Return a line of the table."""
    statuses = ", ".join(f"{count} x {what}" for what, count in sorted(account.statuses.items()))
    cells = [
        f"{account.name:<20.20}",
        *(f"{cell:>6}" for cell in (account.asked, account.whole, account.broken)),
        f"{account.retries:>5}/{account.most_retries}",
        *(f"{cell:>6}" for cell in (account.fallbacks, account.calls, account.again, account.aborted)),
        f"{account.most_in_flight:>4}/{account.in_flight}",
        f"{account.opened:>4}",
        *(f"{account.quantile_ms(share):>6.0f}" for share in (0.5, 0.99, 1.0)),
        f"{seconds:>5.0f}",
    ]
    return " ".join(cells) + (f"  {statuses}" if statuses else "")


_HEAD: Final = (
    f"{'scenario':<20} {'asked':>6} {'whole':>6} {'broken':>6} {'retries':>7} {'fallb.':>6} {'calls':>6} {'again':>6} "
    f"{'abort.':>6} {'flight':>6} {'open':>4} {'p50':>6} {'p99':>6} {'max ms':>6} {'s':>5}  refused"
)


def _chosen(words: Sequence[str]) -> list[Scenario]:
    return [one for one in scenarios() if not words or any(word in one.name for word in words)]


def main() -> int:
    """Run the scenarios; exit 1 when anything is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="of each scenario (default: 10000)")
    parser.add_argument("--concurrency", type=int, default=32, help="requests at once (default: 32)")
    parser.add_argument("--balance", default="ordered", help="how candidates are ordered (default: ordered)")
    parser.add_argument("only", nargs="*", help="words of the names of scenarios (default: all)")
    arguments = parser.parse_args()
    count = 0
    print(_HEAD, flush=True)
    for scenario in _chosen(arguments.only):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            router = {"balance": arguments.balance}
            requests, concurrency = arguments.requests, arguments.concurrency
            running = run(Path(folder), scenario, requests=requests, concurrency=concurrency, router=router)
            account: Account = uvloop.run(running)
        print(_row(account, time.monotonic() - began), flush=True)
        for fault in (*account.faults(), *_slow(account)):
            count += 1
            print(f"soak: {scenario.name}: {fault}", file=sys.stderr, flush=True)
    print(f"soak: {count} faults")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
