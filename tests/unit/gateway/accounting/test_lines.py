from __future__ import annotations

import json

import pytest

from gateway.accounting.lines import from_line, to_line
from gateway.domain.usage import NO_USAGE, Usage
from tests.support.usage import usage_record


def test_a_record_survives_being_a_line() -> None:
    record = usage_record(usage=Usage(reasoning_tokens=3, provenance="counted"), user='"\n', kind="expired")

    assert from_line(to_line(record)) == record
    assert from_line(to_line(usage_record(id="a", usage=NO_USAGE))).usage == NO_USAGE


def test_a_line_has_a_member_for_each_field() -> None:
    members = json.loads(to_line(usage_record()))

    assert set(members) == set(usage_record().__struct_fields__)
    assert members["usage"] == {"input_tokens": 100, "cached_tokens": 10, "output_tokens": 20}


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b"{}", b'{"id": "a"}', b"\xff"])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a record of usage"):
        from_line(line)


def test_a_member_of_another_kind_is_refused() -> None:
    members = json.loads(to_line(usage_record())) | {"cost_microusd": "free"}

    with pytest.raises(ValueError, match="not a record of usage: Expected `int`"):
        from_line(json.dumps(members).encode())
