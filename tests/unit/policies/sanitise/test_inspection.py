from __future__ import annotations

import re
from typing import Any

import msgspec

from policies.sanitise.finding import Finding
from policies.sanitise.inspection import MOST_VERDICTS, Inspection, Verdict
from policies.sanitise.plan import plan_for
from policies.sanitise.settings import GuardSettings, InputActions

ITEM = r"[a-z*][a-z0-9_.*-]*=(?:[a-z][a-z0-9]*|\d+)(?:;[a-z]+=\d+(?:\.\d{1,3})?)*"
DICTIONARY = re.compile(rf"{ITEM}(?:, {ITEM})*")
"""A dictionary of RFC 9651 section 3.2 as far as the header makes use of it."""


def inspection() -> Inspection:
    return Inspection(plan_for([GuardSettings(input=InputActions(pii="redact"))]))


def verdict(**fields: Any) -> Verdict:
    return Verdict(**{"detector": "pii", "rule": "email", "action": "flag", "direction": "input", **fields})


def test_nothing_found_is_said() -> None:
    found = inspection()

    assert found.header().decode() == f"result=ok, policy={found.plan.policy_id}, us=0"
    assert not found.is_flagged
    assert not found.is_redacted
    assert found.vault is None


def test_findings_of_a_detector_add_up_and_the_strictest_action_is_the_result() -> None:
    found = inspection()

    found.note(verdict(count=2))
    found.note(verdict(rule="phone"))
    found.note(verdict(detector="injection", direction="tool_results", action="block", score=0.834))

    assert (
        found.header().decode().startswith("result=block, pii=flag;n=3, tool_results.injection=block;n=1;score=0.83, ")
    )


def test_every_header_is_a_dictionary() -> None:
    found = inspection()
    for direction in ("input", "output", "tool_arguments", "tool_results"):
        for action in ("monitor", "flag", "redact", "block"):
            found.note(verdict(direction=direction, action=action, detector="injection"))
    found.restored, found.spent_us = 3, 12_345

    header = found.header().decode()

    assert DICTIONARY.fullmatch(header)
    names = [member.partition("=")[0] for member in header.split(", ")]
    assert len(set(names)) == len(names)


def test_what_is_only_monitored_does_not_flag() -> None:
    found = inspection()

    found.note(verdict(action="monitor"))

    assert not found.is_flagged
    assert found.strictest() == "monitor"


def test_one_text_gives_one_verdict_a_rule() -> None:
    found = inspection()
    places = [Finding("personal", "email", 0, 5, 0.9), Finding("personal", "email", 7, 9, 0.95),
              Finding("secrets", "aws", 1, 2, 0.5)]  # fmt: skip

    found.note_findings(places, {"personal": "redact", "secrets": "flag"}, "input", "messages[0].content")

    assert [msgspec.structs.asdict(one) for one in found.verdicts] == [
        {"detector": "pii", "rule": "email", "action": "redact", "direction": "input", "count": 2,
         "ranges": ((0, 5), (7, 9)), "place": "messages[0].content", "score": 0.95},
        {"detector": "secrets", "rule": "aws", "action": "flag", "direction": "input", "count": 1,
         "ranges": ((1, 2),), "place": "messages[0].content", "score": 0.5},
    ]  # fmt: skip
    assert found.is_redacted


def test_what_is_kept_of_a_request_is_bounded() -> None:
    found = inspection()
    many = [Finding("personal", "email", at, at + 1, 0.9) for at in range(1_000)]

    for _ in range(2 * MOST_VERDICTS):
        found.note_findings(many, {"personal": "flag"}, "input", "messages[0].content")

    assert len(found.verdicts) == MOST_VERDICTS
    assert found.counts == {("input", "pii", "flag"): 2 * MOST_VERDICTS * 1_000}
    assert len(msgspec.json.encode(found.told())) < 20_000


def test_what_is_told_holds_no_value() -> None:
    found = inspection()
    text = "ann@firm.org"
    place = Finding("personal", "email", 0, len(text), 0.9)

    found.redactor.mask(text, [place])
    found.note_findings([place], {"personal": "redact"}, "input", "messages[0].content")

    assert found.vault is not None
    for shown in (repr(found.told()), repr(found.vault), repr(found.redactor), found.header().decode()):
        assert text not in shown
