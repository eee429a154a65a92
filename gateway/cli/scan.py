"""`tierway scan`: what the guard finds in a text."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.cli.base import add_verb
from gateway.cli.given import add_text, text_given
from gateway.cli.table import aligned

if TYPE_CHECKING:
    from policies.sanitise.finding import Finding
    from policies.sanitise.injection.detector import Verdict


def add_verbs(verbs: Any) -> None:
    """Add `scan`."""
    one = add_verb(verbs, "scan", scan, "show what the guard finds in a text")
    add_text(one, "the text")
    one.add_argument("--role", choices=("user", "tool"), default="user", help="who says it: a user, or a document")
    one.add_argument("--json", action="store_true", help="print JSON")


def scan(arguments: argparse.Namespace) -> int:
    """Show the secrets, personal data and disguised characters of a text, and whether it tries to take over.

    Places are `line:column`, both from 1. What stands there is not printed.
    """
    # Imported here: they bring tables and engines that other verbs do not need.
    from policies.sanitise.injection.detector import Detector  # noqa: PLC0415
    from policies.sanitise.scan import scan_text  # noqa: PLC0415

    text = text_given(arguments, "scan")
    findings, verdict = scan_text(text), Detector().judge(text, arguments.role)
    if arguments.json:
        told = {"findings": findings, "injection": {"flag": verdict.flagged, "score": round(verdict.score, 4)}}
        print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        print("\n".join(_lines(text, findings, verdict)))
    return 0


def _lines(text: str, findings: list[Finding], verdict: Verdict) -> list[str]:
    said = "an attempt to take over" if verdict.flagged else "no attempt to take over"
    lines = [f"injection   {said}   score {verdict.score:.3f}"]
    if not findings:
        return [*lines, "found       nothing else"]
    rows = [("FROM", "TO", "DETECTOR", "RULE", "SCORE")]
    rows += [
        (_place(text, one.start), _place(text, one.end), one.detector, one.rule, f"{one.score:.2f}") for one in findings
    ]
    return lines + aligned(rows)


def _place(text: str, at: int) -> str:
    """Return the line and column of a character."""
    before = text[:at]
    return f"{before.count(chr(10)) + 1}:{at - before.rfind(chr(10))}"
