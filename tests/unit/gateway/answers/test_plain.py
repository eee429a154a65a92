from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.answers.again import plain_again
from gateway.answers.plain import record_plain
from gateway.answers.record import why_not
from gateway.domain.request import Shape
from tests.support.kept_answers import (
    NEW,
    NONCE,
    USAGE,
    chat_answer,
    message_answer,
    plain,
    response_answer,
    response_message,
    tool_call,
)

TWO_CALLS = chat_answer(None, "tool_calls", tool_calls=[tool_call(1), tool_call(2)])
USE = {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "f", "input": {"a": 1}}
CALL = {
    "id": "fc_67ccd2bf17f0819081ff3bb2cf6508e6",
    "type": "function_call",
    "call_id": "call_DdmO9pD3xa9XTPNJ32zg2hcA",
    "name": "f",
    "arguments": "{}",
}


def again(document: dict[str, Any] | bytes, shape: Shape) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plain_again(record_plain(plain(document), shape), USAGE, "m", NEW).body)
    return found


def test_a_chat_answer_is_given_again_with_new_ids_and_time_and_nothing_else() -> None:
    found = again(TWO_CALLS, "chat")

    calls = found["choices"][0]["message"]["tool_calls"]
    assert found["id"] == "chatcmpl-" + NONCE.decode()
    assert found["created"] == NEW.created
    assert len({call["id"] for call in calls} | {tool_call(1)["id"], tool_call(2)["id"]}) == 4
    for call, number in zip(calls, (1, 2), strict=True):
        call["id"] = tool_call(number)["id"]
    assert found == TWO_CALLS | {"id": found["id"], "created": found["created"]}


def test_a_message_is_given_again_with_new_ids() -> None:
    found = again(message_answer(USE, stop="tool_use"), "messages")

    assert found["id"] == "msg_" + NONCE.decode()
    assert found["content"][0]["id"].startswith("toolu_")
    assert found["content"][0]["id"] != USE["id"]
    assert found["usage"] == message_answer()["usage"]


def test_a_response_is_given_again_with_new_ids_and_times() -> None:
    reasoning = {"type": "reasoning", "id": "rs_67ccd2bf17f0819081ff3bb2cf6508e6", "summary": []}
    answer = response_answer(reasoning, response_message(), CALL, completed_at=1_741_476_543)

    found = again(answer, "responses")

    assert found["id"] == "resp_" + NONCE.decode()
    assert found["created_at"] == found["completed_at"] == NEW.created
    assert found["output"][0] == reasoning
    assert found["output"][1]["id"] != response_message()["id"]
    assert found["output"][2]["id"] != CALL["id"]
    assert found["output"][2]["call_id"] != CALL["call_id"]


def test_the_reply_has_the_new_id_of_a_response() -> None:
    reply = plain_again(record_plain(plain(response_answer()), "responses"), USAGE, "m", NEW)

    assert reply.response_id == "resp_" + NONCE.decode()
    assert (reply.usage, reply.answered_model, reply.dropped) == (USAGE, "m", None)


def test_what_a_translated_request_lost_is_told_again() -> None:
    sent = plain(chat_answer())
    record = record_plain(type(sent)(body=sent.body, usage=USAGE, dropped=("seed",)), "chat")

    assert plain_again(record, USAGE, "m", NEW).dropped == ("seed",)


def test_embeddings_are_given_again_to_the_letter() -> None:
    body = b'{"object":"list","data":[{"index":0,"embedding":[0.10,-1e-9]}],"model":"m"}'

    record = record_plain(plain(body), "embeddings")

    assert why_not(record) is None
    assert plain_again(record, USAGE, "m", NEW).body == body


@pytest.mark.parametrize(
    ("shape", "body", "reason"),
    [
        ("embeddings", b'{"data":[]}', "empty"),
        ("embeddings", b'{"data":null}', "empty"),
        ("embeddings", b"{}", "empty"),
        ("embeddings", b'{"data":[1],"error":{"message":"x"}}', "error"),
        ("embeddings", b"[", "unreadable"),
        ("chat", b"", "unreadable"),
        ("chat", b"[]", "unreadable"),
        ("chat", b'"\x00"', "unreadable"),
        ("chat", json.dumps(chat_answer(finish="length")).encode(), "truncated"),
        ("messages", json.dumps(message_answer(stop="refusal")).encode(), "refused"),
        ("count_tokens", b'{"input_tokens":1}', "shape"),
        ("embeddings", b" " * (4 * 2**20 + 1), "large"),
    ],
)
def test_what_is_not_to_be_kept_says_why(shape: Shape, body: bytes, reason: str) -> None:
    assert why_not(record_plain(plain(body), shape)) == reason


def test_an_answer_with_half_a_character_is_given_again_plain_only() -> None:
    body = json.dumps(chat_answer("x?")).encode().replace(b"x?", rb"x\ud83d")

    record = record_plain(plain(body), "chat")

    assert why_not(record) is None
    assert (record.serves(stream=False), record.serves(stream=True)) == (True, False)
    assert rb"x\ud83d" in plain_again(record, USAGE, "m", NEW).body


@pytest.mark.parametrize("created", ["soon", None, True, [1]])
def test_an_odd_time_stays(created: Any) -> None:
    assert again(chat_answer() | {"created": created}, "chat")["created"] == created


def test_an_answer_without_an_id_gets_none() -> None:
    document = chat_answer()
    del document["id"]

    assert "id" not in again(document, "chat")
