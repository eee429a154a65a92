"""Guards that others run, asked about answers before a byte of them is sent.

They are asked before placeholders are put back: what was kept from the provider is kept from them too. A stream is held
until its end and then sent at once; nothing of it is skipped, and nothing goes out unseen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from time import perf_counter
from typing import Final

import msgspec

from gateway.answers.assembly.base import Assembler
from gateway.answers.assembly.catalogue import ASSEMBLERS
from gateway.answers.reading import Document, decoded
from gateway.domain.errors import AnswerRejectedError, StageUnavailableError, UpstreamGarbledError
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.rewriting import Path, path_name, replace_texts
from gateway.domain.usage import Usage
from gateway.guarding.answer_texts import AnswerText, texts_of_answer
from gateway.guarding.answers import without_logprobs
from gateway.guarding.external.base import Outcome, Placed, Question, Told
from gateway.guarding.external.guards import ExternalGuards
from gateway.guarding.external.inputs import heard
from gateway.upstreams.base import PlainReply, Reply, StreamReply
from gateway.upstreams.passing import PassingStream
from gateway.upstreams.sse import DONE, EventSplitter
from policies.sanitise.finding import BY_PLACE, Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.redaction.placeholder import label_of
from policies.sanitise.settings import Action

MOST_HELD_BYTES: Final = 4 << 20
"""Of a stream that is held; a longer one counts as one of which the guards have said nothing."""

_LONG_BYTES: Final = 64 << 10
"""Of events that are read off the event loop: a kilobyte takes about 20 us."""


async def judge_answer(
    guards: ExternalGuards, inspection: Inspection, request_id: str, reply: Reply, request: ModelRequest
) -> Reply:
    """Return an answer as it may go on: itself, or one with placeholders for what a guard wants replaced.

    In a stream nothing can be replaced any more: what a guard wants replaced there is blocked.

    Raises:
        AnswerRejectedError: a guard wants it blocked.
        StageUnavailableError: a guard has said nothing, and its settings refuse requests then.
        UpstreamError: a stream broke before its end.
    """
    if isinstance(reply, PlainReply):
        return await _judge_plain(guards, inspection, request_id, reply, request)
    held = HeldStream(reply)
    await held.read()
    texts = None if held.is_too_long else await _texts_of(held, request.shape)
    if texts is None:
        _refuse_unseen(guards, inspection)
        return held
    for outcome in await _asked(guards, inspection, request_id, [text.text for text in texts]):
        action: Action = "block" if outcome.action == "redact" else outcome.action
        _note(inspection, outcome.found, action, _places(texts))
    return held


async def _texts_of(held: HeldStream, shape: Shape) -> list[AnswerText] | None:
    """Return the texts of a stream; None where they cannot be told, as its events make no answer."""
    assemble = ASSEMBLERS.get(shape)
    if assemble is None:
        return None
    events, usage = held.events, held.usage()
    if len(events) > _LONG_BYTES:
        return await asyncio.to_thread(_assembled_texts, events, assemble, usage, shape)
    return _assembled_texts(events, assemble, usage, shape)


def _assembled_texts(events: bytes, assemble: Assembler, usage: Usage, shape: Shape) -> list[AnswerText] | None:
    splitter = EventSplitter()
    payloads = [payload for payload in (*splitter.feed(events), *splitter.finish()) if payload not in (b"", DONE)]
    documents = [document for payload in payloads if (document := decoded(payload)[0]) is not None]
    assembled = assemble(documents, usage) if len(documents) == len(payloads) else None
    return None if assembled is None else _judged(assembled.document, shape)


def _judged(document: Document, shape: Shape) -> list[AnswerText]:
    return [text for text in texts_of_answer(document, shape) if not text.is_echo and text.text]


def _places(texts: list[AnswerText]) -> dict[int, str]:
    return {index: path_name(text.path) for index, text in enumerate(texts)}


async def _judge_plain(
    guards: ExternalGuards, inspection: Inspection, request_id: str, reply: PlainReply, request: ModelRequest
) -> PlainReply:
    document, _ = decoded(reply.body)
    if document is None:
        raise UpstreamGarbledError("The upstream's answer is not a JSON object.")
    texts = _judged(document, request.shape)
    replaced: dict[int, list[Finding]] = {}
    for outcome in await _asked(guards, inspection, request_id, [text.text for text in texts]):
        _note(inspection, outcome.found, outcome.action, _places(texts))
        if outcome.action == "redact":
            for one in outcome.found:
                replaced.setdefault(one.index, []).append(one.finding)
    if not replaced:
        return reply
    changes: dict[Path, str] = {texts[at].path: _without(texts[at].text, found) for at, found in replaced.items()}
    gone = without_logprobs(document, changes)
    return msgspec.structs.replace(reply, body=replace_texts(reply.body, {**changes, **gone}))


async def _asked(
    guards: ExternalGuards, inspection: Inspection, request_id: str, texts: list[str]
) -> tuple[Outcome, ...]:
    began = perf_counter()
    try:
        outcomes = await guards.ask(Question(request_id, "output", [Told("assistant", text) for text in texts]))
    finally:
        inspection.spent_us += round((perf_counter() - began) * 1e6)
    return tuple(heard(inspection, outcomes))


def _note(inspection: Inspection, found: tuple[Placed, ...], action: Action, places: Mapping[int, str]) -> None:
    for index in sorted({one.index for one in found}):
        findings = [one.finding for one in found if one.index == index]
        actions = {one.detector: action for one in findings}
        inspection.note_findings(findings, actions, "output", places[index])
    if found and action == "block":
        first = found[0].finding
        message = (
            f"The guard '{first.detector}' does not let this answer pass: rule '{first.rule}'. "
            "Quote the request's id to the operators if that is wrong."
        )
        raise AnswerRejectedError(message)


def _without(text: str, findings: list[Finding]) -> str:
    """Return a text with a word in place of what was found, from which nothing can be put back."""
    parts: list[str] = []
    position = 0
    for one in sorted(findings, key=BY_PLACE):
        if one.end <= max(position, one.start):
            continue
        if one.start >= position:
            parts += (text[position : one.start], f"[REDACTED_{label_of(one.detector, one.rule)}]")
        position = one.end
    return "".join([*parts, text[position:]])


def _refuse_unseen(guards: ExternalGuards, inspection: Inspection) -> None:
    """Have a stream that is too long to be held, or cannot be read, go on unseen where every guard lets it.

    Raises:
        StageUnavailableError: one does not.
    """
    asked = [one for one in guards.callers if one.sees("output")]
    inspection.failure = " ".join(f"external.{one.name}:unread" for one in asked)
    if any(one.settings.on_failure == "closed" for one in asked):
        raise StageUnavailableError("a streamed answer cannot be judged")


class HeldStream(PassingStream):
    """A stream that is read ahead, to its end or up to a bound, and then given block by block.

    Attributes:
        is_too_long: whether there is more to come than was read.
    """

    def __init__(self, stream: StreamReply) -> None:
        super().__init__(stream)
        self.is_too_long = False
        self._blocks: deque[bytes] = deque()

    @property
    def events(self) -> bytes:
        """Return what was read."""
        return b"".join(self._blocks)

    @property
    def is_ended(self) -> bool:
        """Whether the answer has been read to its end, and the last of it is being given."""
        return self._stream.is_ended and len(self._blocks) == 0

    async def read(self) -> None:
        """Read ahead. Raises what the stream does."""
        size = 0
        while (block := await self._stream.block()) is not None:
            self._blocks.append(block)
            size += len(block)
            if size > MOST_HELD_BYTES:
                self.is_too_long = True
                return

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        return self._blocks.popleft() if self._blocks else await self._stream.block()
