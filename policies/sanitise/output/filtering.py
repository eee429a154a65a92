"""One text of an answer on its way to the caller: looked through, changed where that is wanted, and restored."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Final

import msgspec

from policies.sanitise.finding import Finding
from policies.sanitise.injection.leak import Prompt, Reader
from policies.sanitise.inspection import Inspection
from policies.sanitise.output.finder import Finder, Searches
from policies.sanitise.output.instructions import InstructionReader, Judge
from policies.sanitise.output.known import KnownScreen, KnownSecrets
from policies.sanitise.output.screen import Screen
from policies.sanitise.output.sighting import BlockedError, Sighting
from policies.sanitise.output.tally import Tally
from policies.sanitise.redaction.redactor import Vault
from policies.sanitise.redaction.restorer import Place, StreamRestorer
from policies.sanitise.settings import Action
from policies.sanitise.steps import finish

_ESCAPED: Final = re.compile(r"\\(?:[nrtbf\"]|u[0-9a-fA-F]{4})")

_ASCII: Final = 128

_SHORT: Final = 4_096
"""Characters up to which a complete text is looked through once more where something is found in it: 0.1 ms."""


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with the texts of one answer.

    Attributes:
        inspection: of the request; takes in what is found.
        finder: finds what has a place; None where nothing is looked for.
        watcher: the same for texts that must not be changed.
        known: the gateway's own secrets, which are taken out at least; None where nobody knows any.
        vault: whose placeholders are put back; None where none are.
        prompt: the system message that must not be given away; None where nobody looks.
        instructions: judges whether a text gives instructions; None where nobody looks.
    """

    inspection: Inspection
    finder: Finder | None = None
    watcher: Finder | None = None
    known: KnownSecrets | None = None
    vault: Vault | None = None
    prompt: Prompt | None = None
    instructions: Judge | None = None

    @property
    def is_idle(self) -> bool:
        """Whether texts pass as they are."""
        return (
            self.finder is None
            and self.known is None
            and self.vault is None
            and self.prompt is None
            and self.instructions is None
        )

    @property
    def pauses(self) -> bool:
        """Whether long texts are filtered with pauses; they are not where leaks or instructions are looked for."""
        return self.prompt is None and self.instructions is None

    def passes(self, text: str, place: Place = "text", *, is_signed: bool = False) -> bool:
        """Tell whether a complete text goes through a `Filter` as it is, with nothing to tell of it.

        False also where that takes long to know, and where leaks or instructions are looked for.
        """
        if self.prompt is not None or self.instructions is not None or len(text) > _SHORT:
            return False
        if self.vault is not None and not is_signed and self.vault.suffix in text.casefold():
            return False
        if self.known is not None and self.known.find(text):
            return False
        finder = self.watcher if is_signed else self.finder
        return finder is None or finder.find_at_once(_plain_view(text) if place == "json" else text) == []


def duty_of(
    inspection: Inspection,
    known: KnownSecrets | None = None,
    instructions: Judge | None = None,
    searches: Searches | None = None,
) -> Duty:
    """Return what is to be done with the texts of an answer.

    Args:
        inspection: of the request.
        known: the gateway's own secrets; looked for where anything else is done with the texts.
        instructions: judges whether a text gives instructions.
        searches: of plans that were met before.
    """
    plan, vault = inspection.plan, inspection.vault
    search, fixed = (searches or Searches()).of(plan)
    is_leak_watched = plan.output.leak != "ignore" and bool(inspection.trusted)
    duty = Duty(
        inspection=inspection,
        finder=None if search.is_idle else Finder(search, vault),
        watcher=None if search.is_idle else Finder(fixed, vault),
        known=known,
        vault=vault if plan.restore else None,
        prompt=Prompt("\n".join(inspection.trusted), "\n".join(inspection.said)) if is_leak_watched else None,
        instructions=instructions if plan.output.injection != "ignore" else None,
    )
    is_needed = duty.finder or duty.vault or duty.prompt or duty.instructions
    return duty if is_needed or known is None else Duty(inspection=inspection)


class Filter:
    """Filters one text, which arrives in pieces cut anywhere.

    Args:
        duty: what is to be done.
        name: the text, as a path in the answer, for verdicts.
        place: whether it stands inside of a string of JSON.
        is_signed: whether it must stay as it is, as its signature would not fit else: nothing is put back or replaced,
            and what should be replaced is flagged. Only the gateway's own secrets go all the same.
    """

    __slots__ = ("_duty", "_instructions", "_known", "_leak", "_restorer", "_screen", "_tally")

    def __init__(self, duty: Duty, name: str, place: Place = "text", *, is_signed: bool = False) -> None:
        self._duty = duty
        self._tally = Tally(name)
        finder = duty.watcher if is_signed else duty.finder
        view = _plain_view if place == "json" else None
        self._screen = None if finder is None else Screen(finder, self._tally.add, view)
        own: Action = "block" if duty.inspection.plan.output.secrets == "block" else "redact"
        self._known = None if duty.known is None else KnownScreen(duty.known, own, self._tally.add)
        self._leak = None if duty.prompt is None else Reader(duty.prompt)
        self._instructions = None if duty.instructions is None else InstructionReader(duty.instructions)
        self._restorer = None if duty.vault is None or is_signed else StreamRestorer(duty.vault, place)

    @property
    def held(self) -> int:
        """Return how many characters are held back."""
        screens = (self._known, self._screen)
        screened = sum(screen.held for screen in screens if screen is not None)
        return screened + (0 if self._restorer is None else self._restorer.held)

    def feed(self, piece: str) -> str:
        """Take a piece and return what may be sent on.

        Raises:
            BlockedError: something must not be sent; what it carries may.
        """
        if self._leak is not None and self._leak.feed(piece):
            self._leak = None
            self._found("leak", "system_message", 1.0)
        if self._instructions is not None and (score := self._instructions.feed(piece)) is not None:
            self._found("injection", "instructions", score)
        return self._passed(piece if self._known is None else self._without_own(self._known, piece))

    def flush(self) -> str:
        """Return what was held back: the text pauses, has ended, or was broken off. Raises what `feed` does."""
        passed = "" if self._known is None else self._passed(self._known.flush())
        return passed + self._rest()

    def finish(self) -> str:
        """Return what was held back of a text that has ended, and have what was found told. Raises what `feed` does."""
        try:
            if self._leak is not None and self._leak.finish().leaked:
                self._found("leak", "system_message", 1.0)
            if self._instructions is not None and (score := self._instructions.finish()) is not None:
                self._found("injection", "instructions", score)
            return self.flush()
        finally:
            self.close()

    def whole(self, text: str) -> str:
        """Return a complete text as it may be sent. Raises what `feed` does."""
        return finish(self.whole_in_steps(text))

    def whole_in_steps(self, text: str) -> Generator[None, None, str]:
        """Return a complete text as it may be sent; made with pauses where only findings count. Raises as `feed` does.

        Leaks and instructions are looked for without a pause.
        """
        if self._leak is not None or self._instructions is not None:
            return self.feed(text) + self.finish()
        try:
            if self._known is not None:
                text = yield from self._whole_without_own(self._known, text)
            return (yield from self._whole(text))
        finally:
            self.close()

    def close(self) -> None:
        """Have what was found and restored told; once."""
        self._leak = self._instructions = None
        inspection = self._duty.inspection
        self._tally.tell(inspection)
        if self._restorer is not None:
            restorer = self._restorer.restorer
            inspection.restored += restorer.restored
            inspection.invented += restorer.invented
            inspection.unrestored += restorer.unrestored
            restorer.restored = restorer.invented = restorer.unrestored = 0

    def _whole(self, text: str) -> Generator[None, None, str]:
        """Return a complete text that has none of the gateway's own secrets as it may be sent."""
        if self._screen is not None:
            try:
                text = yield from self._screen.whole(text)
            except BlockedError as error:
                error.passed = self._wholly_restored(error.passed)
                raise
        return self._wholly_restored(text)

    def _wholly_restored(self, text: str) -> str:
        return text if self._restorer is None else self._restored(text) + self._restorer.flush()

    def _whole_without_own(self, known: KnownScreen, text: str) -> Generator[None, None, str]:
        try:
            return known.whole(text)
        except BlockedError as error:
            error.passed = yield from self._whole(error.passed)
            raise

    def _without_own(self, known: KnownScreen, piece: str) -> str:
        """Return what may pass of a piece without the gateway's own secrets."""
        try:
            return known.feed(piece)
        except BlockedError as error:
            error.passed = self._passed(error.passed) + self._rest()
            self.close()
            raise

    def _rest(self) -> str:
        """Return what the others hold back."""
        passed = "" if self._screen is None else self._restored(self._screened(self._screen.flush))
        return passed if self._restorer is None else passed + self._restorer.flush()

    def _passed(self, piece: str) -> str:
        """Return what may be sent on of a text that has none of the gateway's own secrets."""
        if self._screen is not None:
            piece = self._screened(self._screen.feed, piece)
        return self._restored(piece)

    def _restored(self, text: str) -> str:
        return text if self._restorer is None or not text else self._restorer.feed(text)

    def _screened(self, screen: Callable[..., str], *piece: str) -> str:
        try:
            return screen(*piece)
        except BlockedError as error:
            error.passed = self._restored(error.passed)
            if self._restorer is not None:
                error.passed += self._restorer.flush()
            self.close()
            raise

    def _found(self, detector: str, rule: str, score: float) -> None:
        """Note what has no place; what should be replaced and cannot be is flagged."""
        action = self._duty.inspection.plan.output.of(detector)
        finding = Finding(detector, rule, 0, 0, score)
        self._tally.add(Sighting(finding, "flag" if action == "redact" else action))
        if action == "block":
            self.close()
            raise BlockedError(finding)


def _plain_view(text: str) -> str:
    """Return the inside of a string of JSON with escapes blanked, character for character."""
    return _ESCAPED.sub(_blanked, text) if "\\" in text else text


def _blanked(match: re.Match[str]) -> str:
    written = match.group()
    if written == '\\"':
        return ' "'
    code = int(written.removeprefix("\\u"), 16) if len(written) > 2 else 0
    return (chr(code) if 0 < code < _ASCII else " ").rjust(len(written))
