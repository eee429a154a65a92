"""Holds an answer's text back just long enough to see what must not pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from typing import Final

from policies.sanitise.finding import Finding
from policies.sanitise.output.finder import Finder
from policies.sanitise.output.sighting import BlockedError, Sighting, Tell
from policies.sanitise.redaction.placeholder import label_of
from policies.sanitise.unicode.cleaning import cleaned

HELD: Final = 96
"""Characters at the end of a text that are always held back where text may be changed: what has spaces in it and is
no longer than this (numbers of telephones, cards and accounts) is complete before its beginning is sent."""

STEP: Final = 32
"""Characters that come in between two looks where text is held back; a look takes about 5 us."""

STRIDE: Final = 1_024
"""Characters between two looks where nothing is held back."""

LONGEST_WORD: Final = 1_024
"""Characters of one word up to which it is held back whole; tokens in JWT have fewer."""

MOST: Final = 4_096
"""Characters of one finding up to which it is held back whole."""

LONGEST: Final = 16_384 + 256
"""Characters of a private key that is held back whole."""

_CONTEXT: Final = 256
"""Characters before what is looked at that are looked at again, for words that tell what a number is."""

_BREAK: Final = re.compile(r"[\s\u0080-\U0010ffff](?=[^\s\u0080-\U0010ffff]*\Z)")
"""The last character that no key, address or number has within it."""

_BLANK: Final = "about:blank"
"""What is written for an address: a text would be one, relative to the page."""


class Screen:
    """Looks through one text that arrives in pieces.

    Where something may be changed, at most `HELD` and `STEP` characters and the word before them are held back; a word
    up to `LONGEST_WORD`, a finding up to `MOST`, a private key up to `LONGEST`. Where findings are only told of,
    nothing is held back.

    Args:
        finder: finds what there is.
        tell: is told of each finding once.
        view: shows a text to the finder, character for character; for texts inside of strings of JSON.
    """

    __slots__ = ("_before", "_due", "_finder", "_is_held", "_seen", "_tell", "_view", "_window")

    def __init__(self, finder: Finder, tell: Tell, view: Callable[[str], str] | None = None) -> None:
        self._finder, self._tell, self._view = finder, tell, view
        self._is_held = finder.changes
        self._window = ""
        self._before = self._seen = 0
        self._due = HELD + STEP if self._is_held else STRIDE

    @property
    def held(self) -> int:
        """Return how many characters are held back."""
        return len(self._window) - self._seen if self._is_held else 0

    def feed(self, piece: str) -> str:
        """Take a piece and return what may pass.

        Raises:
            BlockedError: something must not.
        """
        self._window += piece
        passed = "" if len(self._window) < self._due else self._advance(is_over=False)
        return passed if self._is_held else piece

    def whole(self, text: str) -> Generator[None, None, str]:
        """Return a complete text as far as it may pass; it is looked through once, with pauses.

        Raises:
            BlockedError: something must not.
        """
        found = yield from self._finder.steps(text if self._view is None else self._view(text))
        self._window = text
        passed = self._act_on(found, is_over=True)
        return passed if self._is_held else text

    def flush(self) -> str:
        """Return what was held back, as far as it may pass. More may follow, which is then looked at with this.

        Raises:
            BlockedError: something must not.
        """
        if len(self._window) == self._seen:
            return ""
        passed = self._advance(is_over=True)
        return passed if self._is_held else ""

    def _advance(self, *, is_over: bool) -> str:
        window = self._window
        found = self._finder.find(window if self._view is None else self._view(window))
        return self._act_on(found, is_over=is_over)

    def _act_on(self, found: Sequence[Sighting], *, is_over: bool) -> str:
        window = self._window
        fresh = [one for one in found if one.finding.end > self._seen]
        cut = len(window) if is_over else self._settled(fresh)
        passing = [one for one in fresh if one.finding.start < cut]
        passed = self._passed(passing, cut)
        for one in passing:
            self._tell(one, self._before)
        self._move(cut)
        for one in passing:
            if one.action == "block":
                raise BlockedError(one.finding, passed)
        return passed

    def _settled(self, found: Sequence[Sighting]) -> int:
        """Return up to where nothing can become part of a finding any more."""
        window, seen = self._window, self._seen
        limit = max(len(window) - HELD, seen)
        last = _BREAK.search(window, seen, limit)
        cut = last.end() if last is not None else seen
        if limit - cut > LONGEST_WORD:
            cut = limit
        for one in reversed(found):
            finding = one.finding
            longest = LONGEST if finding.rule == "private_key" else MOST
            if finding.start < cut < finding.end and finding.end - finding.start < longest:
                cut = max(finding.start, seen)
        return cut

    def _passed(self, found: Sequence[Sighting], cut: int) -> str:
        """Return the text up to the cut with what must go replaced; up to what blocks it where something does."""
        if not self._is_held:
            return ""
        parts: list[str] = []
        position = self._seen
        disguises: list[Finding] = []
        for one in found:
            finding = one.finding
            if one.action == "block":
                cut = max(min(cut, finding.start), position)
                break
            if one.action != "redact" or finding.end <= position:
                continue
            if finding.detector == "unicode":
                disguises.append(finding)
                continue
            start = max(finding.start, position)
            parts += (self._clean(position, start, disguises), _mark(finding))
            position = finding.end
        return "".join([*parts, self._clean(position, max(cut, position), disguises)])

    def _clean(self, start: int, end: int, disguises: Sequence[Finding]) -> str:
        text = self._window[start:end]
        inside = [
            Finding(one.detector, one.rule, max(one.start - start, 0), min(one.end, end) - start, one.score)
            for one in disguises
            if one.start < end and one.end > start
        ]
        return cleaned(text, inside) if inside else text

    def _move(self, cut: int) -> None:
        """Forget what was looked through, but for what comes before the rest."""
        drop = max(0, cut - _CONTEXT)
        self._window = self._window[drop:]
        self._seen, self._before = cut - drop, self._before + drop
        held = len(self._window) - self._seen
        more = max(STEP, held // 4) if self._is_held else STRIDE
        self._due = len(self._window) + more


def _mark(finding: Finding) -> str:
    """Return what stands for something that was taken out, and can not be put back."""
    return _BLANK if finding.detector == "links" else f"[REDACTED_{label_of(finding.detector, finding.rule)}]"
