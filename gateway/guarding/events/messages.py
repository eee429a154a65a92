"""Guards the events of Anthropic's Messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.answers.reading import Document, a_text, an_object
from gateway.guarding.answer_texts import TOOL_USES, AnswerText, place_of, texts_of_answer, texts_of_block
from gateway.guarding.events.base import StreamedCall, Threads, number
from gateway.guarding.tool_calls import CallJudge
from policies.sanitise.finding import Finding
from policies.sanitise.output.filtering import Duty
from policies.sanitise.redaction.restorer import Place

_DELTAS: Final[dict[str, tuple[str, Place]]] = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("partial_json", "json"),
    "thinking_delta": ("thinking", "text"),
}
_ENDS: Final = frozenset({"message_delta", "message_stop"})


class MessageEvents:
    """Guards the events of one stream; see `EventGuard`. Thinking is signed: it is looked through and stays as it is.

    Args:
        duty: what is to be done with texts.
        calls: judges calls of tools.
    """

    def __init__(self, duty: Duty, calls: CallJudge) -> None:
        self._threads = Threads(duty, calls)
        self._kinds: dict[int | None, str] = {}
        self._calls: dict[int | None, StreamedCall] = {}

    @property
    def blocked(self) -> Finding | None:
        """What must not pass."""
        return self._threads.blocked

    def take(self, event: Document) -> list[Document] | None:
        """Guard one event; see `EventGuard.take`."""
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "content_block_start":
            return self._start(event)
        if kind == "message_start":
            return self._began(event)
        if kind == "content_block_stop":
            return self._stopped(event, [number(event.get("index"))])
        return self._stopped(event, list(self._kinds)) if kind in _ENDS else None

    def rest(self) -> list[Document]:
        """Return events with what was held back."""
        return [made for index in list(self._kinds) for made in self._finish(index)]

    def _delta(self, event: Document) -> list[Document] | None:
        delta, index = an_object(event.get("delta")), number(event.get("index"))
        kind = a_text(delta.get("type"))
        member, place = _DELTAS.get(kind, ("", "text"))
        piece = delta.get(member)
        if not isinstance(piece, str) or not piece:
            return None
        self._kinds[index] = kind
        name = f"content[{index}].{'input' if place == 'json' else member}"
        thread = self._threads.open(index, name, place, is_signed=kind == "thinking_delta")
        passed = delta[member] = self._threads.feed(thread, piece)
        if index in self._calls:
            self._calls[index].add(passed)
        if passed == piece:
            return None
        return [event] if passed else []

    def _start(self, event: Document) -> list[Document] | None:
        """Begin a block, which some servers send with what it holds, and a few whole."""
        block, index = an_object(event.get("content_block")), number(event.get("index"))
        if block.get("type") == "tool_use":
            self._calls[index] = StreamedCall(a_text(block.get("name")))
        is_changed = self._whole(block, texts_of_block(block), f"content[{index}].")
        if a_text(block.get("type")) in TOOL_USES and block.get("input"):
            self._threads.judge(a_text(block.get("name")), block["input"], f"content[{index}]")
            self._calls.pop(index, None)
        if self.blocked is not None:
            return []
        return [event] if is_changed else None

    def _began(self, event: Document) -> list[Document] | None:
        """Guard what a message has from the beginning: nothing, at Anthropic."""
        message = an_object(event.get("message"))
        is_changed = self._whole(message, texts_of_answer(message, "messages"), "")
        if self.blocked is not None:
            return []
        return [event] if is_changed else None

    def _whole(self, owner: Document, texts: Iterable[AnswerText], before: str) -> bool:
        """Replace complete texts by what may be sent; tell whether one is something else."""
        is_changed = False
        for text in list(texts):
            name = before + place_of(text.path)
            new = self._threads.whole(name, text.text, text.place, is_signed=text.is_signed)
            is_changed = _put(owner, text.path, new) or is_changed
        return is_changed

    def _stopped(self, event: Document, indices: list[int | None]) -> list[Document] | None:
        """End blocks before the event that says so."""
        made = [one for index in indices for one in self._finish(index)]
        if self.blocked is not None:
            return made
        return [*made, event] if made else None

    def _finish(self, index: int | None) -> list[Document]:
        kind = self._kinds.pop(index, "")
        rest = self._threads.flush(index, is_over=True)
        call = self._calls.pop(index, None)
        if call is not None:
            call.add(rest)
            self._threads.judge(call.name, call.arguments, f"content[{index}]")
        if not rest:
            return []
        delta = {"type": kind, _DELTAS[kind][0]: rest}
        return [{"type": "content_block_delta", "index": index, "delta": delta}]


def _put(document: Any, path: tuple[str | int, ...], text: str) -> bool:
    """Put a text where another one stands, and tell whether it is another one."""
    for step in path[:-1]:
        document = document[step]
    is_new: bool = document[path[-1]] != text
    document[path[-1]] = text
    return is_new
