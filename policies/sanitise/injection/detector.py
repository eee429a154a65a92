"""Judges texts: whether they try to take a language model over, and where."""

from __future__ import annotations

from collections.abc import Generator
from math import exp, log
from threading import Lock
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection import families
from policies.sanitise.injection.artefact import EMBEDDING, HEADS, USED, Artefact, load
from policies.sanitise.injection.context import presses
from policies.sanitise.injection.language import is_foreign
from policies.sanitise.injection.plain import plain
from policies.sanitise.injection.reading import LONGEST, Reading, read
from policies.sanitise.injection.revealed import reveal_in_steps
from policies.sanitise.injection.rows import FAMILIES, add_up, blocks_of, runs_of
from policies.sanitise.injection.windows import MOST, SCALES, SIZES, strongest
from policies.sanitise.steps import finish

Role = Literal["user", "tool"]
"""Who speaks: a person, or a document or tool whose text reaches the model."""

_LONGEST_OTHER: Final = LONGEST // 2
"""Bytes read at once where not all are ASCII: they take four times as long."""

OVERLAP: Final = 1024
"""Bytes that two pieces of a very long text share."""

_USER: Final = HEADS.index("user")
_DOCUMENT: Final = HEADS.index("document")
_FOREIGN: Final = HEADS.index("foreign")
EXCERPT: Final = 320
"""Bytes of a text that an embedding is made of: about 75 tokens of English."""

_SLACK: Final = 3.0
"""Phrases of families are looked for where a text is at most this far below a threshold without them, in log odds."""
_SECOND: Final = 0.25
_AT_MOST: Final = 8.0
"""By cross-validation over sources: a share of 0.1 to 0.4 does, and no single opinion may decide alone."""

_BEYOND: Final = 16
"""Words after a stretch in which a phrase that begins in it may end."""

_PRESSING: Final = 1.0
"""Log odds added where a text is after what the system message guards."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """Part of a text as it came, in characters: `text[start:end]`. Where it was disguised, up to a thousand more."""

    start: int
    end: int


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What the detector says of a text.

    Attributes:
        flagged: that it looks like an attack.
        score: 0 to 1; 0.5 is the threshold, and each unit of log odds beyond it counts as in a logistic curve.
        is_grey: that a second opinion is worth having; about one of twelve ordinary texts. Of documents there is none.
        families: names of `families.PATTERNS` that have phrases in the part that counted most.
        spans: that part; given for what is flagged or grey.
        excess: by how much log odds are beyond the threshold; `score` is made from it.
    """

    flagged: bool
    score: float
    is_grey: bool
    families: tuple[str, ...]
    spans: tuple[Span, ...]
    excess: float


class Detector:
    """Judges texts. Threads may share one; the artefact is read at the first call or by `load`.

    Args:
        artefact: what was learned; None for what is shipped.
    """

    __slots__ = ("_artefact", "_heads", "_lock")

    def __init__(self, artefact: Artefact | None = None) -> None:
        self._artefact = artefact
        self._heads: tuple[_Head, ...] = ()
        self._lock = Lock()

    def load(self) -> Artefact:
        """Read the artefact unless that was done, and return it.

        Raises:
            OSError: the shipped file is missing.
            ValueError: it has another layout than this code reads.
        """
        with self._lock:
            if self._artefact is None:
                self._artefact = load()
            if not self._heads:
                self._heads = tuple(_head_of(self._artefact, index) for index in range(len(HEADS)))
            return self._artefact

    def judge(self, text: str, role: Role = "user", system: str = "") -> Verdict:
        """Return what is to be said of a text; every text has an answer.

        Time grows linearly with the text's length.

        Args:
            text: what was said, as it came.
            role: `tool` is judged more strictly: nothing in a document is meant for the model.
            system: what the model was told by those who run it; empty where that is not known.
        """
        return finish(self.steps(text, role, system))

    def steps(self, text: str, role: Role = "user", system: str = "") -> Generator[None, None, Verdict]:
        """Judge with pauses: each step takes some milliseconds at most, whatever the text."""
        if not self._heads:
            self.load()
        copies = yield from reveal_in_steps(text)
        found, copy = _NOTHING, copies[0]
        for each in copies:
            strongest_in = yield from self._strongest(each.text, is_document=role != "user")
            if strongest_in.excess > found.excess:
                found, copy = strongest_in, each
        excess = found.excess
        if system and role == "user" and presses(copy.text, plain(system)):
            excess += _PRESSING
        is_grey = role == "user" and excess >= self._heads[_USER].grey
        spans = tuple(Span(*copy.locate(*place)) for place in found.places)
        return _verdict(excess, found.families, spans, is_grey=is_grey)

    def reconsider(self, verdict: Verdict, embedding: NDArray[np.float32]) -> Verdict:
        """Return a verdict of a text in the grey zone with what its embedding says added.

        Args:
            verdict: that `judge` returned for what a user said; one that is not grey is returned as it is.
            embedding: by all-MiniLM-L6-v2 of the text's `excerpt`, of unit length, shape (384,).

        Raises:
            ValueError: the embedding has another shape.
        """
        artefact = self.load()
        if embedding.shape != (EMBEDDING,):
            raise ValueError(f"the second opinion needs an embedding of shape ({EMBEDDING},), not {embedding.shape}")
        if not verdict.is_grey:
            return verdict
        opinion = float(embedding @ artefact.second[:-1] + artefact.second[-1])
        beyond = float(artefact.thresholds[_USER]) - artefact.second_threshold
        excess = verdict.excess + second_opinion(opinion) + beyond
        return _verdict(excess, verdict.families, verdict.spans, is_grey=True)

    def _strongest(self, copy: str, *, is_document: bool) -> Generator[None, None, _Found]:
        """Return what counts most in any piece of a text, for any head."""
        is_ascii = copy.isascii()
        raw = copy.encode("utf-8", "replace")
        longest = LONGEST if is_ascii else _LONGEST_OTHER
        if len(raw) <= longest:
            return self._in_piece(raw, is_ascii=is_ascii, is_document=is_document)
        best = _NOTHING
        for at in range(0, len(raw), longest - OVERLAP):
            yield
            begin, end = _boundary(raw, at), _boundary(raw, at + longest)
            found = self._in_piece(raw[begin:end], is_ascii=is_ascii, is_document=is_document)
            if found.excess > best.excess:
                before = len(raw[:begin].decode("utf-8", "ignore"))
                places = tuple((before + start, before + end) for start, end in found.places)
                best = _Found(found.excess, found.families, places)
        return best

    def _in_piece(self, raw: bytes, *, is_ascii: bool, is_document: bool) -> _Found:
        reading = read(raw, is_ascii=is_ascii)
        if not len(reading.words):
            return _NOTHING
        runs = runs_of(reading)
        heads = [self._heads[_USER]]
        if is_document:
            heads.append(self._heads[_DOCUMENT])
        if is_foreign(reading, raw, is_ascii=is_ascii):
            heads.append(self._heads[_FOREIGN])
        best = (-99.0, 0, 0)
        for head in heads:
            sums = np.zeros(len(reading.words) + 1, np.float32)
            np.add.accumulate(add_up(runs, head.tables), out=sums[1:])
            margin, first, last, number = strongest(sums, runs.opens, head.levels, head.sizes)
            excess = margin - head.per_number * log(min(number, MOST)) - head.threshold
            if excess > -_SLACK:
                excess += _by_families(head, reading, first, last)
            best = max(best, (excess, first, last))
        excess, first, last = best
        if excess < min(0.0, self._heads[_USER].grey):
            return _Found(excess, (), ())
        return _Found(excess, _families_in(reading, first, last), (_place_of(raw, reading, first, last),))


class _Head(msgspec.Struct, frozen=True):
    """One head of the artefact, ready to run; `grey` is how far above the threshold the grey zone begins."""

    tables: tuple[NDArray[np.float32], ...]
    families: list[float]
    levels: list[float]
    sizes: int
    threshold: float
    per_number: float
    grey: float


def _head_of(artefact: Artefact, index: int) -> _Head:
    weights = np.ascontiguousarray(artefact.weights[index])
    threshold = float(artefact.thresholds[index])
    return _Head(
        tables=blocks_of(weights),
        families=weights[FAMILIES:].tolist(),
        levels=artefact.levels[index].tolist(),
        sizes=USED[index],
        threshold=threshold,
        per_number=float(artefact.per_number[index]),
        grey=float(artefact.grey[index]) - threshold,
    )


class _Found(msgspec.Struct, frozen=True, gc=False):
    """The part of a copy that counts most: by how much it is beyond the threshold, what it is, and where."""

    excess: float
    families: tuple[str, ...]
    places: tuple[tuple[int, int], ...]


_NOTHING: Final = _Found(-99.0, (), ())


def _verdict(excess: float, families_found: tuple[str, ...], spans: tuple[Span, ...], *, is_grey: bool) -> Verdict:
    return Verdict(
        flagged=excess >= 0.0,
        score=_logistic(excess),
        is_grey=is_grey,
        families=families_found,
        spans=spans,
        excess=excess,
    )


def excerpt(text: str, start: int) -> str:
    """Return what an embedding is to be made of: what counts most, and what follows it.

    So what stands around an attack does not hide it, and an embedding costs the same for texts of any length.

    Args:
        text: as it came.
        start: where the verdict's first span starts.
    """
    return text[start : start + EXCERPT].encode("utf-8", "replace")[:EXCERPT].decode("utf-8", "ignore")


def second_opinion(log_odds: float) -> float:
    """Return what the log odds of an embedding add: a share of them, as they alone tell far less than words do."""
    return _SECOND * max(-_AT_MOST, min(_AT_MOST, log_odds))


def _boundary(raw: bytes, at: int) -> int:
    """Return the last place up to one at which a character begins."""
    at = min(at, len(raw))
    while 0 < at < len(raw) and raw[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _by_families(head: _Head, reading: Reading, first: int, last: int) -> float:
    """Return what phrases of families in a stretch add to its log odds; at most `SIZES[-1]` words are looked at."""
    notions = reading.notions[first : min(last, first + SIZES[-1]) + _BEYOND].tobytes()
    total = sum(head.families[family] for family, start, _ in families.found(notions) if start < last - first)
    is_sentence = bool(reading.opens[first]) and (last == len(reading.opens) or bool(reading.opens[last]))
    return total * float(SCALES[0 if is_sentence else 1, last - first])


def _families_in(reading: Reading, first: int, last: int) -> tuple[str, ...]:
    notions = reading.notions[first : min(last, first + SIZES[-1]) + _BEYOND].tobytes()
    return tuple(
        sorted({families.NAMES[family] for family, start, _ in families.found(notions) if start < last - first})
    )


def _place_of(raw: bytes, reading: Reading, first: int, last: int) -> tuple[int, int]:
    begin, end = int(reading.starts[first]), int(reading.ends[last - 1])
    before = len(raw[:begin].decode("utf-8", "ignore"))
    return before, before + len(raw[begin:end].decode("utf-8", "ignore"))


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, value))))
