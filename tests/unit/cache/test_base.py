from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.base import Entry, Selection, id_text, number_of, read_id
from gateway.domain.usage import NO_USAGE


@given(st.binary(min_size=8, max_size=32))
def test_an_id_is_read_back(key: bytes) -> None:
    number = number_of(key)

    assert 0 <= number < 2**63
    assert read_id(id_text(number)) == number
    assert len(id_text(number)) == 16


@pytest.mark.parametrize(
    "text", ["", "x" * 16, "0" * 15, "0" * 17, "f" * 16, "-" + "0" * 15, "+" + "0" * 15, "\u0660" * 16]
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert read_id(text) is None


def test_a_selection_has_what_it_names() -> None:
    entry = Entry(body=b"", usage=NO_USAGE, answered_model="m", stored_at=0, tenant="t", scope=b"s")

    assert Selection().has(entry)
    assert Selection(tenant="t", scope=b"s", answered_model="m").has(entry)
    assert not any(
        one.has(entry) for one in (Selection(tenant="u"), Selection(scope=b""), Selection(answered_model="n"))
    )
