"""`tierway reconcile`."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.accounting.exports import Billed, ExportError, read_export
from gateway.accounting.matching import ASKED, Account, Difference, reconcile
from gateway.accounting.table import aligned, printable
from gateway.cli.base import add_verb, fail
from gateway.cli.ledger import ask, settings_of
from gateway.domain.money import PER_MILLION
from policies.stores.ledgers.base import UsageQuery

_DAY = dt.timedelta(days=1)
_HEADINGS = ("MODEL", "DAY", "BILLED TOKENS", "OURS", "BILLED USD", "OURS", "DRIFT", "CAUSE")


def add_verbs(verbs: Any) -> None:
    """Add `reconcile`."""
    one = add_verb(verbs, "reconcile", run, "match a provider's usage export with the ledger; exit 1 on drift")
    one.add_argument("files", nargs="+", type=Path, metavar="USAGE.csv", help="exports of one provider")
    one.add_argument("--tolerance", type=_share, default=0.01, help="share up to which a drift is none (default: 0.01)")
    one.add_argument("--since", type=dt.date.fromisoformat, metavar="DAY", help="(default: the export's first day)")
    one.add_argument(
        "--until", type=dt.date.fromisoformat, metavar="DAY", help="not included (default: after its last)"
    )
    one.add_argument("--upstream", help="the provider's name in the settings; its models must all be in the export")


def run(arguments: argparse.Namespace) -> int:
    """Match a provider's usage export with the ledger, model by model and day by day, and name likely causes.

    Exits with 1 when a model's tokens, cached tokens or costs differ by more than the tolerance. Days are those of UTC.
    """
    settings = settings_of(arguments)
    if arguments.upstream is not None and arguments.upstream not in settings.upstreams:
        fail(f"reconcile: the settings have no upstream '{arguments.upstream}'", status=2)
    billed = [line for path in arguments.files for line in _read(path)]
    since, until = _days(billed, arguments.since, arguments.until)
    billed = [line for line in billed if since.isoformat() <= line.day < until.isoformat()]
    query = UsageQuery(group_by=ASKED.group_by, max_rows=ASKED.max_rows, since=_second(since), until=_second(until))
    found = reconcile(
        billed,
        ask(settings, "reconcile", lambda ledger: ledger.usage(query)),
        {name: model.model or name for name, model in settings.models.items()},
        tolerance=arguments.tolerance,
        upstream=arguments.upstream,
    )
    print(_table([*found.models, *found.days]))
    verdict = "within" if found.is_within else "beyond"
    print(f"\n{since} to {until - _DAY}: {verdict} the tolerance of {arguments.tolerance:.2%}")
    return 0 if found.is_within else 1


def _read(path: Path) -> list[Billed]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(read_export(lines))
    except OSError as error:
        fail(f"reconcile: {path}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        fail(f"reconcile: {path}: not UTF-8")
    except ExportError as error:
        fail(f"reconcile: {path}: {error}")


def _days(billed: Sequence[Billed], since: dt.date | None, until: dt.date | None) -> tuple[dt.date, dt.date]:
    """Return the first day and the one after the last."""
    days = [dt.date.fromisoformat(line.day) for line in billed]
    if not days:
        fail("reconcile: the export has no lines")
    first, end = since or min(days), until or max(days) + _DAY
    if first >= end:
        fail("reconcile: --since must be before --until", status=2)
    return first, end


def _second(day: dt.date) -> float:
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()


def _table(differences: Sequence[Difference]) -> str:
    lines: list[Sequence[str]] = [_HEADINGS]
    for one in differences:
        billed, ours = one.billed, one.recorded
        numbers = (_count(billed), _count(ours), _usd(billed), _usd(ours), f"{one.drift:.2%}")
        lines.append((printable(one.model), one.day or "all", *numbers, one.cause))
    # The cause stands last, and to the left like any text.
    widest = max(len(line[-1]) for line in lines)
    return aligned([(*line[:-1], line[-1].ljust(widest)) for line in lines], texts=2)


def _count(account: Account) -> str:
    return "-" if account.tokens is None else str(account.tokens)


def _usd(account: Account) -> str:
    return "-" if account.cost_microusd is None else f"{account.cost_microusd / PER_MILLION:.4f}"


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError("a share from 0 to 1 is expected, such as 0.01")
    return share
