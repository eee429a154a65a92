"""The events of a Message as a whole one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.answers.assembly.base import Assembled
from gateway.answers.reading import Document, an_object, has_more_than
from gateway.domain.usage import Usage

_DELTAS: Final = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("partial_json", "input"),
}
"""By type of delta: the member with its text, and the member of the block that it adds to."""

_OF_END: Final = frozenset({"type", "delta", "usage"})


def assemble_message(events: Sequence[Document], usage: Usage) -> Assembled | None:
    """Return the whole Message; see `Assembler`. Its own events tell its usage."""
    del usage
    message: Document | None = None
    blocks: dict[Any, _Block] = {}
    is_exact = True
    for event in events:
        kind = event.get("type")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message = dict(event["message"])
        elif kind == "content_block_start":
            blocks[event.get("index")] = _Block(an_object(event.get("content_block")))
        elif kind == "content_block_delta" and event.get("index") in blocks:
            is_exact = blocks[event["index"]].take(an_object(event.get("delta"))) and is_exact
        elif kind == "message_delta" and message is not None:
            _end(message, event)
            is_exact = is_exact and not has_more_than(event, _OF_END)
        elif kind not in ("content_block_stop", "message_stop", "ping"):
            is_exact = False
    if message is None:
        return None
    whole = [block.whole() for block in blocks.values()]
    message["content"] = [block for block in whole if block is not None]
    return Assembled(message, is_exact and None not in whole)


def _end(message: Document, event: Document) -> None:
    """Take in why a message ended, and its counts, of which later ones replace those of the start."""
    message |= an_object(event.get("delta"))
    told = {name: count for name, count in an_object(event.get("usage")).items() if count is not None}
    message["usage"] = {**an_object(message.get("usage")), **told}


class _Block:
    """A content block, while its deltas are added up."""

    def __init__(self, start: Document) -> None:
        self._start = start
        self._pieces: dict[str, list[str]] = {}

    def take(self, delta: Document) -> bool:
        """Add a delta; False where it is of an unknown kind."""
        name, member = _DELTAS.get(str(delta.get("type")), ("", ""))
        piece = delta.get(name)
        if not isinstance(piece, str):
            return False
        self._pieces.setdefault(member, []).append(piece)
        return True

    def whole(self) -> Document | None:
        """Return the block as it stands in a plain answer; None where its input is no JSON."""
        block = dict(self._start)
        for member, pieces in self._pieces.items():
            text = "".join(pieces)
            if member != "input":
                block[member] = str(block.get(member) or "") + text
            elif text:
                try:
                    block[member] = msgspec.json.decode(text)
                except (msgspec.DecodeError, RecursionError):
                    return None
        return block
