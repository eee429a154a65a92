from __future__ import annotations

import json

import pytest

from gateway.domain.chat import read_chat
from gateway.domain.messages import read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import ResponsesRequest, read_responses
from gateway.outputs.compiled import Problem
from gateway.outputs.expectation import Fault
from gateway.outputs.repair import MAX_ANSWER_CHARS, complaint, repair_request

FAULT = Fault("schema", 0, (Problem("/n", "type", 'the schema says "type": "integer"'),))
ASK = {"role": "user", "content": complaint(FAULT)}


def chat_reply(*contents: str) -> bytes:
    choices = [{"message": {"content": content}, "finish_reason": "stop"} for content in contents]
    return json.dumps({"choices": choices}).encode()


def response(text: str) -> bytes:
    part = {"type": "output_text", "text": text}
    return json.dumps({"output": [{"type": "message", "content": [part]}]}).encode()


def message(text: str) -> bytes:
    return json.dumps({"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}).encode()


CHAT = b'{"model": "m", "x": 1.0, "messages" : [ {"role": "user", "content": "Hi"} ] ,"response_format": {"type": "x"}}'
CASES: list[tuple[ModelRequest, bytes, str]] = [
    (read_chat(CHAT), chat_reply('{"n": "x"}'), "messages"),
    (read_responses(b'{"model": "m", "x": 1.0, "input": "Hi"}'), response('{"n": "x"}'), "input"),
    (read_responses(b'{"model": "m", "input": [{"role": "user", "content": "Hi"}]}'), response('{"n": "x"}'), "input"),
    (
        read_messages(b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}'),
        message('{"n": "x"}'),
        "messages",
    ),
]


@pytest.mark.parametrize(("request_", "reply", "member"), CASES)
def test_the_answer_and_what_is_wrong_with_it_are_added(request_: ModelRequest, reply: bytes, member: str) -> None:
    again = repair_request(request_, reply, FAULT)

    added = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": '{"n": "x"}'}, ASK]
    assert json.loads(again.body)[member] == added == again.document[member] == again.messages
    assert type(again) is type(request_)


@pytest.mark.parametrize(("request_", "reply", "member"), CASES)
def test_the_request_that_was_answered_is_left_as_it_is(request_: ModelRequest, reply: bytes, member: str) -> None:
    before = request_.body, json.dumps(request_.document), len(request_.messages)

    repair_request(request_, reply, FAULT)

    assert (request_.body, json.dumps(request_.document), len(request_.messages)) == before


def test_every_other_byte_of_the_request_is_kept() -> None:
    again = repair_request(read_chat(CHAT), chat_reply("x"), FAULT)

    head, tail = CHAT.split(b"} ]")
    assert again.body.startswith(head + b"},")
    assert again.body.endswith(tail)


def test_half_a_surrogate_pair_in_the_request_is_sent_as_it_was_judged() -> None:
    request = read_chat(rb'{"model": "m", "messages": [{"role": "user", "content": "\ud83d"}]}')

    again = repair_request(request, chat_reply("x"), FAULT)

    sent = json.loads(again.body)["messages"]
    assert (sent[0]["content"], sent[-1]) == ("\ufffd", ASK)


def test_the_choice_with_the_fault_is_sent_back() -> None:
    again = repair_request(read_chat(CHAT), chat_reply("{}", "wrong"), Fault("json", 1, FAULT.problems))

    assert again.messages[1]["content"] == "wrong"


@pytest.mark.parametrize("answer", ["", " \n"])
def test_an_empty_answer_is_not_sent_back(answer: str) -> None:
    again = repair_request(read_chat(CHAT), chat_reply(answer), FAULT)

    assert [each["role"] for each in again.messages] == ["user", "user"]


def test_a_long_answer_is_cut() -> None:
    again = repair_request(read_chat(CHAT), chat_reply("é" * 300_000), FAULT)

    assert len(again.messages[1]["content"]) == MAX_ANSWER_CHARS


def test_the_request_is_plain_whatever_the_first_one_was() -> None:
    options = b'{"model": "m", "stream": true, "stream_options": {"include_usage": true}, '
    again = repair_request(read_chat(options + CHAT.partition(b",")[2].lstrip()), chat_reply("x"), FAULT)

    sent = json.loads(again.body)
    assert (again.stream, sent["stream"], sent["stream_options"]) == (False, False, None)
    assert again.document["stream"] is False


def test_a_stored_conversation_is_not_told_again_what_it_has() -> None:
    request = read_responses(b'{"model": "m", "input": "Hi", "conversation": "conv_1"}')

    again = repair_request(request, response("x"), FAULT)

    assert json.loads(again.body)["input"] == [ASK]


def test_a_conversation_that_was_put_in_stays_as_the_upstream_may_see_it() -> None:
    items = '[{"role": "assistant", "content": "Hello"}]'
    request = read_responses(f'{{"model": "m", "previous_response_id": null, "input": {items}}}'.encode())
    request.document = {**request.document, "previous_response_id": "resp_1"}

    again = repair_request(request, response("x"), FAULT)

    assert again.previous_response_id is None
    assert json.loads(again.body)["input"][0] == {"role": "assistant", "content": "Hello"}


def test_a_prompt_without_input_gets_one() -> None:
    request = read_responses(b'{"model": "m", "prompt": {"id": "p"}}')

    again = repair_request(request, response("x"), FAULT)

    assert isinstance(again, ResponsesRequest)
    assert [item["role"] for item in json.loads(again.body)["input"]] == ["assistant", "user"]


def test_the_complaint_names_each_problem_and_asks_for_json_alone() -> None:
    text = complaint(FAULT)

    assert "- at /n: the schema says" in text
    assert "JSON only" in text
    assert "alternatives" not in text


def test_the_complaint_says_that_problems_of_one_place_may_be_alternatives() -> None:
    twice = Fault("schema", 0, (*FAULT.problems, Problem("/n", "type", 'the schema says "type": "null"')))

    assert "alternatives" in complaint(twice)


def test_the_complaint_shows_a_schema_that_the_request_does_not() -> None:
    assert '{"type":"object"}' in complaint(Fault("schema", 0, FAULT.problems, '{"type":"object"}'))


def test_the_complaint_names_the_whole_in_words() -> None:
    assert "at the top" in complaint(Fault("json", 0, (Problem("", "json", "it is no JSON"),)))
