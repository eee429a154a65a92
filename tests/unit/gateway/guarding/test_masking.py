from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guarding.masking import masked, without_needless_escapes
from policies.sanitise.finding import Finding
from policies.sanitise.redaction.redactor import Redactor

MAIL = "ann@firm.org"


def place_of(text: str, what: str = MAIL, rule: str = "email") -> Finding:
    start = text.index(what)
    return Finding("personal", rule, start, start + len(what), 0.9)


def test_a_plain_text_gets_a_placeholder() -> None:
    redactor = Redactor()
    said = f"Write to {MAIL}."

    assert masked(said, [place_of(said)], redactor) == f"Write to [[EMAIL_1_{redactor.vault.suffix}]]."


@pytest.mark.parametrize("document", [{"to": MAIL}, [MAIL, 1], {"note": f"first\n{MAIL}\tlast", "n": {"x": [MAIL]}}])
def test_a_json_document_stays_one(document: object) -> None:
    redactor = Redactor()
    said = json.dumps(document)

    changed = masked(said, [place_of(said)], redactor)

    assert json.loads(changed) == json.loads(said.replace(MAIL, f"[[EMAIL_1_{redactor.vault.suffix}]]", 1))


def test_half_an_escape_is_left_where_it_stands() -> None:
    redactor = Redactor()
    said = json.dumps({"note": f"line\n{MAIL}"})
    wide = Finding("personal", "email", said.index("\\n") + 1, said.index(MAIL) + len(MAIL), 0.9)

    changed = masked(said, [wide], redactor)

    assert json.loads(changed)["note"].startswith("line\n[[EMAIL_1_")
    assert redactor.vault.values == {"EMAIL_1": MAIL}


def test_what_is_kept_is_the_value_and_not_its_escapes() -> None:
    redactor = Redactor()
    value = 'pass"word\\with\nall'
    said = json.dumps({"secret": value})
    inside = said[len('{"secret": "') : -2]

    masked(said, [Finding("secrets", "key", said.index(inside), said.index(inside) + len(inside), 0.9)], redactor)

    assert list(redactor.vault.values.values()) == [value]


def test_a_number_becomes_a_string() -> None:
    redactor = Redactor()
    said = '{"card": 4111111111111111, "n": 1}'

    changed = json.loads(masked(said, [place_of(said, "4111111111111111", "card")], redactor))

    assert changed == {"card": f"[[CARD_1_{redactor.vault.suffix}]]", "n": 1}


def test_what_only_looks_like_json_is_masked_as_a_text() -> None:
    redactor = Redactor()
    said = f"[see {MAIL}]"

    assert masked(said, [place_of(said)], redactor) == f"[see [[EMAIL_1_{redactor.vault.suffix}]]]"


def test_findings_that_overlap_become_one_placeholder() -> None:
    said = json.dumps({"x": "abcdef"})
    first, second = (Finding("secrets", "key", 7 + at, 10 + at, 0.9) for at in (0, 1))

    changed = masked(said, [first, second], Redactor())

    assert json.loads(changed)["x"].count("[[") == 1


@given(st.dictionaries(st.text(max_size=5), st.text(min_size=1, max_size=30), min_size=1, max_size=4), st.data())
def test_whatever_is_found_in_a_string_the_document_stays_one(document: dict[str, str], data: st.DataObject) -> None:
    said = json.dumps(document)
    name = data.draw(st.sampled_from(sorted(document)))
    written = json.dumps(document[name])
    first = said.index(f": {written}") + 3
    start = data.draw(st.integers(first, first + len(written) - 3))
    end = data.draw(st.integers(start + 1, first + len(written) - 2))

    changed = masked(said, [Finding("secrets", "key", start, end, 0.9)], Redactor())

    assert json.loads(changed).keys() == document.keys()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (r'{"a":"x\u0040y"}', '{"a":"x@y"}'),
        (r'{"a":"\u0022"}', r'{"a":"\u0022"}'),
        (r'{"a":"\\u0040"}', r'{"a":"\\u0040"}'),
        (r'{"a":"\\\u0040"}', '{"a":"\\\\@"}'),
        (r'{"a":"\u00e9"}', r'{"a":"\u00e9"}'),
        (r'{"a":"\u005c\u0041"}', r'{"a":"\u005cA"}'),
    ],
)
def test_escapes_that_hide_nothing_but_ascii_are_undone(said: str, found: str) -> None:
    assert without_needless_escapes(said) == found
    assert json.loads(said) == json.loads(found)
