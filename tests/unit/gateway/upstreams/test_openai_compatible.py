from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gateway.domain.chat import read_chat
from gateway.domain.errors import UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.secret import Secret
from gateway.domain.usage import Usage
from gateway.upstreams.base import PlainReply, Reply
from gateway.upstreams.engines.httpx2 import Httpx2Engine
from gateway.upstreams.openai_compatible import openai_compatible
from gateway.upstreams.settings import OpenAIUpstream, Timeouts
from gateway.upstreams.transport import Transport
from tests.support.build import chat_body, chat_request, model_call
from tests.support.scripted_upstream import USAGE, chunk, completion, events

STREAMED = chat_request("Hello", stream=True)
FINISH = [chunk("Hel"), chunk("lo."), chunk(finish="stop")]
USAGE_CHUNK = chunk(choices=[], usage=USAGE)


class House:
    """An upstream over a mocked HTTP client that gives one answer."""

    def __init__(self, answer: httpx2.Response | None = None, **settings: Any) -> None:
        self.answer = answer or httpx2.Response(200, json=completion())
        self.sent: list[httpx2.Request] = []
        is_stream = not self.answer.is_closed

        def handle(request: httpx2.Request) -> httpx2.Response:
            self.sent.append(request)
            return self.answer if is_stream else streaming(self.answer.content, like=self.answer)

        client = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
        found = OpenAIUpstream(**{"base_url": "http://upstream.test/v1", "api_key": Secret("sk-ours"), **settings})
        transport = Transport(Httpx2Engine(found.base_url.partition("/v1")[0], client), Timeouts())
        self.upstream = openai_compatible("name", found, transport)

    @property
    def body(self) -> Any:
        return json.loads(self.sent[-1].content)


def streaming(*pieces: bytes, like: httpx2.Response | None = None) -> httpx2.Response:
    """Return an answer that comes in pieces, as one from a socket does."""

    async def content() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    if like is not None:
        return httpx2.Response(like.status_code, headers=like.headers, content=content())
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=content())


async def relayed(reply: Reply) -> list[bytes]:
    """Read a stream to its end and return its payloads."""
    assert not isinstance(reply, PlainReply)
    text = b""
    try:
        while (block := await reply.block()) is not None:
            text += block
    finally:
        await reply.close()
    return [event.removeprefix(b"data: ") for event in text.split(b"\n\n")[:-1]]


async def ask_stream(*pieces: bytes, request: Any = STREAMED) -> Reply:
    return await House(streaming(*pieces)).upstream.answer(model_call(request))


async def test_the_request_is_forwarded_as_received() -> None:
    house = House()
    body = b' { "model" :"m", "messages":[{"role":"user","content":"\\ud83d"}], "new":1E0, "n":null }'

    await house.upstream.answer(model_call(read_chat(body)))

    assert house.sent[0].content == body
    assert str(house.sent[0].url) == "http://upstream.test/v1/chat/completions"


async def test_only_the_models_name_is_changed() -> None:
    house = House()

    await house.upstream.answer(model_call(chat_request(model="alias"), model="real"))

    assert house.sent[0].content == chat_body(model="real")


async def test_a_stream_always_asks_for_its_usage() -> None:
    house = House(streaming(*events(*FINISH, b"[DONE]")))

    await relayed(await house.upstream.answer(model_call(STREAMED)))

    assert house.body["stream_options"] == {"include_usage": True}


async def test_the_gateways_credential_is_sent() -> None:
    house = House()

    await house.upstream.answer(model_call(headers=[(b"traceparent", b"t")]))

    headers = house.sent[0].headers
    assert headers["authorization"] == "Bearer sk-ours"
    assert headers["traceparent"] == "t"
    assert headers["content-type"] == "application/json"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "identity"


async def test_azure_is_spoken_to_in_its_way() -> None:
    house = House(auth_header="api-key", query={"api-version": "2026-01-01", "a b": "&"}, headers={"X-Org": "o"})

    await house.upstream.answer(model_call())

    request = house.sent[0]
    assert request.headers["api-key"] == "sk-ours"
    assert "authorization" not in request.headers
    assert request.headers["x-org"] == "o"
    assert request.url.params["api-version"] == "2026-01-01"
    assert request.url.params["a b"] == "&"


async def test_a_query_of_the_address_is_kept() -> None:
    house = House(base_url="http://upstream.test/v1/?a=b", query={"c": "d"})

    await house.upstream.answer(model_call())

    assert house.sent[0].url.raw_path == b"/v1/chat/completions?a=b&c=d"


async def test_an_upstream_without_a_key_gets_none() -> None:
    house = House(api_key=None)

    await house.upstream.answer(model_call())

    assert "authorization" not in house.sent[0].headers


async def test_a_plain_answer_comes_back_byte_for_byte() -> None:
    body = b' {"model":"real-1", "new":1E0,"choices":[{"message":{"content":"\\ud83d"}}] ,"usage":null}\n'
    house = House(httpx2.Response(200, content=body, headers={"openai-version": "v", "set-cookie": "a=b"}))

    reply = await house.upstream.answer(model_call())

    assert isinstance(reply, PlainReply)
    assert reply.body == body
    assert reply.answered_model == "real-1"
    assert reply.headers == [(b"openai-version", b"v")]


async def test_the_providers_usage_counts() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    house = House(httpx2.Response(200, json={**completion(), "usage": usage}))

    reply = await house.upstream.answer(model_call())

    assert isinstance(reply, PlainReply)
    assert reply.usage == Usage(input_tokens=5, cached_tokens=4, output_tokens=3)


@pytest.mark.parametrize("usage", [None, 5, "x", [], {"prompt_tokens": "9"}])
async def test_an_answer_with_odd_usage_is_an_answer_with_an_estimate(usage: Any) -> None:
    house = House(httpx2.Response(200, json={**completion(), "usage": usage}))

    reply = await house.upstream.answer(model_call())

    assert isinstance(reply, PlainReply)
    assert reply.usage.provenance == "estimated"
    assert reply.usage.prompt_tokens > 0


async def test_an_answer_without_a_models_name_is_an_answer() -> None:
    house = House(httpx2.Response(200, json={**completion(), "model": None}))

    reply = await house.upstream.answer(model_call())

    assert isinstance(reply, PlainReply)
    assert reply.answered_model == ""


@pytest.mark.parametrize("content", [b"", b"<html>", b"{", b"[]", b'"x"', b"null", b"{" * 100_000, b"\xff"])
async def test_what_is_no_answer_is_garbled(content: bytes) -> None:
    house = House(httpx2.Response(200, content=content))

    with pytest.raises(UpstreamGarbledError):
        await house.upstream.answer(model_call())


async def test_an_error_with_status_200_is_an_error() -> None:
    house = House(httpx2.Response(200, json={"error": {"message": "no", "code": 429}}))

    with pytest.raises(UpstreamRefusedError, match="no") as caught:
        await house.upstream.answer(model_call())

    assert caught.value.status == 429


async def test_a_member_error_of_null_is_no_error() -> None:
    house = House(httpx2.Response(200, json={**completion(), "error": None}))

    assert isinstance(await house.upstream.answer(model_call()), PlainReply)


@pytest.mark.parametrize("request_", [chat_request(), STREAMED], ids=["plain", "stream"])
async def test_a_refusal_keeps_its_status_and_words_without_the_key(request_: Any) -> None:
    house = House(
        httpx2.Response(400, json={"error": {"message": "Bad sk-ours.", "code": "c"}}, headers={"retry-after": "3"})
    )

    with pytest.raises(UpstreamRefusedError) as caught:
        await house.upstream.answer(model_call(request_))

    assert (caught.value.status, caught.value.code) == (400, "c")
    assert "sk-ours" not in caught.value.message
    assert caught.value.headers == ((b"retry-after", b"3"),)


async def test_a_redirect_is_garbled() -> None:
    house = House(httpx2.Response(302, headers={"location": "http://elsewhere.test"}))

    with pytest.raises(UpstreamGarbledError):
        await house.upstream.answer(model_call())

    assert len(house.sent) == 1


async def test_chunks_come_back_byte_for_byte_in_order() -> None:
    payloads = [
        b'{"choices":[],"prompt_filter_results":[]}',
        b' {"choices":[{"delta":{"content":"\\ud83d"},"finish_reason":null}],"new":1E0}',
        b'{"choices":[{"delta":{},"finish_reason":"stop"}], "usage" : null}',
        b"[DONE]",
    ]

    reply = await ask_stream(*events(*payloads))

    assert await relayed(reply) == payloads


async def test_framing_is_made_even() -> None:
    pieces = b': hi\r\n\r\nid: 1\r\ndata:{"choices":[{"finish_reason":"stop"}]}\r\n\r\nevent: x\r\ndata: [DONE]\r\n\r\n'

    reply = await ask_stream(*(pieces[place : place + 7] for place in range(0, len(pieces), 7)))

    assert await relayed(reply) == [b'{"choices":[{"finish_reason":"stop"}]}', b"[DONE]"]


async def test_the_usage_chunk_is_dropped_unless_it_was_asked_for() -> None:
    reply = await ask_stream(*events(*FINISH, USAGE_CHUNK, b"[DONE]"))

    payloads = await relayed(reply)

    assert not isinstance(reply, PlainReply)
    assert len(payloads) == 4
    assert not any(b'"choices": []' in payload for payload in payloads)
    assert reply.usage() == Usage(input_tokens=9, output_tokens=3)


async def test_the_usage_chunk_is_passed_on_when_it_was_asked_for() -> None:
    request = chat_request("Hello", stream=True, stream_options={"include_usage": True})

    payloads = await relayed(await ask_stream(*events(*FINISH, USAGE_CHUNK, b"[DONE]"), request=request))

    assert json.loads(payloads[-2])["usage"] == USAGE


async def test_usage_beside_choices_stays_in_its_chunk() -> None:
    last = chunk(finish="stop", usage=USAGE)

    reply = await ask_stream(*events(chunk("Hi"), last, b"[DONE]"))

    assert json.loads((await relayed(reply))[1]) == last
    assert not isinstance(reply, PlainReply)
    assert reply.usage().provenance == "provider"


async def test_a_stream_without_usage_is_estimated() -> None:
    reply = await ask_stream(*events(*FINISH, b"[DONE]"))
    await relayed(reply)

    assert not isinstance(reply, PlainReply)
    assert reply.usage().provenance == "estimated"
    assert reply.usage().output_tokens > 0


async def test_a_finished_stream_without_done_ends_well_and_none_is_invented() -> None:
    payloads = await relayed(await ask_stream(*events(*FINISH)))

    assert len(payloads) == 3
    assert b"[DONE]" not in payloads


async def test_what_follows_done_is_dropped() -> None:
    payloads = await relayed(await ask_stream(*events(*FINISH, b"[DONE]", chunk("late"))))

    assert payloads[-1] == b"[DONE]"


async def test_an_unfinished_stream_fails_after_what_came() -> None:
    reply = await ask_stream(*events(chunk("Hel")))
    assert not isinstance(reply, PlainReply)

    first = await reply.block()

    assert first is not None
    assert b"Hel" in first
    with pytest.raises(UpstreamGarbledError):
        await reply.block()
    with pytest.raises(UpstreamGarbledError):
        await reply.block()
    await reply.close()


async def test_an_error_inside_a_stream_fails_after_what_came() -> None:
    reply = await ask_stream(b"".join(events(chunk("Hel"), {"error": {"message": "Overloaded.", "code": 503}})))
    assert not isinstance(reply, PlainReply)

    assert await reply.block()
    with pytest.raises(UpstreamRefusedError, match="Overloaded") as caught:
        await reply.block()

    assert caught.value.status == 503
    await reply.close()


@pytest.mark.parametrize("payload", [b"nonsense", b"[]", b"5", b'{"choices":5}'])
async def test_a_chunk_that_is_none_fails_the_stream(payload: bytes) -> None:
    reply = await ask_stream(*events(chunk("Hel"), payload))
    assert not isinstance(reply, PlainReply)
    await reply.block()

    with pytest.raises(UpstreamGarbledError):
        await reply.block()

    await reply.close()


@pytest.mark.parametrize("pieces", [[], [b": only a comment\n\n"], events({"error": {"message": "no"}}), events(b"x")])
async def test_a_stream_that_fails_before_its_first_event_is_a_failed_call(pieces: list[bytes]) -> None:
    with pytest.raises((UpstreamGarbledError, UpstreamRefusedError)):
        await ask_stream(*pieces)


async def test_a_first_chunk_with_an_error_of_null_is_a_chunk() -> None:
    reply = await ask_stream(*events({**chunk("Hi"), "error": None}, *FINISH, b"[DONE]"))

    assert len(await relayed(reply)) == 5


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(200, json=completion()), UpstreamGarbledError),
        (httpx2.Response(200, json={"error": {"message": "no"}}), UpstreamRefusedError),
        (httpx2.Response(200, html="<p>no</p>"), UpstreamGarbledError),
        (httpx2.Response(200, content=b"{", headers={"content-type": "application/json"}), UpstreamGarbledError),
    ],
)
async def test_an_answer_that_is_no_stream_is_a_failed_call(answer: httpx2.Response, error: type[Exception]) -> None:
    with pytest.raises(error):
        await House(answer).upstream.answer(model_call(STREAMED))


async def test_bytes_and_calls_are_counted() -> None:
    house = House()

    await house.upstream.answer(model_call())
    await house.upstream.close()

    counters = house.upstream.counters()
    assert counters["calls"] == 1
    assert counters["sent_bytes"] == len(house.sent[0].content)
    assert counters["received_bytes"] == len(house.answer.content)
