from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.attempts.checked import CheckedAnswers
from gateway.domain.chat import ChatRequest
from gateway.domain.errors import BudgetExhaustedError, UpstreamRefusedError
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply, Reply
from router.settings import OutputSettings, RetrySettings, RouterSettings
from tests.support.attempting import USAGE, Attempting, Scripted, Stream
from tests.support.build import chat_request
from tests.support.virtual_time import in_virtual_time

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
GOOD, BAD = '{"n": 1}', '{"n": "one"}'
NO_RETRIES = RouterSettings(retries=RetrySettings(attempts=0))


def said(text: str, name: str = "m", finish: str = "stop") -> PlainReply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice]}).encode()
    return PlainReply(body=body, usage=USAGE, answered_model=name)


def text_of(reply: Reply) -> str:
    assert isinstance(reply, PlainReply)
    return str(msgspec.json.decode(reply.body)["choices"][0]["message"]["content"])


async def answered(
    house: Attempting, settings: OutputSettings | None = None, **fields: Any
) -> tuple[Exchange, Reply, ChatRequest]:
    checked = CheckedAnswers(house.attempts, house.learned, settings or OutputSettings())
    opened = house.open()
    request = opened.request = chat_request(**{"response_format": FORMAT, **fields})
    reply = await checked.answer(opened, request)
    await opened.close()
    return opened, reply, request


@in_virtual_time
async def test_an_answer_that_fits_is_given_as_it_is() -> None:
    house = Attempting([Scripted("a", said(GOOD))])

    opened, reply, _ = await answered(house)

    assert reply == said(GOOD)
    assert (opened.attempts, opened.degraded, opened.aside) == (1, (), ())


@in_virtual_time
async def test_an_answer_that_does_not_fit_is_asked_for_once_more() -> None:
    house = Attempting([Scripted("a", said(BAD), said(GOOD))])

    opened, reply, request = await answered(house)

    again = house.upstreams["a"].calls[1].request
    assert text_of(reply) == GOOD
    assert opened.degraded == (b"output=repaired",)
    assert opened.aside == (("a", USAGE),)
    assert again.messages[: len(request.messages)] == request.messages
    assert [message["role"] for message in again.messages[-2:]] == ["assistant", "user"]
    assert house.admission.covered == [("a", "a")]


@in_virtual_time
async def test_what_cannot_be_repaired_is_asked_of_another_model() -> None:
    house = Attempting([Scripted("a", said(BAD)), Scripted("b", said(GOOD))], settings=NO_RETRIES)

    opened, reply, _ = await answered(house)

    assert text_of(reply) == GOOD
    assert house.calls() == {"a": 2, "b": 1}
    assert opened.routed_model == "b"
    assert b"output=fallback" in opened.degraded
    assert opened.aside == (("a", USAGE), ("a", USAGE))


@in_virtual_time
async def test_what_nobody_gets_right_is_given_and_marked() -> None:
    house = Attempting([Scripted("a", said(BAD))], [Scripted("b", said("still wrong"))], settings=NO_RETRIES)

    opened, reply, _ = await answered(house)

    assert text_of(reply) == "still wrong"
    assert b"output=invalid" in opened.degraded
    assert house.learned.events["output_invalid"] == 1


@in_virtual_time
async def test_a_repair_that_fails_leaves_the_answer_there_was() -> None:
    house = Attempting([Scripted("a", said(BAD), UpstreamRefusedError("x", status=400))], settings=NO_RETRIES)

    opened, reply, _ = await answered(house)

    assert text_of(reply) == BAD
    assert (opened.routed_model, opened.aside) == ("a", ())
    assert opened.degraded == (b"output=invalid",)


@in_virtual_time
async def test_a_budget_that_has_no_room_for_a_repair_leaves_the_answer_there_was() -> None:
    house = Attempting([Scripted("a", said(BAD))])
    house.admission.refusal = BudgetExhaustedError("x", status=429, retry_after_s=None, standing=None)

    _, reply, _ = await answered(house)

    assert text_of(reply) == BAD
    assert house.calls() == {"a": 1}


@in_virtual_time
async def test_json_in_a_fence_costs_no_further_call() -> None:
    house = Attempting([Scripted("a", said(f"```json\n{GOOD}\n```"))])

    opened, reply, _ = await answered(house)

    assert text_of(reply) == GOOD
    assert house.calls() == {"a": 1}
    assert opened.degraded == (b"output=unwrapped",)


@pytest.mark.parametrize(
    ("settings", "calls"), [(OutputSettings(check=False), 1), (OutputSettings(repairs=0), 1), (OutputSettings(), 2)]
)
@in_virtual_time
async def test_settings_say_how_far_it_goes(settings: OutputSettings, calls: int) -> None:
    house = Attempting([Scripted("a", said(BAD))], settings=NO_RETRIES)

    await answered(house, settings)

    assert house.calls() == {"a": calls}


@in_virtual_time
async def test_an_answer_that_was_cut_off_is_left_alone() -> None:
    house = Attempting([Scripted("a", said('{"n": ', finish="length"))])

    opened, _, _ = await answered(house)

    assert (house.calls(), opened.degraded) == ({"a": 1}, ())


@in_virtual_time
async def test_streams_are_left_alone() -> None:
    stream = Stream()
    house = Attempting([Scripted("a", stream)])

    _, reply, _ = await answered(house, stream=True)

    assert reply is stream


async def test_long_answers_are_checked_in_a_thread() -> None:
    house = Attempting([Scripted("a", said(json.dumps({"n": "x" * 40_000})), said(GOOD))])

    opened, reply, _ = await answered(house)

    assert text_of(reply) == GOOD
    assert opened.degraded == (b"output=repaired",)
