"""Guards the chunks of chat completions, and of legacy completions."""

from __future__ import annotations

from typing import Any, Final

from gateway.answers.reading import Document, a_text, an_object, objects
from gateway.guarding.answer_texts import REASONING
from gateway.guarding.events.base import StreamedCall, Threads
from gateway.guarding.tool_calls import CallJudge
from policies.sanitise.finding import Finding
from policies.sanitise.output.filtering import Duty
from policies.sanitise.redaction.restorer import Place

Key = tuple[int, str, int]
"""A text: its choice, its member, and the call's index where it belongs to one."""

_TEXTS: Final = ("content", "refusal", *REASONING)
_OF_CALLS: Final = {"function": "arguments", "custom": "input"}
_WITHIN: Final = {"function_call": "arguments", "audio": "transcript"}
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


class ChatEvents:
    """Guards the chunks of one stream; see `EventGuard`.

    What was held back of a text is sent before the chunk that ends it, in a chunk of its own. A chunk of which nothing
    is left is not sent.

    Args:
        duty: what is to be done with texts.
        calls: judges calls of tools.
    """

    def __init__(self, duty: Duty, calls: CallJudge) -> None:
        self._threads = Threads(duty, calls)
        self._chunk: Document = {}
        self._open: dict[int, dict[Key, None]] = {}
        self._calls: dict[Key, StreamedCall] = {}
        self._before: list[Document] = []
        self._here: dict[Key, tuple[Document, str]] = {}
        self._is_changed = False

    @property
    def blocked(self) -> Finding | None:
        """What must not pass."""
        return self._threads.blocked

    def take(self, event: Document) -> list[Document] | None:
        """Guard one chunk; see `EventGuard.take`."""
        choices = objects(event.get("choices"))
        if not choices:
            return None
        self._chunk = event
        self._before, self._here = [], {}
        changes = [self._choice(choice) for choice in choices]
        if not any(changes) and not self._before:
            return None
        event["choices"] = kept = [choice for choice in choices if _says(choice)]
        return [*self._before, event] if kept or event.get("usage") else self._before

    def rest(self) -> list[Document]:
        """Return chunks with what was held back."""
        self._before, self._here = [], {}
        for index in list(self._open):
            self._finish(index)
        return self._before

    def _choice(self, choice: Document) -> bool:
        """Guard one choice of a chunk, and tell whether it was changed."""
        self._is_changed = False
        index = choice.get("index")
        at = index if type(index) is int else 0
        self._delta(at, an_object(choice.get("delta")))
        if "text" in choice:  # of a legacy completion
            self._text((at, "text", 0), choice, "text")
        if choice.get("finish_reason") is not None:
            self._finish(at)
            if self.blocked is not None:
                choice["finish_reason"], self._is_changed = None, True
        if self._is_changed and choice.get("logprobs") is not None:
            choice["logprobs"] = None  # of tokens that are not the text's any more
        return self._is_changed

    def _delta(self, index: int, delta: Document) -> None:
        for name, value in delta.items():
            if not value:
                continue
            if name in _TEXTS:
                self._text((index, name, 0), delta, name)
                for part in objects(value):
                    self._text((index, name, 0), part, "text")
            elif name == "tool_calls":
                for call in objects(value):
                    kind = "custom" if "custom" in call else "function"
                    key = (index, kind, self._number_of(index, call))
                    self._call(key, an_object(call.get(kind)), _OF_CALLS[kind])
            elif name == "function_call":
                self._call((index, name, 0), an_object(value), "arguments")
            elif name == "audio":
                self._text((index, name, 0), an_object(value), "transcript")

    def _text(self, key: Key, owner: Document, member: str) -> None:
        """Replace a piece of a text by what may be sent."""
        piece = owner.get(member)
        if not isinstance(piece, str) or not piece:
            return
        self._pause(key)
        place: Place = "json" if key[1] in ("function", "function_call") else "text"
        thread = self._threads.open(key, _name_of(key), place)
        self._open.setdefault(key[0], {})[key] = None
        self._here[key] = owner, member
        passed = owner[member] = self._threads.feed(thread, piece)
        self._is_changed = self._is_changed or passed != piece
        if key in self._calls:
            self._calls[key].add(passed)

    def _call(self, key: Key, made: Document, member: str) -> None:
        if key not in self._calls:
            self._pause_calls(key[0])
        call = self._calls.setdefault(key, StreamedCall())
        call.name = call.name or a_text(made.get("name"))
        self._open.setdefault(key[0], {})[key] = None
        self._text(key, made, member)

    def _number_of(self, choice: int, call: Document) -> int:
        """Return a call's index; a few servers send each call whole, without one."""
        index = call.get("index")
        if type(index) is int:
            return index
        known = sum(1 for key in self._calls if key[0] == choice and key[1] in _OF_CALLS)
        return known if call.get("id") else max(known - 1, 0)

    def _pause(self, key: Key) -> None:
        """Send what is held back of texts that come before another one; calls that are known may go on side by side."""
        for other in self._open.get(key[0], {}):
            if other != key and other[1] in _TEXTS:
                self._send(other, self._threads.flush(other))

    def _pause_calls(self, choice: int) -> None:
        """Send what is held back of a choice's calls: clients take those of earlier chunks for complete."""
        for key in [key for key in self._calls if key[0] == choice and key not in self._here]:
            rest = self._threads.flush(key)
            self._calls[key].add(rest)
            self._send(key, rest)

    def _finish(self, index: int) -> None:
        """End a choice: send what is held back, and judge its calls."""
        for key in self._open.pop(index, {}):
            rest = self._threads.flush(key, is_over=True)
            if key in self._calls:
                self._calls[key].add(rest)
            self._send(key, rest)
        for key in [key for key in self._calls if key[0] == index]:
            call = self._calls.pop(key)
            given: Any = {"input": call.arguments} if key[1] == "custom" else call.arguments
            self._threads.judge(call.name, given, _name_of(key))

    def _send(self, key: Key, text: str) -> None:
        """Have a text sent: in the chunk at hand where that has a piece of it, else in one of its own before that."""
        if not text:
            return
        if key in self._here:
            owner, member = self._here[key]
            owner[member] += text
            self._is_changed = True
            return
        index, name, number = key
        choice: Document = {"index": index, "logprobs": None, "finish_reason": None}
        if name == "text":
            choice["text"] = text
        elif name in _OF_CALLS:
            choice["delta"] = {"tool_calls": [{"index": number, name: {_OF_CALLS[name]: text}}]}
        else:
            choice["delta"] = {name: {_WITHIN[name]: text} if name in _WITHIN else text}
        told = {name: value for name, value in self._chunk.items() if name not in ("choices", "usage", "obfuscation")}
        self._before.append({**told, "choices": [choice]})


def _says(choice: Document) -> bool:
    """Tell whether a choice of a chunk says anything."""
    if choice.get("finish_reason") is not None or choice.get("text"):
        return True
    delta = an_object(choice.get("delta"))
    if delta.get("content"):
        return True
    calls = objects(delta.get("tool_calls"))
    if any(value not in _EMPTY for name, value in delta.items() if name not in ("tool_calls", "function_call")):
        return True
    if an_object(delta.get("function_call")) and any(delta["function_call"].values()):
        return True
    return any(call.get("id") or any(an_object(call.get("custom") or call.get("function")).values()) for call in calls)


def _name_of(key: Key) -> str:
    index, name, number = key
    if name == "text":
        return f"choices[{index}].text"
    if name in _OF_CALLS:
        return f"choices[{index}].message.tool_calls[{number}].{name}.{_OF_CALLS[name]}"
    if name in _WITHIN:
        return f"choices[{index}].message.{name}.{_WITHIN[name]}"
    return f"choices[{index}].message.{name}"
