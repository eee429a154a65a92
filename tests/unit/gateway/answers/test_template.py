from __future__ import annotations

import json

import pytest

from gateway.answers.template import Fresh, cut, cut_events, fill, fresh, new_id
from tests.support.kept_answers import NEW, NONCE

LATER = Fresh(b"f" * 32, 1_900_000_000)


def cut_and_fill(text: str, answer_id: str = "", times: tuple[str, ...] = (), ids: tuple[str, ...] = ()) -> str:
    return fill(cut(text.encode(), answer_id, times, ids), NEW).decode()


def test_id_and_time_are_new_and_every_other_byte_stays() -> None:
    text = '{"id" : "chatcmpl-old", "x":[1.50, "\\u00fc"],\n "created":17}'

    found = cut_and_fill(text, "chatcmpl-old", ("created",))

    assert found == f'{{"id" : "chatcmpl-{NONCE.decode()}", "x":[1.50, "\\u00fc"],\n "created":1800000000}}'


def test_only_the_members_of_the_answer_itself_are_replaced() -> None:
    text = '{"a":{"id":"chatcmpl-old","created":17},"id":"chatcmpl-old","created":17}'

    found = json.loads(cut_and_fill(text, "chatcmpl-old", ("created",)))

    assert found["a"] == {"id": "chatcmpl-old", "created": 17}


@pytest.mark.parametrize(
    ("old", "prefix"),
    [
        ("chatcmpl-abc", "chatcmpl-"), ("msg_abc", "msg_"), ("resp_abc", "resp_"), ("gen-1738-abc", "gen-"),
        ("cmpl-a_b", "cmpl-"), ("8f14e45f-ceea", ""), ("abc", ""), ("-abc", ""), ("grüß-abc", ""),
    ],
)  # fmt: skip
def test_an_id_keeps_the_word_in_front(old: str, prefix: str) -> None:
    text = json.dumps({"id": old}, ensure_ascii=False)

    assert json.loads(cut_and_fill(text, old))["id"] == prefix + NONCE.decode()


@pytest.mark.parametrize(
    ("old", "prefix"),
    [
        ("call_DdmO9pD3xa9XTPNJ32zg2hcA", "call_"), ("toolu_01A09q90qw90lq917835lq9", "toolu_"),
        ("chatcmpl-tool-0123456789abcdef0123456789abcdef", "chatcmpl-tool-"), ("0123456789abcdef", ""),
        ("fc_67ccd2bf17f0819081ff3bb2cf6508e667ccd2bf17f0819081", "fc_"),
    ],
)  # fmt: skip
def test_an_id_of_a_part_keeps_prefix_and_length(old: str, prefix: str) -> None:
    found = json.loads(cut_and_fill(json.dumps({"x": [{"id": old}]}), ids=(old,)))["x"][0]["id"]

    assert found != old
    assert found.startswith(prefix)
    assert len(found) == len(old)
    assert found[len(prefix) :].isalnum()


@pytest.mark.parametrize("old", ["D681PevKs", "call_1", "8f14e45f-ceea-467f-a8f5", "call_DdmO9pD3xa9XTPNJ32zg2h ü", ""])
def test_an_id_that_is_short_or_odd_stays(old: str) -> None:
    assert json.loads(cut_and_fill(json.dumps({"x": old}), ids=(old,))) == {"x": old}


def test_parts_get_different_ids() -> None:
    ids = [f"call_0123456789abcdef{number:04}" for number in range(3)]

    found = json.loads(cut_and_fill(json.dumps({"x": ids}), ids=tuple(ids)))["x"]

    assert len({*found, *ids}) == 6


def test_an_id_that_stands_there_twice_stays() -> None:
    old = "call_0123456789abcdef0000"

    assert json.loads(cut_and_fill(json.dumps({"x": [old, old]}), ids=(old,)))["x"] == [old, old]


def test_an_id_inside_a_text_stays() -> None:
    old = "call_0123456789abcdef0000"
    text = json.dumps({"x": f'say "{old}" or {old}', "id": old})

    found = json.loads(cut_and_fill(text, ids=(old,)))

    assert found["x"] == f'say "{old}" or {old}'
    assert found["id"] != old


def test_each_time_it_is_filled_with_what_is_new() -> None:
    template = cut(b'{"id":"chatcmpl-old","created":1}', "chatcmpl-old", ("created",), ())

    assert fill(template, NEW) != fill(template, LATER)
    assert json.loads(fill(template, LATER)) == {"id": "chatcmpl-" + "f" * 32, "created": 1_900_000_000}
    assert new_id(template, LATER) == "chatcmpl-" + "f" * 32


def test_what_has_no_id_has_no_new_one() -> None:
    assert new_id(cut(b"{}", "", (), ()), NEW) == ""
    assert fill(cut(b"{}", "", (), ()), NEW) == b"{}"


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_every_event_gets_the_same_new_id_and_time(separators: tuple[str, str]) -> None:
    chunk = {"id": "chatcmpl-old", "created": 17, "x": '"created":17, "chatcmpl-old"'}
    last = {"x": 1, "id": "chatcmpl-old", "created": 17}
    events = "".join(f"data: {json.dumps(event, separators=separators)}\n\n" for event in (chunk, last))

    found = fill(cut_events(events.encode(), "chatcmpl-old", 17, ("created",), ()), NEW).decode()

    lines = [json.loads(line[6:]) for line in found.splitlines() if line]
    assert {line["id"] for line in lines} == {"chatcmpl-" + NONCE.decode()}
    assert {line["created"] for line in lines} == {1_800_000_000}
    assert lines[0]["x"] == chunk["x"]


def test_every_mention_of_an_items_id_in_events_changes_alike() -> None:
    old = "msg_0123456789abcdef0000"
    events = b'data: {"item_id":"%b"}\n\ndata: {"item":{"id":"%b"}}\n\n' % (old.encode(), old.encode())

    found = fill(cut_events(events, "", None, (), (old,)), NEW).decode().splitlines()

    first, second = json.loads(found[0][6:])["item_id"], json.loads(found[2][6:])["item"]["id"]
    assert first == second != old


def test_what_is_fresh_differs_each_time() -> None:
    one, other = fresh(), fresh()

    assert one.nonce != other.nonce
    assert len(one.nonce) == 32
    assert one.nonce.isalnum()
