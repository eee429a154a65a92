"""Looks through a text for secrets, personal data and disguises in passes that all share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from operator import itemgetter
from time import perf_counter
from typing import Final

import msgspec

from policies.sanitise.copies.detection_copy import DetectionCopy, copy_in_steps, make_copy, plain_bytes
from policies.sanitise.copies.segments import ANCHORS, RUN_ANCHOR, Segment, read_segments
from policies.sanitise.finding import BY_PLACE, Detector, Finding, Kind
from policies.sanitise.passes.catalogue import EngineName, compile_patterns
from policies.sanitise.passes.pattern import CrowdedError, MultiPattern, Pattern
from policies.sanitise.personal.detector import PersonalRules
from policies.sanitise.secrets.detector import SecretRules
from policies.sanitise.steps import finish
from policies.sanitise.unicode.detector import find_disguises
from policies.sanitise.unicode.spelling import LEET_ANCHOR

ALL_KINDS: Final[frozenset[Kind]] = frozenset({"secrets", "personal", "unicode"})

_SLICE: Final = 65_536
"""Characters looked at in one go; 64 KB take well below a millisecond of ordinary text."""

_OVERLAP: Final = 16_384
"""What two slices share, so that nothing up to this long (a private key) is cut in two."""

_STEP_S: Final = 0.001
"""After which there is a pause."""

_JUDGED: Final = 8
"""Matches that are judged before the time is looked at: the most that one was seen to take is 0.1 ms."""

_MOST_HITS: Final = 2_048
"""Matches of a slice that are taken at once; ordinary text of that length has some hundred."""

_PART: Final = 4_096
"""Bytes looked at in one go once there were more."""

_LONGEST_ANCHOR: Final = 512
"""Bytes; the longest that an anchor of the catalogues spans, rounded up."""

_EDGE: Final = 8
"""Characters of a less sure finding that may stay beside a surer one: too few to tell a secret by."""

_MOST_FINDINGS: Final = 1_024
"""Of one kind in one slice; what follows the last is then one finding more, `crowded`, to the slice's end."""

_SHORT: Final = 4_096
"""Characters up to which a text is read without a pause: 0.1 ms at most, besides what judging its matches takes."""

_ODD: Final = 1_024
"""The same for a text that is not its own copy, which takes a microsecond or two a character at most."""

_FEW: Final = 48
"""Matches of a short text that are judged without a pause: 0.5 ms, seldom more. Ordinary ones have up to 20."""

Steps = Generator[None, None, list[Finding]]


class Rules:
    """The patterns of several detectors and of disguises, compiled into one pass: one costs less than one for each.

    Args:
        detectors: know their patterns and judge the matches.
        engine: which one compiles them.
    """

    __slots__ = ("_engine", "_kinds", "_owners", "disguises_from")

    def __init__(self, detectors: Mapping[Kind, Detector], engine: EngineName | None) -> None:
        patterns: list[Pattern] = []
        self._kinds = tuple(detectors)
        self._owners: list[tuple[Kind, Callable[[str, int, int], Finding | None], int]] = []
        for kind, detector in detectors.items():
            self._owners += [(kind, detector.judge, index) for index in range(len(detector.patterns))]
            patterns += detector.patterns
        self.disguises_from: Final = len(patterns)
        patterns += (*ANCHORS, LEET_ANCHOR)
        together = [msgspec.structs.replace(pattern, group="") for pattern in patterns]
        self._engine: MultiPattern = compile_patterns(together, engine)

    def find_at_once(self, text: str, encoded: bytes, kinds: Collection[Kind]) -> list[Finding] | None:
        """Look through a short text; None where it may hide something, or has too many matches for one go."""
        try:
            hits = self._engine.hits(encoded, _FEW)
        except CrowdedError:
            return None
        found: list[Finding] = []
        for index, end in sorted(hits):
            if index >= self.disguises_from:
                return None
            kind, judge, own = self._owners[index]
            if kind in kinds and (finding := judge(text, own, end)) is not None:
                found.append(finding)
        return found

    def find(
        self, text: str, encoded: bytes, kinds: Collection[Kind], clock: Callable[[], float]
    ) -> Generator[None, None, tuple[list[Finding], set[int]]]:
        """Look through a text with pauses in between; see `TextScanner.steps`.

        Returns:
            The findings, and which disguises may be there.
        """
        found: dict[Kind, list[Finding]] = {kind: [] for kind in self._kinds if kind in kinds}
        seen: set[int] = set()
        open_kinds = set(found)
        since = clock()
        for number, (index, end) in enumerate(_hits(self._engine, encoded)):
            if number % _JUDGED == 0 and clock() - since > _STEP_S:
                yield
                since = clock()
            if index >= self.disguises_from:
                seen.add(index - self.disguises_from)
                continue
            kind, judge, own = self._owners[index]
            if kind not in open_kinds or (finding := judge(text, own, end)) is None:
                continue
            among = found[kind]
            among.append(finding)
            if len(among) == _MOST_FINDINGS:
                among.append(Finding(finding.detector, "crowded", finding.end, len(text), finding.score))
                open_kinds.remove(kind)
        return list(chain.from_iterable(found.values())), seen


def _hits(engine: MultiPattern, encoded: bytes) -> Iterable[tuple[int, int]]:
    """Return the matches; of a text that is full of them, part by part."""
    try:
        return engine.hits(encoded, _MOST_HITS)
    except CrowdedError:
        return _hits_in_parts(engine, encoded)


def _hits_in_parts(engine: MultiPattern, encoded: bytes) -> Iterator[tuple[int, int]]:
    seen = 0
    for start in range(0, len(encoded), _PART):
        first = max(0, start - _LONGEST_ANCHOR)
        part = encoded[first : start + _PART]
        for index, end in sorted(engine.hits(part, _MOST_HITS * _PART), key=itemgetter(1)):
            if end + first > seen:
                yield index, end + first
        seen = start + _PART


class TextScanner:
    """Finds secrets, personal data and disguises. Holds no text; may be shared by threads.

    Args:
        secrets: rules of the secrets; those of the catalogue if None.
        personal: rules of personal data; those for the usual regions if None.
        engine: of the multi-pattern pass; the fastest that is installed if None.
        clock: seconds, of any origin; tells when to pause.
    """

    def __init__(
        self,
        secrets: Detector | None = None,
        personal: Detector | None = None,
        engine: EngineName | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._clock = clock
        secret_rules: Detector = secrets or SecretRules()
        personal_rules: Detector = personal or PersonalRules()
        self._rules = Rules({"secrets": secret_rules, "personal": personal_rules}, engine)
        self._runs = compile_patterns([RUN_ANCHOR], engine)

    def scan(self, text: str, kinds: Collection[Kind] = ALL_KINDS) -> list[Finding]:
        """Return what a text holds of these kinds, by start. Findings of one detector do not overlap."""
        found = self.scan_at_once(text, kinds)
        return finish(self.steps(text, kinds)) if found is None else found

    def scan_at_once(self, text: str, kinds: Collection[Kind] = ALL_KINDS) -> list[Finding] | None:
        """Scan a text that takes less than a millisecond, as most short ones do; None for others."""
        if len(text) > _SHORT:
            return None
        encoded = plain_bytes(text)
        if encoded is not None:
            found = self._rules.find_at_once(text, encoded, kinds)
        else:
            found = self._scan_odd(text, kinds) if len(text) <= _ODD else None
        return without_overlaps(found) if found is not None and len(found) > 1 else found

    def _scan_odd(self, text: str, kinds: Collection[Kind]) -> list[Finding] | None:
        copy = make_copy(text)
        found = self._rules.find_at_once(copy.text, copy.encoded, kinds)
        if found is None:
            return None
        if not copy.is_same:
            found = [_located(finding, copy) for finding in found]
        return found + finish(find_disguises(copy, (), has_leet=False)) if "unicode" in kinds else found

    def steps(self, text: str, kinds: Collection[Kind] = ALL_KINDS) -> Steps:
        """Scan with pauses: each step takes at most some milliseconds, whatever the text, and the last returns all.

        Whoever serves other requests too drives it and lets them run in between.
        """
        if len(text) <= _SLICE:
            return (yield from self._scan_slice(text, kinds))
        found: list[Finding] = []
        for start in range(0, len(text) - _OVERLAP, _SLICE - _OVERLAP):
            part = yield from self._scan_slice(text[start : start + _SLICE], kinds)
            found += [_moved(finding, start) for finding in part]
            yield
        return without_overlaps(found)

    def _scan_slice(self, text: str, kinds: Collection[Kind]) -> Steps:
        copy = yield from copy_in_steps(text)
        if not copy.is_same:
            yield
        found, seen = yield from self._rules.find(copy.text, copy.encoded, kinds, self._clock)
        if not copy.is_same:
            found = [_located(finding, copy) for finding in found]
        if seen:
            segments = yield from self._segments(copy, seen)
            found += yield from self._hidden(copy, segments, kinds)
        else:
            segments = []
        if "unicode" in kinds:
            places = [_in_original(copy, segment) for segment in segments]
            found += yield from find_disguises(copy, places, has_leet=len(ANCHORS) in seen)
        return without_overlaps(found) if len(found) > 1 else found

    def _segments(self, copy: DetectionCopy, seen: set[int]) -> Generator[None, None, list[Segment]]:
        ends = [end for _, end in self._runs.hits(copy.encoded, len(copy.text))] if 0 in seen else []
        segments: list[Segment] = []
        since = self._clock()
        for segment in read_segments(copy.text, seen - {len(ANCHORS)}, ends):
            if segment is not None:
                segments.append(segment)
            if self._clock() - since > _STEP_S:
                yield
                since = self._clock()
        return segments

    def _hidden(self, copy: DetectionCopy, segments: Iterable[Segment], kinds: Collection[Kind]) -> Steps:
        """Look through what a text hides; what is found there marks all of the segment."""
        found: list[Finding] = []
        for segment in segments:
            inner = make_copy(segment.text)
            hidden, _ = yield from self._rules.find(inner.text, inner.encoded, kinds, self._clock)
            place = copy.locate(segment.start, segment.end)
            found += [Finding(finding.detector, finding.rule, *place, finding.score) for finding in hidden]
            yield
        return found


def without_overlaps(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings by start; those of one detector that overlap become one.

    It has the rule and the place of the surest, then the longest; where another reaches beyond it by more than a few
    characters, such as a quote or a full stop, it reaches as far.
    """
    kept: list[Finding] = []
    last: dict[str, int] = {}
    for finding in sorted(found, key=BY_PLACE):
        position = last.get(finding.detector)
        if position is None or kept[position].end <= finding.start:
            last[finding.detector] = len(kept)
            kept.append(finding)
        else:
            kept[position] = _joined(kept[position], finding)
    kept.sort(key=BY_PLACE)
    return kept


@cache
def shared_scanner() -> TextScanner:
    """Return the scanner with the rules of the catalogues. The first call takes one to two seconds."""
    return TextScanner()


def scan_text(text: str, kinds: Collection[Kind] = ALL_KINDS) -> list[Finding]:
    """Return what a text holds of these kinds, by start; see `TextScanner.scan`."""
    return shared_scanner().scan(text, kinds)


def _joined(one: Finding, other: Finding) -> Finding:
    surer = other if _rank(other) > _rank(one) else one
    start, end = min(one.start, other.start), max(one.end, other.end)
    start = start if surer.start - start > _EDGE else surer.start
    end = end if end - surer.end > _EDGE else surer.end
    return Finding(surer.detector, surer.rule, start, end, surer.score)


def _rank(finding: Finding) -> tuple[float, int]:
    return finding.score, finding.end - finding.start


def _moved(finding: Finding, by: int) -> Finding:
    return Finding(finding.detector, finding.rule, finding.start + by, finding.end + by, finding.score)


def _located(finding: Finding, copy: DetectionCopy) -> Finding:
    return Finding(finding.detector, finding.rule, *copy.locate(finding.start, finding.end), finding.score)


def _in_original(copy: DetectionCopy, segment: Segment) -> Segment:
    start, end = copy.locate(segment.start, segment.end)
    return segment._replace(start=start, end=end)
