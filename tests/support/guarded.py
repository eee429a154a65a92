"""Inspections of requests whose answers tests guard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.plan import plan_for
from policies.sanitise.redaction.redactor import Redactor
from policies.sanitise.settings import GuardSettings, OutputActions

MAIL = "ann.smith@firm.org"
QUOTED = 'pass"word\\of\nann'
AWS = "AKIA" + "Q3ZK7TNV2M5XWBHR"
"""A key of the form that AWS gives out; put together here so that no scanner of sources reports it."""


def inspection_of(*, masked: Iterable[tuple[str, str]] = (), trusted: str = "", **settings: Any) -> Inspection:
    """Return the inspection of a request in which values were replaced.

    Args:
        masked: rule and value of each.
        trusted: its system message.
        settings: of the guard; `output` takes a mapping.
    """
    if isinstance(settings.get("output"), dict):
        settings["output"] = OutputActions(**settings["output"])
    inspection = Inspection(plan_for([GuardSettings(**settings)]))
    for rule, value in masked:
        placeholder(inspection, rule, value)
    inspection.trusted = (trusted,) if trusted else ()
    return inspection


def placeholder(inspection: Inspection, rule: str, value: str) -> str:
    """Return what stands for a value in a request, masked at the first call."""
    detector = "secrets" if rule == "secret" else "personal"
    redactor: Redactor = inspection.redactor
    return redactor.mask(value, [Finding(detector, rule, 0, len(value), 0.9)])


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield a text in pieces of some length."""
    return (text[at : at + size] for at in range(0, len(text), size))
