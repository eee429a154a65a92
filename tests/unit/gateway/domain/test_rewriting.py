from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.messages import CountTokensRequest, read_count_tokens
from gateway.domain.rewriting import path_name, replace_texts, replaced_in

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def strings_in(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, str):
        return [path]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for step, inner in children for found in strings_in(inner, (*path, step))]


@pytest.mark.parametrize(
    ("body", "path", "after"),
    [
        (b'{"a":"x"}', ("a",), b'{"a":"NEW"}'),
        (b' { "b" : 1.0e2 ,\n "a" : [ 1 , {"c":"y"} ] } ', ("a", 1, "c"),
         b' { "b" : 1.0e2 ,\n "a" : [ 1 , {"c":"NEW"} ] } '),
        (b'[ "x", "y" ]', (1,), b'[ "x", "NEW" ]'),
        (b'{"q\\"uo\\\\te":1,"a":"x"}', ("a",), b'{"q\\"uo\\\\te":1,"a":"NEW"}'),
        (b'{"a":"\\ud83d half","b":"\\ud83d"}', ("a",), b'{"a":"NEW","b":"\\ud83d"}'),
        (b'{"a":"[,]{\\"a\\":1}","b":"x"}', ("b",), b'{"a":"[,]{\\"a\\":1}","b":"NEW"}'),
    ],
)  # fmt: skip
def test_only_the_string_at_the_place_changes(body: bytes, path: tuple[str | int, ...], after: bytes) -> None:
    assert replace_texts(body, {path: "NEW"}) == after


def test_a_name_that_stands_twice_is_replaced_twice() -> None:
    assert replace_texts(b'{"a":"x","a":"y"}', {("a",): "z"}) == b'{"a":"z","a":"z"}'


def test_several_places_change_at_once() -> None:
    body = b'{"a":["x","y",{"b":"z"}],"c":"w"}'

    changed = replace_texts(body, {("a", 0): "1", ("a", 2, "b"): "2", ("c",): '"'})

    assert changed == b'{"a":["1","y",{"b":"2"}],"c":"\\""}'


@given(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4), st.data())
def test_the_bytes_and_the_document_change_alike(document: dict[str, Any], data: st.DataObject) -> None:
    paths = strings_in(document)
    texts = {
        path: data.draw(st.text(max_size=5))
        for path in data.draw(st.lists(st.sampled_from(paths)) if paths else st.just([]))
    }
    body = json.dumps(document, indent=1).encode()

    changed = replace_texts(body, texts)

    assert json.loads(changed) == replaced_in(document, texts)


def test_what_did_not_change_is_shared_and_what_did_is_a_copy() -> None:
    document = {"a": [{"x": "1"}, {"y": "2"}]}

    changed = replaced_in(document, {("a", 0, "x"): "new"})

    assert document["a"][0] == {"x": "1"}
    assert changed["a"][1] is document["a"][1]


def test_a_place_is_named_as_people_write_it() -> None:
    assert path_name(("messages", 3, "content", 0, "text")) == "messages[3].content[0].text"


def test_a_rewritten_request_is_read_as_if_it_had_come_so() -> None:
    request = read_chat(b'{"model":"m","messages":[{"role":"user","content":"old"}],"max_tokens":5,"stream":true}')

    changed = request.rewritten({("messages", 0, "content"): "new"})

    assert isinstance(changed, ChatRequest)
    assert changed.body == b'{"model":"m","messages":[{"role":"user","content":"new"}],"max_tokens":5,"stream":true}'
    assert changed.messages == [{"role": "user", "content": "new"}]
    assert (changed.stream, changed.max_output_tokens) == (True, 5)
    assert request.messages[0]["content"] == "old"


def test_a_rewritten_count_of_tokens_stays_one() -> None:
    request = read_count_tokens(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"old"}]}')

    changed = request.rewritten({("messages", 0, "content"): "new"})

    assert isinstance(changed, CountTokensRequest)
    assert not changed.stream
