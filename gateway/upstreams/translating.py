"""Answers requests whose shape an upstream does not speak: there and back through translators."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Final

import msgspec

from gateway.domain.chat import ChatRequest
from gateway.domain.errors import (
    InvalidRequestError,
    UpstreamError,
    UpstreamGarbledError,
    UpstreamRefusedError,
)
from gateway.domain.messages import MessagesRequest
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.responses import ResponsesRequest
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.base import CountSupport, ModelCall, PlainReply, Reply, StreamReply, Upstream
from gateway.upstreams.dialects.base import decode
from gateway.upstreams.dialects.catalogue import DIALECTS
from gateway.upstreams.sse import DONE, EventSplitter, frame, named_frame
from gateway.upstreams.translators.base import Call, Document, StreamTranslator, Translator

_TO_CHAT: Final[frozenset[Shape]] = frozenset({"responses", "messages"})
"""Shapes of callers that can be served by chat."""

_FROM_CHAT: Final[tuple[Shape, ...]] = ("messages", "responses")
"""Shapes of upstreams that can serve chat, in the order they are preferred."""

_REQUESTS: Final[Mapping[Shape, type[ModelRequest]]] = {
    "chat": ChatRequest,
    "messages": MessagesRequest,
    "responses": ResponsesRequest,
}
_COUNTS: Final[Mapping[Shape, Document]] = {
    "count_tokens": {},
    "input_tokens": {"object": "response.input_tokens"},
}
"""Shapes that ask for a number of tokens, and what their answer has besides."""

_SAMPLING: Final = ("temperature", "top_k", "top_p")
_UNKNOWN_HERE: Final = re.compile(
    r"deprecated|unsupported|not support|n't support|not permitted|unrecogni[sz]ed|unknown", re.IGNORECASE
)
"""How servers say that a model has no such member, rather than that its value is wrong."""

_MAY_BE_UNKNOWN: Final = ("responses", "input_tokens", "count_tokens")
"""Shapes that servers are taken to know until one says that it does not."""

_NO_SUCH_PATH: Final = frozenset({404, 405, 501})
"""Statuses by which servers say that they do not know an operation."""

_OBJECT: Final = msgspec.json.Decoder(Document)
_NO_OBJECT: Final = "The upstream sent what is not a JSON object."

_NOT_OF_CHAT: Final = ("reasoning_content", "thinking_blocks")
"""Members that translators hand each other and that servers of the chat shape refuse or cannot use."""


async def ask(upstream: Upstream, call: ModelCall) -> Reply:
    """Have an upstream answer a request of any shape.

    An upstream that turns out not to know an operation it was taken to have is asked in another shape, and, when
    that works, from then on.

    Raises:
        InvalidRequestError: the upstream serves neither this shape nor one it can be translated to.
        UpstreamError: the upstream failed.
        DeadlineExceededError: the caller's deadline passed.
    """
    shape = call.request.shape
    if shape not in upstream.shapes:
        way = _way(upstream.shapes, shape)
        if not call.request.is_whole:
            message = "This model's upstream has no Responses API, and so nothing that this request could continue."
            raise InvalidRequestError(message, code="unsupported_parameter", param="previous_response_id")
        return await _translated(upstream, call, way)
    try:
        return await upstream.answer(call)
    except (UpstreamRefusedError, UpstreamGarbledError) as error:
        is_known = shape not in _MAY_BE_UNKNOWN or not call.request.is_whole
        if is_known or not _knows_no_such_path(error):
            raise
        try:
            reply = await _translated(upstream, call, _way(upstream.shapes - {"responses"}, shape))
        except (UpstreamError, InvalidRequestError):
            raise error from None
        upstream.shapes = {known for known in upstream.shapes if known != shape}
        return reply


def _knows_no_such_path(error: UpstreamRefusedError | UpstreamGarbledError) -> bool:
    """Tell whether an error is about the address rather than about what was asked for."""
    if isinstance(error, UpstreamGarbledError):
        return error.answered_status in _NO_SUCH_PATH
    known_codes = (None, str(error.status), "not_found")
    return error.status in _NO_SUCH_PATH and not error.param and error.code in known_codes


def _way(spoken: AbstractSet[Shape], shape: Shape) -> tuple[Shape, ...]:
    """Return the shapes that a request takes on the way to one that the upstream speaks; none for counts."""
    if shape in _COUNTS:
        return ()
    if shape in _TO_CHAT and "chat" in spoken:
        return ("chat",)
    for known in _FROM_CHAT:
        if known in spoken and (shape == "chat" or shape in _TO_CHAT):
            return (known,) if shape == "chat" else ("chat", known)
    message = f"This model's upstream has no API for '{shape}', nor one that it could be translated to."
    raise InvalidRequestError(message, code="unsupported_endpoint", param="model")


async def _translated(upstream: Upstream, call: ModelCall, way: Sequence[Shape]) -> Reply:
    if call.request.shape in _COUNTS:
        return _counted(upstream, call)
    translation = Translation(call, way)
    reply = await _asked(upstream, call, translation)
    if not isinstance(reply, PlainReply):
        return TranslatedStream(reply, translation)
    body, response_id = translation.answer(reply.body)
    return PlainReply(
        body=body,
        usage=reply.usage,
        headers=reply.headers,
        answered_model=reply.answered_model,
        response_id=response_id,
        dropped=translation.dropped,
    )


async def _asked(upstream: Upstream, call: ModelCall, translation: Translation) -> Reply:
    """Ask in the upstream's shape; a sampling member that the model does not know is left out from then on.

    Claude models since Opus 4.7 refuse `temperature`, `top_p` and `top_k`, which clients of chat send by habit.
    """
    unwanted = upstream.unwanted.get(call.model)
    if unwanted:
        translation.leave_out(unwanted)
    try:
        return await upstream.answer(translation.call)
    except UpstreamRefusedError as error:
        named = {name for name in _SAMPLING if name in translation.document and name in error.message}
        if error.status != 400 or not named or not _UNKNOWN_HERE.search(error.message):
            raise
    translation.leave_out(named)
    reply = await upstream.answer(translation.call)
    upstream.unwanted[call.model] = named | (unwanted or set())
    return reply


def _counted(upstream: Upstream, call: ModelCall) -> PlainReply:
    """Count the tokens of a prompt by what has been observed of the model, where no one can be asked."""
    if not isinstance(upstream, CountSupport):
        raise InvalidRequestError("This model's upstream counts no tokens.", code="unsupported_endpoint", param="model")
    tokens = upstream.estimate_tokens(call.request, call.model)
    document = {**_COUNTS[call.request.shape], "input_tokens": tokens}
    return PlainReply(body=msgspec.json.encode(document), usage=NO_USAGE, dropped=())


@cache
def _translators() -> Mapping[tuple[Shape, Shape], Translator]:
    """Return the translators by the shapes they translate a request from and to.

    Imported with the first request that needs one: they take a megabyte, and many gateways relay only.
    """
    from gateway.upstreams.translators.messages.chat_to_messages import ChatToMessages  # noqa: PLC0415
    from gateway.upstreams.translators.messages.messages_to_chat import MessagesToChat  # noqa: PLC0415
    from gateway.upstreams.translators.responses.chat_to_responses import ChatToResponses  # noqa: PLC0415
    from gateway.upstreams.translators.responses.responses_to_chat import ResponsesToChat  # noqa: PLC0415

    return {
        ("chat", "messages"): ChatToMessages(),
        ("chat", "responses"): ChatToResponses(),
        ("messages", "chat"): MessagesToChat(),
        ("responses", "chat"): ResponsesToChat(),
    }


class Translation:
    """One request on its way through translators, and its answer's way back.

    Args:
        call: the caller's.
        way: the shapes it takes, the upstream's last.

    Attributes:
        shape: the caller's.
        document: the request in the upstream's shape.
        dropped: the caller's members that shape has no words for.
    """

    def __init__(self, call: ModelCall, way: Sequence[Shape]) -> None:
        self.shape = shape = call.request.shape
        self._steps: list[tuple[Translator, Call]] = []
        self.dropped: tuple[str, ...] = ()
        document = call.request.document
        answer_id, created = secrets.token_hex(16), int(time.time())
        for spoken in way:
            translator = _translators()[shape, spoken]
            step = Call(request=document, model=call.model, answer_id=answer_id, created=created)
            self._steps.append((translator, step))
            translated = translator.request(document, max_output_tokens=call.max_output_tokens)
            document = translated.document
            self.dropped += translated.dropped
            shape = spoken
        if shape == "chat":
            self.dropped += _strip(document)
        document["model"] = call.model
        self._call = call
        self._spoken = shape
        self.document = document

    @property
    def call(self) -> ModelCall:
        """The call in the upstream's shape; a query is of the caller's."""
        request = _REQUESTS[self._spoken](_encode(self.document), self.document)
        return msgspec.structs.replace(self._call, request=request, query=b"")

    def leave_out(self, names: Iterable[str]) -> None:
        """Take members out of the request, and say so."""
        found = tuple(sorted(name for name in names if self.document.pop(name, None) is not None))
        self.dropped += found

    def answer(self, body: bytes) -> tuple[bytes, str]:
        """Return a plain answer in the caller's shape, and its id where it is a response."""
        document = decode(_OBJECT, body, _NO_OBJECT)
        for translator, step in reversed(self._steps):
            document = translator.answer(step, document)
        response_id = document["id"] if self.shape == "responses" else ""
        return _encode(document), response_id

    def streams(self) -> list[StreamTranslator]:
        """Start translating a stream: return what its events pass through, in order."""
        return [translator.stream(step) for translator, step in reversed(self._steps)]


class TranslatedStream:
    """A stream in the caller's shape, made from one in the upstream's."""

    def __init__(self, stream: StreamReply, translation: Translation) -> None:
        self.headers = stream.headers
        self.dropped: tuple[str, ...] | None = translation.dropped
        self.final = b""
        self.response_id = ""
        self._stream = stream
        self._translators = translation.streams()
        self._shape = translation.shape
        self._splitter = EventSplitter()
        self._ended = False

    @property
    def is_ended(self) -> bool:
        """Whether the upstream's end has been read."""
        return self._stream.is_ended

    async def block(self) -> bytes | None:
        """Return the next events, framed; see `StreamReply.block`."""
        while not self._ended:
            block = await self._stream.block()
            if block is None:
                self._ended = True
                events = self._finished()
            else:
                events = [made for payload in self._splitter.feed(block) for made in self._fed(payload)]
            frames = b"".join(map(self._framed, events))
            if self._ended and DIALECTS[self._shape].ends_with_done:
                frames += frame(DONE)
            if frames:
                return frames
        return None

    def usage(self) -> Usage:
        """Return what has been consumed so far."""
        return self._stream.usage()

    async def close(self) -> None:
        """Stop the upstream if it has not finished."""
        await self._stream.close()

    def _fed(self, payload: bytes) -> list[Document]:
        if payload == DONE:
            return []
        events = [decode(_OBJECT, payload, _NO_OBJECT)]
        for translator in self._translators:
            events = [made for event in events for made in translator.feed(event)]
        return events

    def _finished(self) -> list[Document]:
        """End every translator; what one has left over still passes through the next."""
        events: list[Document] = []
        for translator in self._translators:
            events = [made for event in events for made in translator.feed(event)] + translator.finish()
        return events

    def _framed(self, event: Document) -> bytes:
        payload = _encode(event)
        if self._shape == "responses":
            self._note(event)
        return frame(payload) if DIALECTS[self._shape].ends_with_done else named_frame(event["type"].encode(), payload)

    def _note(self, event: Document) -> None:
        """Keep the response's id from the first event, and the whole of it from the last."""
        response = event.get("response")
        if response is not None:
            self.response_id = response["id"]
            if event["type"] in ("response.completed", "response.incomplete"):
                self.final = _encode(response)


def _strip(document: Document) -> tuple[str, ...]:
    """Take out of chat messages what only translators understand; return the paths."""
    return tuple(
        f"messages[{index}].{name}"
        for index, message in enumerate(document["messages"])
        for name in _NOT_OF_CHAT
        if message.pop(name, None)
    )


def _encode(document: Document) -> bytes:
    """Write a document.

    Raises:
        InvalidRequestError: it holds a number that JSON writers here cannot write, or is nested too deeply.
    """
    try:
        return msgspec.json.encode(document)
    except (OverflowError, ValueError, RecursionError) as error:
        message = "The request holds a number or a nesting that cannot be translated for this model."
        raise InvalidRequestError(message, code="unsupported_parameter") from error
