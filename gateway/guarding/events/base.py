"""The seam of what guards events, and the texts that they are pieces of."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from gateway.answers.reading import Document
from gateway.guarding.tool_calls import MOST_CHARACTERS, CallJudge
from policies.sanitise.finding import Finding
from policies.sanitise.output.filtering import Duty, Filter
from policies.sanitise.output.sighting import BlockedError
from policies.sanitise.redaction.restorer import Place


class EventGuard(Protocol):
    """Guards the events of one stream of one shape."""

    @property
    def blocked(self) -> Finding | None:
        """What must not pass; what was returned before and with it may."""

    def take(self, event: Document) -> list[Document] | None:
        """Return what is to be sent in place of an event, in order; None for the event as it came."""

    def rest(self) -> list[Document]:
        """Return events with what was held back: the stream has ended, or broke."""


def number(value: object) -> int | None:
    """Return an index of an event, None for what is none."""
    return value if type(value) is int else None


class Thread:
    """One text of a stream.

    Attributes:
        passed: the pieces that were sent on, where they are kept.
        raw: the pieces that came, where they are kept.
        is_over: whether it has ended.
    """

    __slots__ = ("filter", "is_over", "passed", "raw")

    def __init__(self, filtered: Filter | None, *, is_kept: bool) -> None:
        self.filter = filtered
        self.passed: list[str] | None = [] if is_kept else None
        self.raw: list[str] | None = [] if is_kept else None
        self.is_over = False


class Threads:
    """The texts of one stream. Once something was blocked, nothing more passes.

    Args:
        duty: what is to be done with them.
        calls: judges calls of tools.

    Attributes:
        blocked: what must not pass.
    """

    __slots__ = ("_duty", "_threads", "blocked", "calls")

    def __init__(self, duty: Duty, calls: CallJudge) -> None:
        self._duty, self.calls = duty, calls
        self._threads: dict[Hashable, Thread] = {}
        self.blocked: Finding | None = None

    def open(
        self, key: Hashable, name: str, place: Place = "text", *, is_signed: bool = False, is_kept: bool = False
    ) -> Thread:
        """Return a text, begun where it is new.

        Args:
            key: tells it from others of the stream.
            name: the text, as a path in the answer.
            place: see `Filter`.
            is_signed: see `Filter`.
            is_kept: whether its pieces are kept.
        """
        thread = self._threads.get(key)
        if thread is None or thread.is_over:
            filtered = None if self._duty.is_idle else Filter(self._duty, name, place, is_signed=is_signed)
            thread = self._threads[key] = Thread(filtered, is_kept=is_kept)
        return thread

    def feed(self, thread: Thread, piece: str) -> str:
        """Return what may be sent of a text once a piece has come."""
        if self.blocked is not None:
            return ""
        passed = piece
        if thread.filter is not None:
            try:
                passed = thread.filter.feed(piece)
            except BlockedError as error:
                passed = self._block(error)
        if thread.raw is not None and thread.passed is not None:
            thread.raw.append(piece)
            thread.passed.append(passed)
        return passed

    def flush(self, key: Hashable, *, is_over: bool = False) -> str:
        """Return what was held back of a text."""
        thread = self._threads.get(key)
        if thread is None or thread.is_over:
            return ""
        thread.is_over = is_over
        passed = ""
        if thread.filter is not None and self.blocked is None:
            try:
                passed = thread.filter.finish() if is_over else thread.filter.flush()
            except BlockedError as error:
                passed = self._block(error)
        elif thread.filter is not None and is_over:
            thread.filter.close()
        if thread.passed is not None:
            thread.passed.append(passed)
        return passed

    def judge(self, name: str, arguments: object, place: str) -> None:
        """Judge a complete call of a tool."""
        if self.blocked is not None:
            return
        try:
            self.calls.judge(name, arguments, place)
        except BlockedError as error:
            self.blocked = error.finding

    def whole(self, name: str, text: str, place: Place, *, is_signed: bool) -> str:
        """Return a complete text as it may be sent."""
        if self._duty.is_idle or self.blocked is not None:
            return text
        try:
            return Filter(self._duty, name, place, is_signed=is_signed).whole(text)
        except BlockedError as error:
            return self._block(error)

    def _block(self, error: BlockedError) -> str:
        self.blocked = error.finding
        return error.passed


class StreamedCall:
    """A call of a tool, while its arguments arrive.

    Attributes:
        name: of the tool.
        arguments: that were sent on so far; more than `MOST_CHARACTERS` are not kept, and the call is too long.
    """

    __slots__ = ("_pieces", "_size", "name")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._pieces: list[str] = []
        self._size = 0

    def add(self, piece: str) -> None:
        """Keep a piece of the arguments."""
        if piece and self._size <= MOST_CHARACTERS:
            self._size += len(piece)
            self._pieces.append(piece)

    @property
    def arguments(self) -> str:
        """The arguments so far, as JSON."""
        return "".join(self._pieces)
