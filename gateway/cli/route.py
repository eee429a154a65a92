"""`tierway route`: the tier of a prompt, and why, without calling anyone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail
from gateway.cli.given import add_text, text_given
from gateway.cli.table import aligned
from gateway.domain.errors import GatewayError

if TYPE_CHECKING:
    from gateway.rehearsal.preview import Preview


def add_verbs(verbs: Any) -> None:
    """Add `route`."""
    one = add_verb(verbs, "route", route, "show the tier of a prompt, its score and the models that would be asked")
    add_text(one, "the prompt, or a whole request as JSON")
    one.add_argument("--model", default="auto", help="the model that is asked for (default: auto)")
    one.add_argument("--json", action="store_true", help="print JSON")


def route(arguments: argparse.Namespace) -> int:
    """Show where a prompt would go: kind, score, thresholds, checks, candidates, and what is saved.

    Thresholds are those a gateway starts with; a running one follows its traffic, see POST /admin/route.
    """
    # Imported here: they bring numpy and the scorer, which other verbs do not need.
    from gateway.rehearsal.preview import Asked, preview  # noqa: PLC0415
    from gateway.rehearsal.rehearsal import Rehearsal  # noqa: PLC0415

    config: Path | None = arguments.config
    settings = settings_file.built_in() if config is None else settings_file.load(config)[0]
    rehearsal = Rehearsal(settings)
    try:
        request = _request(text_given(arguments, "route"), arguments.model)
        found = preview(rehearsal.router, rehearsal.prices, settings.models, Asked(request=request))
    except GatewayError as error:
        fail(f"route: {error.message}")
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(_lines(found)))
    return 0


def _request(text: str, model: str) -> Any:
    """Return the request of a prompt; a text that is a request already is taken as it is."""
    from gateway.domain.chat import read_chat  # noqa: PLC0415

    if text.lstrip().startswith("{") and '"messages"' in text:
        return read_chat(text.encode())
    return read_chat(msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": text}]}))


def _lines(found: Preview) -> list[str]:
    lines = [f"tier        {found.tier or 'none'}   confidence {found.confidence:.2f}   because {found.reason}"]
    grounds = found.grounds
    if grounds is not None:
        below = f"simple below {grounds.simple_below:.3f}, medium below {grounds.medium_below:.3f}"
        lines += [
            f"kind        {grounds.kind}   language {grounds.language}",
            f"score       {grounds.score:.3f}   {below}",
            f"may fail    simple {grounds.simple_fails:.0%}, medium {grounds.medium_fails:.0%}",
        ]
    needs = found.needs
    features = ", ".join(needs["features"]) or "nothing special"  # type: ignore[arg-type]
    lines.append(f"needs       about {needs['prompt_tokens']} tokens of prompt; {features}")
    rows = [("", "MODEL", "TIER", "UPSTREAM", "USD", "")]
    for one in found.considered:
        place = "" if one.position is None else f"{one.position}."
        rows.append((place, one.model, one.tier or "", one.upstream, one.cost_usd or "?", one.lacks or ""))
    lines += aligned(rows)
    if found.saved_usd is not None and found.saved_share is not None:
        lines.append(f"saves       {found.saved_usd} USD of the dearest ({found.saved_share:.0%})")
    return lines
