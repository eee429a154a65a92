from __future__ import annotations

import asyncio
import json

import pytest

from gateway.domain.chat import read_chat
from gateway.domain.errors import GatewayError
from gateway.domain.usage import NO_USAGE
from gateway.upstreams.base import PlainReply
from gateway.upstreams.echo import Echo
from gateway.upstreams.settings import EchoUpstream
from tests.support.build import chat_body, chat_request, model_call


async def test_the_same_request_gets_the_same_answer() -> None:
    echo = Echo("offline", EchoUpstream())

    first, second = [await echo.answer(model_call()) for _ in range(2)]

    assert isinstance(first, PlainReply)
    assert isinstance(second, PlainReply)
    assert json.loads(first.body)["id"] == json.loads(second.body)["id"]
    assert json.loads(first.body)["choices"] == json.loads(second.body)["choices"]


async def test_the_answer_names_the_model_that_was_asked() -> None:
    reply = await Echo("offline", EchoUpstream()).answer(model_call(model="echo-complex"))

    assert isinstance(reply, PlainReply)
    assert reply.answered_model == json.loads(reply.body)["model"] == "echo-complex"


async def test_a_stream_that_was_not_read_has_consumed_nothing() -> None:
    reply = await Echo("offline", EchoUpstream()).answer(model_call(chat_request(stream=True)))

    assert not isinstance(reply, PlainReply)
    assert reply.usage().completion_tokens == NO_USAGE.completion_tokens == 0


async def test_a_stream_that_was_cut_is_counted() -> None:
    reply = await Echo("offline", EchoUpstream()).answer(model_call(chat_request("a b c d", stream=True)))
    assert not isinstance(reply, PlainReply)

    for _ in range(3):
        await reply.block()

    assert reply.usage().provenance == "counted"
    assert reply.usage().output_tokens == 3


async def test_delays_come_before_the_answer_and_each_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    echo = Echo("offline", EchoUpstream(delay_ms=250))

    await echo.answer(model_call())
    reply = await echo.answer(model_call(chat_request(stream=True)))
    assert not isinstance(reply, PlainReply)
    await reply.block()

    assert slept == [0.25, 0.25, 0.25]


@pytest.mark.parametrize("levels", range(100, 1000, 9))
async def test_deep_requests_are_answered_or_refused(levels: int) -> None:
    body = chat_body()[:-1] + b',"metadata":' + b"[" * levels + b"]" * levels + b"}"

    try:
        reply = await Echo("offline", EchoUpstream()).answer(model_call(read_chat(body)))
    except GatewayError:
        return

    assert isinstance(reply, PlainReply)


@pytest.mark.parametrize("digits", [100, 4300, 5000, 100_000])
async def test_long_numbers_are_answered_or_refused(digits: int) -> None:
    body = chat_body()[:-1] + b',"seed":' + b"9" * digits + b"}"

    try:
        reply = await Echo("offline", EchoUpstream()).answer(model_call(read_chat(body)))
    except GatewayError:
        return

    assert isinstance(reply, PlainReply)
