"""`tierway eval guard`: what the detectors of the guard make of a file of texts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gateway.cli.base import add_verb
from gateway.cli.evaluate.rows import Progress, read_rows, write_rows

KINDS: Final = ("injection", "pii", "secrets", "unicode", "toolargs")


def add_suites(suites: Any) -> None:
    """Add `guard`."""
    text = "judge every text of a file: {id, flag, score, spans, normalized, us} a line"
    one = add_verb(suites, "guard", guard, text)
    one.add_argument("file", type=Path, metavar="FILE", help="JSON lines with id and text, plain or gzip")
    one.add_argument("--kind", choices=KINDS, required=True, help="what is looked for")


def guard(arguments: argparse.Namespace) -> int:
    """Judge every text, reading `id` and `text`, and where they are there `role`, `system` and `arg`.

    `spans` are characters of the text, with their type; `normalized` the text without what hides in it; `us`
    microseconds of this row.
    """
    rows = read_rows(arguments.file, {"id": str, "text": str}, ("role", "system", "arg"))
    write_rows(_told(_verdicts(arguments.kind, rows), Progress(len(rows))))
    return 0


def _verdicts(kind: Any, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    # Imported here: they bring tables and engines that other verbs do not need.
    if kind == "injection":
        from policies.sanitise.injection.evaluation import judge_rows as judge_injection  # noqa: PLC0415

        return judge_injection(rows)
    from policies.sanitise.evaluation import judge_rows  # noqa: PLC0415

    return judge_rows(rows, kind)


def _told(verdicts: Iterator[dict[str, Any]], progress: Progress) -> Iterator[dict[str, Any]]:
    for done, verdict in enumerate(verdicts, 1):
        yield verdict
        progress.tell(done)
