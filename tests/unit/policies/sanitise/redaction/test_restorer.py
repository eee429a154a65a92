from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.sanitise.finding import Finding
from policies.sanitise.redaction.placeholder import longest_placeholder
from policies.sanitise.redaction.redactor import Redactor, Vault
from policies.sanitise.redaction.restorer import Restorer, StreamRestorer

VAULT = Vault(suffix="k7q2x", values={"EMAIL_1": "ann@firm.org", "SECRET_12": 'a"b\\c'})
TRICKY = st.text(alphabet='[]_ EMAILmailSECRET012k7q2x"\\\u200bé\n', max_size=60)


@st.composite
def masked(draw: st.DrawFn) -> tuple[str, str, Vault]:
    text = draw(TRICKY)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    rules = draw(st.lists(st.sampled_from(["email", "phone", "us_ssn"]), min_size=6, max_size=6))
    findings = [
        Finding("personal", rule, start, end, 0.5)
        for start, end, rule in zip(cuts[::2], cuts[1::2], rules, strict=False)
    ]
    redactor = Redactor()
    return text, redactor.mask(text, findings), redactor.vault


@given(masked())
def test_restoring_a_masked_text_gives_the_text(case: tuple[str, str, Vault]) -> None:
    text, changed, vault = case

    assert Restorer(vault).restore(changed) == text


@given(masked())
def test_a_stream_cut_anywhere_restores_the_text(case: tuple[str, str, Vault]) -> None:
    text, changed, vault = case

    for cut in range(len(changed) + 1):
        stream = StreamRestorer(vault)
        restored = stream.feed(changed[:cut])
        assert stream.held <= longest_placeholder(vault.suffix)
        assert restored + stream.feed(changed[cut:]) + stream.flush() == text


@given(masked())
def test_a_stream_of_single_characters_restores_the_text(case: tuple[str, str, Vault]) -> None:
    text, changed, vault = case
    stream = StreamRestorer(vault)

    assert "".join(map(stream.feed, changed)) + stream.flush() == text


@given(masked())
def test_a_string_of_json_is_restored_escaped(case: tuple[str, str, Vault]) -> None:
    text, changed, vault = case

    assert json.loads(Restorer(vault, "json").restore(json.dumps(changed))) == text


@pytest.mark.parametrize(
    "written", ["[[email_1_K7Q2X]]", "[[ EMAIL_1_k7q2x ]]", "[[EMAIL 1 k7q2x]]", "[[Email-1-k7q2x]]"]
)
def test_a_placeholder_survives_other_case_and_spaces(written: str) -> None:
    assert Restorer(VAULT).restore(f"to {written}!") == "to ann@firm.org!"


@pytest.mark.parametrize("written", ["[[EMAIL_1_zzzzz]]", "[[EMAIL_1]]", "[EMAIL_1_k7q2x]", "[[EMAIL_1_k7q2x"])
def test_what_is_no_placeholder_of_this_request_stays(written: str) -> None:
    assert Restorer(VAULT).restore(written) == written


def test_a_placeholder_that_stands_for_nothing_is_counted_as_invented() -> None:
    restorer = Restorer(VAULT)

    assert restorer.restore("[[EMAIL_9_k7q2x]] [[EMAIL_1_k7q2x]]") == "[[EMAIL_9_k7q2x]] ann@firm.org"
    assert (restorer.invented, restorer.restored) == (1, 1)


def test_a_placeholder_without_brackets_is_counted_as_unrestored() -> None:
    restorer = Restorer(VAULT)

    restorer.restore("EMAIL_1_k7q2x")

    assert restorer.unrestored == 1


def test_a_stream_sends_on_at_once_what_cannot_become_a_placeholder() -> None:
    stream = StreamRestorer(VAULT)

    assert stream.feed("a list [1, 2] and [[x]] and [") == "a list [1, 2] and [[x]] and "
    assert stream.held == 1


def test_a_stream_that_breaks_off_gives_back_what_it_held() -> None:
    stream = StreamRestorer(VAULT)
    stream.feed("see [[EMAIL_1")

    assert stream.flush() == "[[EMAIL_1"


def test_what_was_put_in_is_not_restored_again() -> None:
    vault = Vault(suffix="k7q2x", values={"ID_1": "[[ID_2_k7q2x]]", "ID_2": "secret"})

    assert Restorer(vault).restore("[[ID_1_k7q2x]]") == "[[ID_2_k7q2x]]"


def test_an_answer_without_a_vault_passes_unchanged() -> None:
    stream = StreamRestorer(Vault(suffix="k7q2x", values={}))

    assert stream.feed("[[EMAIL_1_k7q2x") == "[[EMAIL_1_k7q2x"
