from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HELM = ROOT / "helm"
VALUES = HELM / "values.yaml"
SETTINGS_KEY = re.compile(r"\.Values((?:\.\w+)+)")

# Fields of the settings file that a template asks for and values.yaml leaves to the user.
OPTIONAL_SETTINGS = {"settings.server.admin_listen", "settings.server.tls"}


def test_every_value_has_a_comment_above_it() -> None:
    lines = VALUES.read_text().splitlines()

    bare = [
        line.strip()
        for above, line in zip(["", *lines], lines, strict=False)
        if re.match(r" *[\w-]+:", line) and not above.lstrip().startswith("#")
    ]

    assert bare == []


def test_templates_ask_only_for_values_that_exist() -> None:
    known = set(paths(yaml.safe_load(VALUES.read_text()))) | OPTIONAL_SETTINGS
    asked = {
        found.removeprefix(".")
        for template in (HELM / "templates").iterdir()
        for found in SETTINGS_KEY.findall(template.read_text())
    }

    assert asked - known == set()


def test_every_value_but_the_settings_is_used_by_a_template() -> None:
    values = yaml.safe_load(VALUES.read_text())
    templates = "".join(template.read_text() for template in (HELM / "templates").iterdir())

    unused = [path for path in values if f".Values.{path}" not in templates]

    assert unused == []


def test_settings_are_fields_of_the_settings_file() -> None:
    gateway_settings = pytest.importorskip("gateway.settings")
    schema: dict[str, Any] = gateway_settings.schema()

    stray = list(unknown_fields(yaml.safe_load(VALUES.read_text())["settings"], schema, schema, "settings"))

    assert stray == []


def test_settings_that_do_not_exist_are_noticed() -> None:
    schema = {
        "$ref": "#/$defs/Settings",
        "$defs": {
            "Settings": {"properties": {"server": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Server"}]}}},
            "Server": {"properties": {"port": {"type": "integer"}}},
        },
    }
    settings = {"server": {"port": 1, "prot": 2}, "sever": {}}

    stray = list(unknown_fields(settings, schema, schema, "settings"))

    assert stray == ["settings.server.prot", "settings.sever"]


def paths(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield above + key
        if isinstance(value, dict):
            yield from paths(value, f"{above}{key}.")


def unknown_fields(value: Any, node: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the path of every key that the JSON Schema node, or each of its alternatives, does not name."""
    if not isinstance(value, dict):
        return
    nodes = list(alternatives(node, schema))
    for key, below in value.items():
        found = [one.get("properties", {}).get(key, one.get("additionalProperties")) for one in nodes]
        matching = [one for one in found if isinstance(one, dict)]
        if matching:
            yield from unknown_fields(below, {"anyOf": matching}, schema, f"{path}.{key}")
        else:
            yield f"{path}.{key}"


def alternatives(node: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the node with references followed and unions taken apart."""
    if "$ref" in node:
        yield from alternatives(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    yield node
    for part in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from alternatives(part, schema)
