from __future__ import annotations

import re

from policies.sanitise.finding import Finding
from policies.sanitise.redaction.redactor import Redactor


def mail(start: int, end: int) -> Finding:
    return Finding("personal", "email", start, end, 0.9)


def test_the_same_value_gets_the_same_placeholder_in_every_text() -> None:
    redactor = Redactor()

    first = redactor.mask("a@b.co and a@b.co", [mail(0, 6), mail(11, 17)])
    second = redactor.mask("a@b.co", [mail(0, 6)])

    assert first == f"{second} and {second}"


def test_different_values_get_different_placeholders() -> None:
    redactor = Redactor()

    masked = redactor.mask("a@b.co c@d.co", [mail(0, 6), mail(7, 13)])

    assert re.fullmatch(r"\[\[EMAIL_1_(\w{5})\]\] \[\[EMAIL_2_\1\]\]", masked)


def test_each_request_draws_its_own_suffix() -> None:
    suffixes = {Redactor().vault.suffix for _ in range(50)}

    assert len(suffixes) == 50


def test_overlapping_findings_become_one_placeholder_named_by_the_surest() -> None:
    findings = [Finding("personal", "email", 0, 6, 0.5), Finding("secrets", "github", 3, 9, 0.9)]

    masked = Redactor().mask("0123456789", findings)

    assert re.fullmatch(r"\[\[SECRET_1_\w{5}\]\]9", masked)


def test_a_later_turn_continues_the_numbers_and_the_suffix() -> None:
    first = Redactor()
    known = first.mask("a@b.co", [mail(0, 6)])
    later = Redactor(first.vault)

    masked = later.mask("a@b.co c@d.co", [mail(0, 6), mail(7, 13)])

    assert masked == f"{known} {known.replace('_1_', '_2_')}"


def test_neither_redactor_nor_vault_tells_values_in_its_repr() -> None:
    redactor = Redactor()
    redactor.mask("a@b.co", [mail(0, 6)])

    assert "a@b" not in repr(redactor) + repr(redactor.vault)
