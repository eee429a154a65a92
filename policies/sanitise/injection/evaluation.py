"""Judges rows of a file, as `tierway eval guard` asks for: nothing of a row is read but its text, role and system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter_ns
from typing import Any

from policies.sanitise.injection.detector import Detector
from policies.sanitise.injection.revealed import reveal


def judge_rows(rows: Iterable[Mapping[str, Any]], detector: Detector | None = None) -> Iterator[dict[str, Any]]:
    """Return for each row its `id`, `flag`, `score`, `spans`, `normalized` and `us`.

    `normalized` is what is judged: the copy, and below it what the text hides. `us` are microseconds spent on the row,
    one after the other.

    Args:
        rows: with `id` and `text`; `role` is `tool` for documents, `system` the message of those who run the model.
        detector: the one that is shipped where none is given.
    """
    judge = detector or Detector()
    judge.load()
    for row in rows:
        text = row["text"]
        role = "tool" if row.get("role") == "tool" else "user"
        begin = perf_counter_ns()
        verdict = judge.judge(text, "tool" if role == "tool" else "user", row.get("system") or "")
        spent = (perf_counter_ns() - begin) / 1000.0
        yield {
            "id": row["id"],
            "flag": verdict.flagged,
            "score": round(verdict.score, 6),
            "spans": [{"start": span.start, "end": span.end, "type": "INJECTION"} for span in verdict.spans],
            "normalized": "\n".join(copy.text for copy in reveal(text)),
            "us": round(spent, 1),
        }
