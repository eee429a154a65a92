"""`tierway check` and `tierway schema`: what a settings file holds, and may hold."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail
from gateway.cli.table import aligned
from gateway.settings import Settings, SettingsError
from policies.explanation import Explanation, LimitView, explain


def add_verbs(verbs: Any) -> None:
    """Add `check` and `schema`."""
    one = add_verb(
        verbs, "check", check, "validate a settings file and try its examples; exit 1 says where it is wrong"
    )
    one.add_argument("--key", metavar="TEAM/KEY", help="show what holds for this key, and which level says so")
    one.add_argument("--json", action="store_true", help="print JSON")
    add_verb(verbs, "schema", schema, "print the JSON Schema of the settings file, for editors")


def check(arguments: argparse.Namespace) -> int:
    """Validate a settings file, try the examples in it, and say what in it can never take effect."""
    config: Path | None = arguments.config
    if config is None:
        fail("check: name the file with --config", status=2)
    try:
        settings, fingerprint = settings_file.load(config)
        if arguments.key is not None:
            return _show_key(settings, arguments.key, as_json=arguments.json)
        report = _report(settings, fingerprint)
    except SettingsError as error:
        if not arguments.json:
            raise
        print(json.dumps({"file": str(config), "error": str(error)}, indent=2))
        return 1
    if arguments.json:
        print(json.dumps({"file": str(config), **report}, indent=2))
        return 0
    counts = "{upstreams} upstreams, {models} models, {keys} keys in the file".format_map(report)
    print(f"{config}: good ({counts}; hash {fingerprint})")
    if report["examples"]:
        print(f"  examples: {report['examples']}, all hold")
    for caution in report["warnings"]:
        print(f"  warning: {caution}")
    return 0


def schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema of the settings file."""
    print(json.dumps(settings_file.schema(), indent=2))
    return 0


def _report(settings: Settings, fingerprint: str) -> dict[str, Any]:
    # Imported here: they bring the whole pipeline, which other verbs do not need.
    from gateway.rehearsal.cautions import all_cautions  # noqa: PLC0415
    from gateway.rehearsal.examples import check_examples  # noqa: PLC0415

    examples = check_examples(settings)
    return {
        "hash": fingerprint,
        "upstreams": len(settings.upstreams),
        "models": len(settings.models),
        "keys": sum(len(team.keys) for team in settings.organisation.teams.values()),
        "examples": examples,
        "warnings": list(all_cautions(settings)),
    }


def _show_key(settings: Settings, path: str, *, as_json: bool) -> int:
    team, _, key = path.partition("/")
    if not team or not key:
        fail(f"check: --key {path}: team/key is expected", status=2)
    found = explain(settings.organisation, team, key)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return 0
    print("\n".join(_explanation_lines(found, is_team=team in settings.organisation.teams)))
    return 0


def _explanation_lines(found: Explanation, *, is_team: bool) -> list[str]:
    lines = [found.key]
    if not found.has_own_word:
        of_whom = "its team's and the organisation's rules" if is_team else "the organisation's rules, as is its team"
        lines.append(f"  not in the file: {of_whom}; a stored key may have more")
    rows = [("RULE", "VALUE", "FROM"), *((rule.name, rule.value, rule.level) for rule in found.rules)]
    rows += _limit_rows(found.limits)
    rows += _limit_rows(found.user_limits)
    return lines + aligned(rows)


def _limit_rows(limits: list[LimitView]) -> list[tuple[str, str, str]]:
    return [("budget" if limit.unit == "microusd" else "limit", limit.limit, limit.level) for limit in limits]
