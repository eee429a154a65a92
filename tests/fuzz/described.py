"""What schemathesis makes of /schema, sent to a gateway: every operation, with data that fits and data that does not.

It lives in an environment of its own, as what it depends on has no place among the locked packages.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

from tests.fuzz.fuzzer import settings
from tests.fuzz.provider import Provider
from tests.fuzz.seeds import ADMIN_KEY, CONVERSED, KEY
from tests.support.live import ROOT, LiveGateway

COMMAND: Final = ROOT / ".venv-fuzz" / "bin" / "st"

_CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
_PHASES: Final = "examples,coverage,fuzzing,stateful"

_TIMEOUT_S: Final = 15.0
"""Seconds for one request, then it counts as a hang."""

_SAID: Final = {"type": "string", "minLength": 1}
_CONTENT: Final = {
    "anyOf": [
        _SAID,
        {
            "type": "array",
            "minItems": 1,
            "items": {"required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": _SAID}},
        },
    ]
}
_ITEM: Final = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"type": {"const": "message"}, "role": {"enum": ["user", "developer"]}, "content": _SAID},
}
"""What more models understand than the gateway judges."""

_MODELS: Final = ("echo-simple", *(model for model in CONVERSED if model.startswith("by-")))
"""One for each upstream."""

_ASKING: Final = frozenset({"openai", "anthropic"})
"""Tags of operations on models and on what they answered."""

_ALIKE: Final = re.compile("/v1/(?!models|files|conversations)")
"""Relayed families that differ from these two by their name only."""

_COVERING: Final = 7_000
"""Cases that the phases besides fuzzing make, however many are asked for (measured)."""

_LEAST: Final = 5
"""Cases of fuzzing for each operation, at least."""

_MOST_FAILURES: Final = 100


class Outcome:
    """What came of the runs of schemathesis.

    Attributes:
        cases: how many it sent.
        failures: its failures, by name and operation.
    """

    def __init__(self) -> None:
        self.cases = 0
        self.failures: list[str] = []

    def add(self, report: dict[str, Any]) -> None:
        """Count one of its reports."""
        self.cases += report["test_cases"]["generated"]
        for failure in report["failures"]:
            self.failures += [f"{failure['title']}: {operation}" for operation in failure["operations"]]
        self.failures += [f"{error.get('title', 'error')}: {error}" for error in report["errors"]]
        if not report["complete"]:
            self.failures.append(f"it stopped early: {report['stop_reason']}")


def fuzz_described(folder: Path, *, seed: int, cases: int) -> bool:
    """Start a gateway in `folder`, have schemathesis send it about `cases` cases or more, and tell whether it kept."""
    if not COMMAND.exists():
        print(f"fuzz described: {COMMAND.relative_to(ROOT)} is not there; `make fuzz` makes it", file=sys.stderr)
        return False
    provider = Provider(seed)
    outcome = Outcome()
    with LiveGateway(folder, settings(provider.url, is_cached=True, relays=False)) as gateway:
        asyncio.run(_run(gateway, provider, outcome, seed=seed, cases=cases))
        asked = gateway.metrics()
    told = sum(count for name, count in asked.items() if name.startswith("tierway_requests_total"))
    for failure in outcome.failures:
        print(f"described: {failure}", file=sys.stderr)
    print(
        f"fuzz described: {outcome.cases} cases, {told:.0f} requests recorded, {provider.requests} upstream calls; "
        f"{len(outcome.failures)} failures (seed {seed})",
        flush=True,
    )
    return not outcome.failures


async def _run(gateway: LiveGateway, provider: Provider, outcome: Outcome, *, seed: int, cases: int) -> None:
    async with provider:
        document = json.loads(await asyncio.to_thread(gateway.get, "/schema"))
        parts = list(_parts(_narrowed(document)))
        operations = sum(len(found) for part, _ in parts for found in part["paths"].values())
        most = max((cases - _COVERING) // operations, _LEAST)
        for part, key in parts:
            outcome.add(await asyncio.to_thread(_schemathesis, gateway.url, part, key, most=most, seed=seed))


def _schemathesis(url: str, document: dict[str, Any], key: bytes, *, most: int, seed: int) -> dict[str, Any]:
    """Run it once and return its report; what it says goes to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        described, report = Path(folder, "schema.json"), Path(folder, "report.json")
        described.write_text(json.dumps(document))
        command = [
            *(str(COMMAND), "run", str(described), "--url", url),
            *("--header", f"Authorization: Bearer {key.decode()}"),
            *("--phases", _PHASES, "--checks", ",".join(_CHECKS), "--mode", "all"),
            *("--max-examples", str(most), "--seed", str(seed), "--continue-on-failure"),
            *("--max-failures", str(_MOST_FAILURES), "--request-timeout", str(_TIMEOUT_S), "--no-shrink"),
            *("--warnings", "off", "--report-json-path", str(report)),
        ]
        environment = {**os.environ, "NO_COLOR": "1"}
        subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr.fileno(), check=False)
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def _narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """Say more of what models understand, so that more is answered, and nothing of what only failing upstreams say."""
    schemas = document["components"]["schemas"]
    asked = schemas["ResponsesRequest"]["properties"]
    asked["input"] = {"anyOf": [{"type": "string", "minLength": 1}, asked["input"]]}
    for name in ("previous_response_id", "conversation", "instructions"):
        del asked[name]
    for name in ("ChatRequest", "MessagesRequest", "CountTokensRequest"):
        message = schemas[name]["properties"]["messages"]["items"]["properties"]
        message |= {"role": {"enum": ["user", "assistant"]}, "content": _CONTENT}
    asked["input"]["anyOf"].append({"type": "array", "minItems": 1, "items": _ITEM})
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default", None)
    return document


def _parts(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the document in parts, each with the key it is for: what asks models once for each upstream."""
    paths: dict[str, Any] = document["paths"]
    asking = {path for path, found in paths.items() if any(tag in _ASKING for o in found.values() for tag in o["tags"])}
    admin = {path for path in paths if path.startswith("/admin")}
    other = {path for path in paths.keys() - asking - admin if not _ALIKE.match(path)}
    for model in _MODELS:
        part = copy.deepcopy(_with_paths(document, asking))
        for name, schema in part["components"]["schemas"].items():
            if name.endswith("Request") and "model" in schema.get("properties", {}):
                schema["properties"]["model"] = {"enum": [model]}
        yield part, KEY
    yield _with_paths(document, other), KEY
    yield _with_paths(document, admin), ADMIN_KEY


def _with_paths(document: dict[str, Any], wanted: AbstractSet[str]) -> dict[str, Any]:
    return {**document, "paths": {path: found for path, found in document["paths"].items() if path in wanted}}
