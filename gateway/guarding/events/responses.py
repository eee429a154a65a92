"""Guards the events of OpenAI's Responses, which tell every text several times: in pieces, whole, and in the end."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

from gateway.answers.reading import Document, a_text
from gateway.domain.rewriting import Path
from gateway.guarding.answer_texts import (
    AnswerText,
    Call,
    call_of_item,
    place_of,
    texts_of_answer,
    texts_of_item,
    texts_of_part,
)
from gateway.guarding.events.base import Thread, Threads, number
from gateway.guarding.tool_calls import CallJudge
from policies.sanitise.finding import Finding
from policies.sanitise.output.filtering import Duty, Filter
from policies.sanitise.redaction.restorer import Place

_DELTA: Final = ".delta"
_DONE: Final = ".done"
_PIECES: Final[dict[str, tuple[str, Place]]] = {
    "response.output_text": ("text", "text"),
    "response.refusal": ("refusal", "text"),
    "response.function_call_arguments": ("arguments", "json"),
    "response.mcp_call_arguments": ("arguments", "json"),
    "response.custom_tool_call_input": ("input", "text"),
    "response.code_interpreter_call_code": ("code", "text"),
    "response.reasoning_text": ("text", "text"),
    "response.reasoning_summary_text": ("text", "text"),
    "response.audio.transcript": ("transcript", "text"),
}
"""By what deltas and the event after them are called: the member of that event with the whole text, and its form."""

_SIGNED: Final = frozenset({"response.reasoning_text", "response.reasoning_summary_text"})
_CALLS: Final = frozenset({"response.function_call_arguments", "response.custom_tool_call_input"})
_MOST_KEPT: Final = 16 << 20
"""Characters of texts that are kept to be told again; what is longer is looked through once more."""


class ResponseEvents:
    """Guards the events of one stream; see `EventGuard`.

    Reasoning stays as it is, though it is looked through: it goes back to whoever made it. What was held back of a text
    is sent in a copy of its last delta before the event that has the whole of it.

    Args:
        duty: what is to be done with texts.
        calls: judges calls of tools.
    """

    def __init__(self, duty: Duty, calls: CallJudge) -> None:
        self._duty = duty
        self._threads = Threads(duty, calls)
        self._echo = Duty(inspection=duty.inspection, vault=duty.vault)
        self._last: dict[Hashable, tuple[Thread, Document]] = {}
        self._told: dict[tuple[Place, str], str] = {}
        self._kept = 0
        self._tools: dict[int | None, str] = {}
        self._judged: set[int | None] = set()
        self._next = self._shift = 0

    @property
    def blocked(self) -> Finding | None:
        """What must not pass."""
        return self._threads.blocked

    def take(self, event: Document) -> list[Document] | None:
        """Guard one event; see `EventGuard.take`. Events that are sent are numbered without a gap."""
        made = self._take(event)
        told = event.get("sequence_number")
        if type(told) is not int:
            return made
        if made is None and not self._shift:
            self._next = told + 1
            return None
        sent = [event] if made is None else made
        self._next = told + self._shift
        self._shift += len(sent) - 1
        return self._numbered(sent)

    def _take(self, event: Document) -> list[Document] | None:
        kind = a_text(event.get("type"))
        if kind.endswith(_DELTA):
            return self._delta(event, kind.removesuffix(_DELTA))
        before: list[Document] = []
        if kind.endswith(_DONE) and kind.removesuffix(_DONE) in _PIECES:
            before = self._finish([_key(event, kind.removesuffix(_DONE))])
            is_changed = self._done(event, kind.removesuffix(_DONE))
        elif isinstance(event.get("item"), dict):
            before = self._finish(self._keys_of(event)) if kind.endswith(_DONE) else []
            is_changed = self._item(event, is_done=kind.endswith(_DONE))
        elif isinstance(event.get("part"), dict):
            is_changed = self._whole(event["part"], texts_of_part(event["part"]))
        elif isinstance(event.get("response"), dict):
            before = self._finish(list(self._last)) if event["response"].get("output") else []
            is_changed = self._response(event["response"])
        else:
            return None
        if self.blocked is not None:
            return before
        return [*before, event] if is_changed or before else None

    def rest(self) -> list[Document]:
        """Return events with what was held back."""
        return self._numbered(self._finish(list(self._last)))

    def _numbered(self, events: list[Document]) -> list[Document]:
        """Give events the numbers that are next; those of a stream without any have none."""
        for event in events:
            if "sequence_number" in event:
                event["sequence_number"] = self._next
                self._next += 1
        return events

    def _delta(self, event: Document, base: str) -> list[Document] | None:
        piece = event.get("delta")
        if base not in _PIECES or not isinstance(piece, str) or not piece:
            return None
        key = _key(event, base)
        thread = self._threads.open(
            key, _name_of(event, base), _PIECES[base][1], is_signed=base in _SIGNED, is_kept=self._kept < _MOST_KEPT
        )
        self._kept += len(piece)
        passed = self._threads.feed(thread, piece)
        if passed == piece:
            self._last[key] = thread, event
            return None
        event["delta"] = passed
        if event.get("logprobs"):
            event["logprobs"] = []  # of tokens that are not the text's any more
        self._last[key] = thread, event
        return [event] if passed else []

    def _finish(self, keys: Iterable[Hashable]) -> list[Document]:
        """End texts, and return deltas with what was held back of them."""
        made = []
        for key in keys:
            if key not in self._last:
                continue
            thread, last = self._last.pop(key)
            rest = self._threads.flush(key, is_over=True)
            if thread.raw is not None and thread.passed is not None and self.blocked is None:
                place = _PIECES[str(last["type"]).removesuffix(_DELTA)][1]
                self._told[place, "".join(thread.raw)] = "".join(thread.passed)
            if rest:
                made.append({**last, "delta": rest, **({"logprobs": []} if "logprobs" in last else {})})
        return made

    def _done(self, event: Document, base: str) -> bool:
        """Guard the event that ends a text with the whole of it; the calls of tools are complete then."""
        member, place = _PIECES[base]
        given = event.get(member)
        if not isinstance(given, str):
            return False
        text = AnswerText((member,), given, place, base in _SIGNED)
        is_changed = self._whole(event, [text] if given else [])
        if base in _CALLS:
            name = self._tools.get(number(event.get("output_index"))) or a_text(event.get("name"))
            arguments = event[member] if place == "json" else {member: event[member]}
            if name:
                self._judge(Call((), name, arguments), event)
        return is_changed

    def _item(self, event: Document, *, is_done: bool) -> bool:
        item, index = event["item"], number(event.get("output_index"))
        call = call_of_item(item)
        if call is not None and not is_done:
            self._tools[index] = call.name
        is_changed = self._whole(item, texts_of_item(item))
        if call is not None and is_done and index not in self._judged:
            self._judge(call_of_item(item) or call, event)
        return is_changed

    def _judge(self, call: Call, event: Document) -> None:
        self._judged.add(number(event.get("output_index")))
        self._threads.judge(call.name, call.arguments, f"output[{number(event.get('output_index'))}]")

    def _response(self, response: Document) -> bool:
        return self._whole(response, texts_of_answer(response, "responses"))

    def _whole(self, owner: Document, texts: Iterable[AnswerText]) -> bool:
        """Replace complete texts of a document by what may be sent; tell whether one is something else."""
        is_changed = False
        for text in list(texts):
            new = self._echoed(text) if text.is_echo else self._known(text)
            if new != text.text:
                _put(owner, text.path, new)
                is_changed = True
        return is_changed

    def _known(self, text: AnswerText) -> str:
        """Return what was sent of a text before; one that is new is looked through."""
        known = self._told.get((text.place, text.text))
        if known is None:
            name = place_of(text.path)
            known = self._threads.whole(name, text.text, text.place, is_signed=text.is_signed)
            self._kept += len(text.text)
            if self._kept < _MOST_KEPT:
                self._told[text.place, text.text] = known
        return known

    def _echoed(self, text: AnswerText) -> str:
        return text.text if self._echo.is_idle else Filter(self._echo, place_of(text.path)).whole(text.text)

    def _keys_of(self, event: Document) -> list[Hashable]:
        index = number(event.get("output_index"))
        return [key for key in self._last if isinstance(key, tuple) and key[1] == index]


def _key(event: Document, base: str) -> Hashable:
    return base, *(number(event.get(name)) for name in ("output_index", "content_index", "summary_index"))


def _name_of(event: Document, base: str) -> str:
    name = f"output[{number(event.get('output_index'))}]"
    for member, list_name in (("content_index", "content"), ("summary_index", "summary")):
        if member in event:
            name += f".{list_name}[{number(event[member])}]"
    return f"{name}.{_PIECES[base][0]}"


def _put(document: Any, path: Path, text: str) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = text
