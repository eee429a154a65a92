from __future__ import annotations

import random
import string

import pytest

from policies.sanitise.finding import Finding, Kind
from policies.sanitise.scan import ALL_KINDS, TextScanner, scan_text, shared_scanner, without_overlaps
from policies.sanitise.steps import finish
from tests.support.mixed_texts import mixed_text


def drawn(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    source = random.Random(f"{length}{alphabet}")  # noqa: S311 # reproducible, guards nothing
    return "".join(source.choice(alphabet) for _ in range(length))


TOKEN = "ghp_" + drawn(36)


def test_findings_hold_places_of_the_original_text() -> None:
    text = f"push with {TOKEN} and tell ann.lee@firm.org"

    found = [(finding.detector, finding.rule, text[finding.start : finding.end]) for finding in scan_text(text)]

    assert found == [("secrets", "github", TOKEN), ("personal", "email", "ann.lee@firm.org")]


def test_only_the_kinds_that_were_asked_for_are_looked_for() -> None:
    assert {finding.detector for finding in scan_text(f"{TOKEN} ann.lee@firm.org", {"personal"})} == {"personal"}


def test_a_secret_with_invisible_characters_inside_is_found_where_it_stands() -> None:
    hidden = TOKEN[:9] + "\u200b" + TOKEN[9:]
    text = f"é {hidden}."

    found = [finding for finding in scan_text(text, {"secrets"}) if finding.rule == "github"]

    assert [text[finding.start : finding.end] for finding in found] == [hidden]


def test_a_secret_in_fullwidth_letters_is_found_where_it_stands() -> None:
    wide = "".join(chr(ord(character) + 0xFEE0) for character in TOKEN)
    text = f"… {wide}"

    assert [text[finding.start : finding.end] for finding in scan_text(text, {"secrets"})] == [wide]


def test_a_secret_in_an_encoded_text_marks_the_whole_of_it() -> None:
    encoded = "".join(f"%{ord(character):02x}" for character in TOKEN)
    text = f"see {encoded}"

    assert [text[finding.start : finding.end] for finding in scan_text(text, {"secrets"})] == [encoded]


def test_what_stands_across_two_slices_is_found_once() -> None:
    text = "word " * 13_100 + TOKEN + " word" * 13_100

    found = scan_text(text, {"secrets"})

    assert [text[finding.start : finding.end] for finding in found] == [TOKEN]


def test_a_text_full_of_findings_ends_in_one_that_covers_the_rest() -> None:
    text = "mail ann@firm.org " * 3_000

    found = scan_text(text, {"personal"})

    assert found[-1].rule == "crowded"
    assert found[-1].end == len(text)


@pytest.mark.parametrize(
    "part", ["key=a1b2c3 ", "the token is a1b2c3 ", "api_key_of_mine: 'a1b2c3d4' ", f"ab_{drawn(28)} "]
)
def test_a_text_full_of_candidates_pauses_often(part: str) -> None:
    ticks = iter(range(10**9))
    scanner = TextScanner(clock=lambda: float(next(ticks)))

    assert sum(1 for _ in scanner.steps(part * (60_000 // len(part)), {"secrets"})) > 100


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "\U0010ffff", "é" * 70_000, "[" * 70_000])
def test_no_text_is_too_odd(text: str) -> None:
    assert all(0 <= finding.start < finding.end <= len(text) for finding in scan_text(text))


def test_of_findings_of_one_detector_that_overlap_the_surest_is_kept() -> None:
    weak, sure, other = (
        Finding("secrets", "a", 0, 9, 0.5),
        Finding("secrets", "b", 4, 8, 0.9),
        Finding("personal", "c", 2, 6, 0.1),
    )

    assert without_overlaps([weak, sure, other]) == [other, sure]


def test_what_a_less_sure_finding_has_beside_the_surest_is_not_left_standing() -> None:
    block, inside = Finding("secrets", "a", 0, 90, 0.5), Finding("secrets", "b", 60, 120, 0.9)

    assert without_overlaps([block, inside]) == [Finding("secrets", "b", 0, 120, 0.9)]


def test_the_shared_scanner_is_built_once() -> None:
    assert shared_scanner() is shared_scanner()


@pytest.mark.parametrize("kinds", [ALL_KINDS, {"secrets", "personal"}, {"secrets"}, {"unicode"}])
def test_a_short_text_has_the_findings_that_it_has_in_steps(kinds: set[Kind]) -> None:
    source = random.Random(len(kinds))  # noqa: S311 # reproducible, guards nothing
    texts = [mixed_text(source) for _ in range(400)]

    found = [scan_text(text, kinds) for text in texts]

    assert found == [finish(shared_scanner().steps(text, kinds)) for text in texts]
    assert 20 < sum(map(bool, found)) < 380


def test_detectors_that_share_a_pass_find_what_each_finds_alone() -> None:
    source = random.Random(9)  # noqa: S311 # reproducible, guards nothing
    texts = [mixed_text(source) for _ in range(400)]

    together = [set(scan_text(text, {"secrets", "personal"})) for text in texts]

    assert together == [{*scan_text(text, {"secrets"}), *scan_text(text, {"personal"})} for text in texts]


def test_a_short_text_full_of_candidates_has_the_findings_that_it_has_in_steps() -> None:
    text = "mail ann@firm.org " * 200

    assert scan_text(text) == finish(shared_scanner().steps(text))
