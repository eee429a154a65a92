from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.chat import read_chat
from gateway.domain.completions import read_completions
from gateway.domain.messages import read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_responses
from tests.support.build import chat_request

SAID = {"messages": [{"role": "user", "content": "Hi"}]}
READERS: list[tuple[Callable[[bytes], ModelRequest], dict[str, Any], str]] = [
    (read_chat, SAID, "max_completion_tokens"),
    (read_chat, SAID, "max_tokens"),
    (read_responses, {"input": "Hi"}, "max_output_tokens"),
    (read_messages, SAID, "max_tokens"),
    (read_completions, {"prompt": "Hi"}, "max_tokens"),
]


def asked(request: ModelRequest) -> dict[str, Any]:
    """Return the limits that an upstream reads in a request."""
    return {name: value for name, value in json.loads(request.body).items() if name.startswith("max_")}


@pytest.mark.parametrize(("read", "document", "name"), READERS)
def test_the_longest_answer_is_read_in_every_shape(
    read: Callable[[bytes], ModelRequest], document: dict[str, Any], name: str
) -> None:
    request = read(json.dumps({"model": "m", **document, name: 7}).encode())

    assert request.most_output_tokens == request.max_output_tokens == 7


def test_a_request_that_names_no_limit_has_none() -> None:
    assert chat_request().most_output_tokens is None
    assert chat_request(max_tokens=None, max_completion_tokens=None).most_output_tokens is None


@pytest.mark.parametrize(("older", "newer"), [(5, 9), (9, 5)])
def test_the_larger_of_two_limits_bounds_an_answer_whichever_is_read(older: int, newer: int) -> None:
    request = chat_request(max_tokens=older, max_completion_tokens=newer)

    assert (request.most_output_tokens, request.max_output_tokens) == (9, 5)


@pytest.mark.parametrize(("read", "document", "name"), READERS)
def test_a_request_is_sent_with_a_shorter_answer(
    read: Callable[[bytes], ModelRequest], document: dict[str, Any], name: str
) -> None:
    request = read(json.dumps({"model": "m", **document, name: 70, "x": [1.0, None]}).encode())

    limited = request.limited(7)

    assert json.loads(limited.body) == {"model": "m", **document, name: 7, "x": [1.0, None]}
    assert limited.document == {"model": "m", **document, name: 7, "x": [1.0, None]}
    assert limited.most_output_tokens == limited.max_output_tokens == 7
    assert type(limited) is type(request)


@pytest.mark.parametrize("given", [{}, {"max_completion_tokens": None}])
def test_a_request_without_a_limit_gets_the_one_its_upstreams_read(given: dict[str, Any]) -> None:
    limited = chat_request(**given).limited(7)

    assert asked(limited) == {"max_completion_tokens": 7}
    assert limited.max_output_tokens == limited.most_output_tokens == 7


@pytest.mark.parametrize(
    ("older", "newer", "sent", "shortest"),
    [
        (70, 80, {"max_tokens": 7, "max_completion_tokens": 7}, 7),
        (70, 5, {"max_tokens": 7, "max_completion_tokens": 5}, 5),
        (5, 70, {"max_tokens": 5, "max_completion_tokens": 7}, 5),
    ],
)
def test_only_limits_that_are_too_long_are_shortened(
    older: int, newer: int, sent: dict[str, int], shortest: int
) -> None:
    limited = chat_request(max_tokens=older, max_completion_tokens=newer).limited(7)

    assert asked(limited) == sent
    assert (limited.most_output_tokens, limited.max_output_tokens) == (7, shortest)


def test_the_request_itself_stays_as_it_was() -> None:
    request = chat_request(max_tokens=70)
    body, document = request.body, dict(request.document)

    request.limited(7)

    assert (request.body, request.document, request.max_output_tokens) == (body, document, 70)


def test_every_other_byte_stays_as_received() -> None:
    body = b'{ "zeta":1.0e0,"model":"m" , "max_tokens": 70,"messages":[{"role":"user","content":"\\ud83d"}]}'

    limited = read_chat(body).limited(7)

    assert limited.body == body.replace(b"70", b"7")


sizes = st.none() | st.integers(0, 100)


@given(older=sizes, newer=sizes, tokens=st.integers(1, 100))
def test_a_shortened_request_allows_no_more_than_told_nor_than_asked(
    older: int | None, newer: int | None, tokens: int
) -> None:
    request = chat_request(max_tokens=older, max_completion_tokens=newer)

    limited = request.limited(tokens)

    assert limited.most_output_tokens is not None
    assert limited.most_output_tokens <= tokens
    for name, value in asked(limited).items():
        assert value is None or request.document.get(name) is None or value <= request.document[name]
    assert read_chat(limited.body).max_output_tokens == limited.max_output_tokens
