"""`tierway plan`: what an edit of the settings would change."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail
from gateway.cli.table import aligned
from gateway.domain.money import format_usd
from gateway.settings import Settings, SettingsError

if TYPE_CHECKING:
    from gateway.planning.changes import Change, Comparison
    from gateway.planning.replay import Played, Replay

WORSE: Final = 3
"""The exit status when somebody would be denied what was let pass."""

_SHOWN: Final = 3
"""How many of those whom a change concerns are named."""


def add_verbs(verbs: Any) -> None:
    """Add `plan`."""
    one = add_verb(
        verbs, "plan", plan, "say what an edit of the settings would change; exit 3: somebody is newly denied"
    )
    one.add_argument("--from", dest="old", required=True, type=Path, metavar="OLD", help="the file as it is served")
    one.add_argument("--to", dest="new", type=Path, metavar="NEW", help="the file as it would be (default: --config)")
    one.add_argument(
        "--replay", type=Path, metavar="USAGE", help="recorded usage, JSON lines from /admin/usage/records"
    )
    one.add_argument("--json", action="store_true", help="print JSON")


def plan(arguments: argparse.Namespace) -> int:
    """Say who would be newly denied or answered by another tier, whose limits and which prices change.

    Exits with 0 when nobody is newly denied what was let pass, and with 3 when somebody is.
    """
    # Imported here: they bring the whole pipeline, which other verbs do not need.
    from gateway.planning.comparison import compare  # noqa: PLC0415
    from gateway.rehearsal.examples import check_examples  # noqa: PLC0415

    new_path = arguments.new or arguments.config
    if new_path is None:
        fail("plan: name the new file with --to", status=2)
    old, new = _load(arguments.old), _load(new_path)
    try:
        check_examples(new)
    except SettingsError as error:
        fail(f"plan: {new_path}: {error}")
    comparison = asyncio.run(compare(old, new))
    replayed = None if arguments.replay is None else _replay(arguments.replay, old, new)
    if arguments.json:
        found = {"changes": msgspec.to_builtins(comparison)}
        if replayed is not None:
            found["replay"] = msgspec.to_builtins(replayed)
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(_comparison_lines(comparison)))
        if replayed is not None:
            print("\n".join(_replay_lines(replayed)))
    is_worse = bool(comparison.denied) or (replayed is not None and replayed.total.newly_denied > 0)
    return WORSE if is_worse else 0


def _load(path: Path) -> Settings:
    try:
        return settings_file.load(path)[0]
    except SettingsError as error:
        fail(f"plan: {path}: {error}")


def _replay(path: Path, old: Settings, new: Settings) -> Replay:
    from gateway.planning.replay import ReplayError, replay  # noqa: PLC0415

    try:
        with path.open("rb") as lines:
            return asyncio.run(replay(lines, old, new))
    except OSError as error:
        fail(f"plan: {path}: cannot be read ({error.strerror})", status=2)
    except ReplayError as error:
        fail(f"plan: {path}: {error}", status=2)


def _comparison_lines(found: Comparison) -> list[str]:
    titles = {
        "denied": "newly denied",
        "allowed": "newly allowed",
        "retiered": "answered by another tier or model",
        "tighter": "tighter limits",
        "looser": "looser limits",
        "prices": "other prices",
    }
    lines = []
    for name, title in titles.items():
        changes: list[Change] = getattr(found, name)
        if changes:
            lines += [f"{title}:", *(f"  {_named(change.who)}: {change.what}" for change in changes)]
    return lines or ["nothing changes for anybody"]


def _named(who: tuple[str, ...]) -> str:
    more = len(who) - _SHOWN
    return ", ".join(who[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _replay_lines(found: Replay) -> list[str]:
    total = found.total
    lines = [f"replay: {total.requests} requests, {found.skipped} records skipped"]
    rows = [("KEY", "REQUESTS", "DENIED", "", "USD", "")]
    rows.append(("", "", "old", "new", "old", "new"))
    rows += [_played_row(key, one) for key, one in [*found.by_key.items(), ("all", total)]]
    lines += [f"  {line}" for line in aligned(rows)]
    for tier in sorted({**total.old.tiers, **total.new.tiers}):
        lines.append(f"  tier {tier}: {total.old.tiers.get(tier, 0)} -> {total.new.tiers.get(tier, 0)}")
    for reason in sorted({**total.old.denied, **total.new.denied}):
        lines.append(f"  denied by {reason}: {total.old.denied.get(reason, 0)} -> {total.new.denied.get(reason, 0)}")
    return lines


def _played_row(key: str, one: Played) -> tuple[str, str, str, str, str, str]:
    denied = (str(sum(side.denied.values())) for side in (one.old, one.new))
    usd = (format_usd(side.cost_microusd).decode() for side in (one.old, one.new))
    return (key, str(one.requests), *denied, *usd)  # type: ignore[return-value]  # two and two
