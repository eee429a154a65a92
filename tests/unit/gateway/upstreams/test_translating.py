from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.domain.embeddings import read_embeddings
from gateway.domain.errors import InvalidRequestError, UpstreamError, UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.messages import read_count_tokens, read_messages
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.responses import read_input_tokens, read_responses
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.base import Headers, ModelCall, PlainReply, Reply
from gateway.upstreams.sse import DONE, frame
from gateway.upstreams.translating import ask
from tests.support.build import chat_request, patience
from tests.support.mixed import claude_events, claude_message, read_events, response, response_events
from tests.support.scripted_upstream import chunk, completion

ANSWERS: Mapping[str, Any] = {"chat": completion(), "messages": claude_message(), "responses": response()}
EVENTS: Mapping[str, list[Any]] = {
    "chat": [chunk("Hello."), chunk(finish="stop")],
    "messages": claude_events(),
    "responses": response_events(),
}


class Stream:
    headers: Headers = ()
    dropped: tuple[str, ...] | None = None
    response_id = ""
    final = b""
    is_ended = False

    def __init__(self, payloads: list[bytes]) -> None:
        self._payloads = payloads
        self.is_closed = False

    async def block(self) -> bytes | None:
        return frame(self._payloads.pop(0)) if self._payloads else None

    def usage(self) -> Usage:
        return Usage(input_tokens=9)

    async def close(self) -> None:
        self.is_closed = True


class House:
    """An upstream that answers the shapes it is said to speak, after the errors it was given."""

    name = "name"

    def __init__(self, *shapes: Shape, errors: tuple[UpstreamError, ...] = ()) -> None:
        self.shapes = set(shapes)
        self.unwanted: dict[str, set[str]] = {}
        self.errors = list(errors)
        self.asked: list[ModelRequest] = []

    async def answer(self, call: ModelCall) -> Reply:
        self.asked.append(call.request)
        if self.errors:
            raise self.errors.pop(0)
        shape = call.request.shape
        if call.request.stream:
            payloads = [json.dumps(event).encode() for event in EVENTS[shape]]
            return Stream([*payloads, DONE] if shape == "chat" else payloads)
        body = json.dumps(ANSWERS.get(shape, {"shape": shape})).encode()
        return PlainReply(body=body, usage=Usage(input_tokens=9), answered_model="m")

    def estimate_tokens(self, request: ModelRequest, model: str) -> int:
        return 42

    async def close(self) -> None:
        pass

    def counters(self) -> Mapping[str, int]:
        return {}

    @property
    def shapes_asked(self) -> list[str]:
        return [request.shape for request in self.asked]


def request_of(shape: str, **fields: Any) -> ModelRequest:
    said = [{"role": "user", "content": "Hi"}]
    if shape == "chat":
        return chat_request("Hi", **fields)
    if shape == "messages":
        return read_messages(json.dumps({"model": "m", "max_tokens": 9, "messages": said, **fields}).encode())
    return read_responses(json.dumps({"model": "m", "input": "Hi", **fields}).encode())


def called(request: ModelRequest, model: str = "m") -> ModelCall:
    return ModelCall(request=request, model=model, patience=patience())


def refused(status: int = 404, message: str = "Not Found", **fields: Any) -> UpstreamRefusedError:
    return UpstreamRefusedError(message, status=status, **fields)


WAYS = [
    ("chat", ["chat", "messages"], "chat"),
    ("responses", ["chat", "responses"], "responses"),
    ("messages", ["chat", "messages"], "messages"),
    ("responses", ["chat", "messages"], "chat"),
    ("messages", ["chat", "responses"], "chat"),
    ("chat", ["messages"], "messages"),
    ("chat", ["responses"], "responses"),
    ("responses", ["messages"], "messages"),
    ("messages", ["responses"], "responses"),
]


@pytest.mark.parametrize(("shape", "spoken", "sent"), WAYS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_takes_the_shortest_way(shape: str, spoken: Any, sent: str, *, stream: bool) -> None:
    house = House(*spoken)

    reply = await ask(house, called(request_of(shape, stream=stream), model="theirs"))

    assert house.shapes_asked == [sent]
    assert (reply.dropped is None) == (shape == sent)
    if shape != sent:
        assert house.asked[0].model == "theirs"
    text = b""
    if isinstance(reply, PlainReply):
        text = reply.body
    else:
        while (block := await reply.block()) is not None:
            text += block
    assert b"Hello." in text


@pytest.mark.parametrize("spoken", ["chat", "messages"])
async def test_a_translated_stream_has_its_response_at_the_end(spoken: Any) -> None:
    reply: Any = await ask(House(spoken), called(request_of("responses", stream=True)))
    text = b""
    while (block := await reply.block()) is not None:
        text += block
    await reply.close()

    final = read_events(text)[-1][1]["response"]
    assert json.loads(reply.final) == final
    assert reply.response_id == final["id"]
    assert reply.usage() == Usage(input_tokens=9)
    assert reply._stream.is_closed
    assert await reply.block() is None


@pytest.mark.parametrize("spoken", ["chat", "messages", "responses"])
async def test_what_nobody_translates_is_refused(spoken: Any) -> None:
    house = House(spoken)

    with pytest.raises(InvalidRequestError) as caught:
        await ask(house, called(read_embeddings(b'{"model":"m","input":"x"}')))

    assert (caught.value.code, caught.value.param) == ("unsupported_endpoint", "model")
    assert house.asked == []


@pytest.mark.parametrize("read", [read_count_tokens, read_input_tokens])
async def test_a_count_is_estimated_where_nobody_can_be_asked(read: Any) -> None:
    body = b'{"model":"m","input":"x","messages":[{"role":"user","content":"x"}]}'

    reply = await ask(House("chat"), called(read(body)))

    assert isinstance(reply, PlainReply)
    assert json.loads(reply.body)["input_tokens"] == 42
    assert reply.usage is NO_USAGE


UNKNOWN_PATHS = [refused(), refused(405), refused(501), refused(code="404"), refused(code="not_found")]


def garbled(status: int) -> UpstreamGarbledError:
    error = UpstreamGarbledError("no words")
    error.answered_status = status
    return error


@pytest.mark.parametrize("error", [*UNKNOWN_PATHS, garbled(404), garbled(405)])
async def test_an_unknown_path_is_remembered(error: UpstreamError) -> None:
    house = House("chat", "responses", "embeddings", errors=(error,))

    for _ in range(2):
        assert isinstance(await ask(house, called(request_of("responses"))), PlainReply)

    assert house.shapes_asked == ["responses", "chat", "chat"]
    assert house.shapes == {"chat", "embeddings"}


ABOUT_THE_REQUEST = [
    refused(param="model"), refused(code="model_not_found"), refused(400), refused(500), refused(429), garbled(502),
    UpstreamGarbledError("cut"),
]  # fmt: skip


@pytest.mark.parametrize("error", ABOUT_THE_REQUEST)
async def test_other_errors_are_passed_on(error: UpstreamError) -> None:
    house = House("chat", "responses", errors=(error,))

    with pytest.raises(type(error)) as caught:
        await ask(house, called(request_of("responses")))

    assert caught.value is error
    assert house.shapes == {"chat", "responses"}


@pytest.mark.parametrize("fields", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
async def test_what_only_the_upstream_knows_is_never_translated(fields: dict[str, Any]) -> None:
    knowing, unknowing = House("chat", "responses", errors=(refused(),)), House("chat")

    with pytest.raises(UpstreamRefusedError):
        await ask(knowing, called(request_of("responses", **fields)))
    with pytest.raises(InvalidRequestError):
        await ask(unknowing, called(request_of("responses", **fields)))

    assert knowing.shapes == {"chat", "responses"}
    assert unknowing.asked == []


@pytest.mark.parametrize("read", [read_count_tokens, read_input_tokens])
async def test_a_count_that_turns_out_to_be_unknown_is_estimated(read: Any) -> None:
    house = House("messages", "count_tokens", "input_tokens", errors=(refused(code="not_found"),))
    request = read(b'{"model":"m","input":"x","messages":[{"role":"user","content":"x"}]}')

    for _ in range(2):
        reply = await ask(house, called(request))
        assert isinstance(reply, PlainReply)
        assert json.loads(reply.body)["input_tokens"] == 42

    assert len(house.asked) == 1
    assert "messages" in house.shapes


async def test_a_server_that_refuses_the_translation_too_is_not_remembered() -> None:
    first = refused()
    house = House("chat", "responses", errors=(first, refused()))

    with pytest.raises(UpstreamRefusedError) as caught:
        await ask(house, called(request_of("responses")))

    assert caught.value is first
    assert house.shapes == {"chat", "responses"}


async def test_what_cannot_be_translated_gives_the_first_error() -> None:
    first = refused()
    house = House("chat", "responses", errors=(first,))

    with pytest.raises(UpstreamRefusedError) as caught:
        await ask(house, called(request_of("responses", tools=[{"type": "web_search"}])))

    assert caught.value is first


async def test_a_sampling_member_that_the_model_does_not_know_is_left_out_from_then_on() -> None:
    house = House("messages", errors=(refused(400, "`temperature` is deprecated for this model."),))

    first = await ask(house, called(chat_request("Hi", temperature=0.5)))
    second = await ask(house, called(chat_request("Hi", temperature=0.5)))

    assert first.dropped == second.dropped == ("temperature",)
    assert [b"temperature" in request.body for request in house.asked] == [True, False, False]


@pytest.mark.parametrize(
    "words", ["temperature: range: 0..1", "`temperature` may only be set to 1 when thinking is enabled."]
)
async def test_a_wrong_value_of_one_caller_changes_nothing_for_the_next(words: str) -> None:
    house = House("messages", errors=(refused(400, words),))

    with pytest.raises(UpstreamRefusedError):
        await ask(house, called(chat_request("Hi", temperature=0.5)))
    await ask(house, called(chat_request("Hi", temperature=0.5)))

    assert house.unwanted == {}
    assert house.asked[-1].document["temperature"] == 0.5


@pytest.mark.parametrize("body", [b"[]", b"{", b"", b"\xff", b"[" * 5000])
async def test_an_answer_that_is_no_object_is_garbled(body: bytes) -> None:
    class Broken(House):
        async def answer(self, call: ModelCall) -> Reply:
            if call.request.stream:
                return Stream([body or b"x"])
            return PlainReply(body=body, usage=NO_USAGE)

    with pytest.raises(UpstreamGarbledError):
        await ask(Broken("chat"), called(request_of("responses")))
    stream: Any = await ask(Broken("chat"), called(request_of("responses", stream=True)))
    with pytest.raises(UpstreamGarbledError):
        await stream.block()


async def test_reasoning_is_not_sent_to_servers_of_the_chat_shape() -> None:
    house = House("chat")
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    said = [
        {"role": "assistant", "content": [thought, {"type": "text", "text": "a"}]},
        {"role": "user", "content": "b"},
    ]

    reply = await ask(house, called(request_of("messages", messages=said)))

    assert b"Hm." not in house.asked[0].body
    assert reply.dropped


async def test_huge_numbers_are_translated() -> None:
    house = House("chat")

    await ask(house, called(request_of("responses", max_output_tokens=10**400)))

    assert str(10**400) in house.asked[0].body.decode()
