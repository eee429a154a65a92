"""The annotated settings file promises field names: each is accepted, or refused as not available yet."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.settings import NOT_YET, SettingsError, parse, schema

EXAMPLE = Path(__file__).parents[3] / "shared" / "tierway.example.yaml"


@pytest.fixture
def example() -> Any:
    if not EXAMPLE.exists():
        pytest.skip("the annotated settings file is not beside the repository (shared/tierway.example.yaml)")
    return as_json(yaml.safe_load(EXAMPLE.read_text()))


def test_every_field_is_accepted_or_not_available_yet(example: Any) -> None:
    for pattern in NOT_YET:
        path, _, value = pattern.partition("=")
        remove(example, path.split("."), value)

    problems = [
        f"{'.'.join(map(str, problem.absolute_path))}: {problem.message}"
        for problem in jsonschema.Draft202012Validator(schema()).iter_errors(example)
    ]

    assert problems == []


def test_the_file_as_a_whole_is_refused_as_not_available_yet(example: Any) -> None:
    with pytest.raises(SettingsError, match="not available yet"):
        parse(EXAMPLE.read_bytes(), {})


def test_a_field_that_nobody_knows_is_noticed() -> None:
    tree = {"server": {"port": 1, "prot": 2}, "router": {"target": {"simple": 1}}}

    remove(tree, ["router", "target"], "")

    assert tree["router"] == {}
    assert not jsonschema.Draft202012Validator(schema()).is_valid(tree)


def remove(tree: Any, steps: list[str], value: str) -> None:
    """Take out what a pattern of `NOT_YET` stands for; with a `kind`, the whole entry that has it."""
    step, rest = steps[0], steps[1:]
    if isinstance(tree, list):
        for child in tree if step == "*" else ():
            remove(child, rest, value)
    elif isinstance(tree, dict):
        for name in [name for name in tree if step in ("*", name)]:
            child = tree[name]
            if rest == ["kind"]:
                if isinstance(child, dict) and child.get("kind") == value:
                    del tree[name]
            elif rest:
                remove(child, rest, value)
            elif not value or str(child).startswith(value):
                del tree[name]


def as_json(document: Any) -> Any:
    """Write dates as JSON has them."""
    if isinstance(document, dict):
        return {key: as_json(value) for key, value in document.items()}
    if isinstance(document, list):
        return [as_json(value) for value in document]
    return document.isoformat() if isinstance(document, dt.date) else document
