"""`tierway check` and `tierway schema`: what a settings file holds, and may hold."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail


def add_verbs(verbs: Any) -> None:
    """Add `check` and `schema`."""
    add_verb(verbs, "check", check, "validate a settings file; exit 1 says where it is wrong")
    add_verb(verbs, "schema", schema, "print the JSON Schema of the settings file, for editors")


def check(arguments: argparse.Namespace) -> int:
    """Validate a settings file and say what it holds."""
    if arguments.config is None:
        fail("check: name the file with --config", status=2)
    settings, fingerprint = settings_file.load(arguments.config)
    keys = sum(len(team.keys) for team in settings.organisation.teams.values())
    counts = f"{len(settings.upstreams)} upstreams, {len(settings.models)} models, {keys} keys in the file"
    print(f"{arguments.config}: good ({counts}; hash {fingerprint})")
    return 0


def schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema of the settings file."""
    print(json.dumps(settings_file.schema(), indent=2))
    return 0
