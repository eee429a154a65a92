"""Judges rows of labelled data with the detectors as they serve, for whoever scores them.

Of a row only `id`, `text`, `role`, `system` and `arg` are read, never a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter
from typing import Any, Final, Literal

from policies.sanitise.arguments.judge import judge_argument
from policies.sanitise.finding import Finding, Kind
from policies.sanitise.scan import TextScanner, shared_scanner
from policies.sanitise.unicode.cleaning import cleaned

Task = Literal["pii", "secrets", "unicode", "toolargs"]

_KINDS: Final[dict[str, frozenset[Kind]]] = {
    "pii": frozenset({"personal"}),
    "secrets": frozenset({"secrets"}),
    "unicode": frozenset({"unicode"}),
}
_TYPES: Final = {
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "card": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "us_ssn": "US_SSN",
    "ip": "IP_ADDRESS",
    "mac": "MAC_ADDRESS",
    "wallet": "CRYPTO",
}
"""Rules to the names that data about personal information uses (Presidio's)."""


def judge_rows(
    rows: Iterable[Mapping[str, Any]], task: Task, scanner: TextScanner | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a verdict for each row: `id`, `flag`, `score`, `spans`, `normalized` (unicode only) and `us`, microseconds.

    Args:
        rows: with `id` and `text`; for `toolargs` also `arg`, the argument's name, where it is known.
        task: what is looked for.
        scanner: the shared one if None.
    """
    if task == "toolargs":
        yield from map(_judge_argument, rows)
        return
    looking = scanner or shared_scanner()
    for row in rows:
        yield _judge_text(row, task, looking)


def _judge_argument(row: Mapping[str, Any]) -> dict[str, Any]:
    began = perf_counter()
    objection = judge_argument(row.get("arg"), row["text"])
    spent = (perf_counter() - began) * 1e6
    is_flagged = objection is not None
    return {"id": row["id"], "flag": is_flagged, "score": float(is_flagged), "spans": [], "us": spent}


def _judge_text(row: Mapping[str, Any], task: Task, scanner: TextScanner) -> dict[str, Any]:
    text = row["text"]
    began = perf_counter()
    findings = scanner.scan(text, _KINDS[task])
    spent = (perf_counter() - began) * 1e6
    verdict = {
        "id": row["id"],
        "flag": bool(findings),
        "score": max((finding.score for finding in findings), default=0.0),
        "spans": [_span(finding) for finding in findings],
        "us": spent,
    }
    if task == "unicode":
        verdict["normalized"] = cleaned(text, findings)
    return verdict


def _span(finding: Finding) -> dict[str, Any]:
    return {"start": finding.start, "end": finding.end, "type": _TYPES.get(finding.rule, finding.rule.upper())}
