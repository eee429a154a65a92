"""Looks through a text for secrets, personal data and disguises in passes that all share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from functools import cache
from operator import itemgetter
from time import perf_counter
from typing import Final

from policies.sanitise.copies.detection_copy import DetectionCopy, copy_in_steps, make_copy
from policies.sanitise.copies.segments import ANCHORS, RUN_ANCHOR, Segment, read_segments
from policies.sanitise.finding import BY_PLACE, Detector, Finding, Kind
from policies.sanitise.passes.catalogue import EngineName, compile_patterns
from policies.sanitise.passes.pattern import CrowdedError, MultiPattern
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

_MOST_FINDINGS: Final = 1_024
"""Of one kind in one slice; what follows the last is then one finding more, `crowded`, to the slice's end."""

Steps = Generator[None, None, list[Finding]]


class Rules:
    """The patterns of one detector, compiled.

    Args:
        detector: knows the patterns and judges their matches.
        engine: which one compiles them.
    """

    __slots__ = ("_judge", "engine")

    def __init__(self, detector: Detector, engine: EngineName | None) -> None:
        self.engine: MultiPattern = compile_patterns(detector.patterns, engine)
        self._judge = detector.judge

    def find(self, text: str, encoded: bytes, clock: Callable[[], float]) -> Steps:
        """Look through a text with pauses in between; see `TextScanner.steps`."""
        found: list[Finding] = []
        since = clock()
        for number, (index, end) in enumerate(_hits(self.engine, encoded)):
            if number % _JUDGED == 0 and clock() - since > _STEP_S:
                yield
                since = clock()
            finding = self._judge(text, index, end)
            if finding is not None:
                found.append(finding)
                if len(found) == _MOST_FINDINGS:
                    return [*found, Finding(finding.detector, "crowded", finding.end, len(text), finding.score)]
        return found


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
        self._rules: dict[Kind, Rules] = {
            "secrets": Rules(secret_rules, engine),
            "personal": Rules(personal_rules, engine),
        }
        self._disguises = compile_patterns([*ANCHORS, LEET_ANCHOR], engine)
        self._runs = compile_patterns([RUN_ANCHOR], engine)

    def scan(self, text: str, kinds: Collection[Kind] = ALL_KINDS) -> list[Finding]:
        """Return what a text holds of these kinds, by start. Findings of one detector do not overlap."""
        return finish(self.steps(text, kinds))

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
        seen = {index for index, _ in self._disguises.hits(copy.encoded, _MOST_HITS)}
        segments = (yield from self._segments(copy, seen)) if seen else []
        found: list[Finding] = []
        for kind in ("secrets", "personal"):
            if kind in kinds:
                found += yield from self._find(kind, copy, segments)
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

    def _find(self, kind: Kind, copy: DetectionCopy, segments: Iterable[Segment]) -> Steps:
        rules = self._rules[kind]
        found = yield from rules.find(copy.text, copy.encoded, self._clock)
        if not copy.is_same:
            found = [_located(finding, copy) for finding in found]
        for segment in segments:
            inner = make_copy(segment.text)
            hidden = yield from rules.find(inner.text, inner.encoded, self._clock)
            place = copy.locate(segment.start, segment.end)
            found += [Finding(finding.detector, finding.rule, *place, finding.score) for finding in hidden]
            yield
        return found


def without_overlaps(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings by start; of those of one detector that overlap the surest, then the longest, is kept."""
    kept: list[Finding] = []
    last: dict[str, int] = {}
    for finding in sorted(found, key=BY_PLACE):
        position = last.get(finding.detector)
        if position is None or kept[position].end <= finding.start:
            last[finding.detector] = len(kept)
            kept.append(finding)
        elif _rank(finding) > _rank(kept[position]):
            kept[position] = finding
    kept.sort(key=BY_PLACE)
    return kept


@cache
def shared_scanner() -> TextScanner:
    """Return the scanner with the rules of the catalogues. The first call takes one to two seconds."""
    return TextScanner()


def scan_text(text: str, kinds: Collection[Kind] = ALL_KINDS) -> list[Finding]:
    """Return what a text holds of these kinds, by start; see `TextScanner.scan`."""
    return shared_scanner().scan(text, kinds)


def _rank(finding: Finding) -> tuple[float, int]:
    return finding.score, finding.end - finding.start


def _moved(finding: Finding, by: int) -> Finding:
    return Finding(finding.detector, finding.rule, finding.start + by, finding.end + by, finding.score)


def _located(finding: Finding, copy: DetectionCopy) -> Finding:
    return Finding(finding.detector, finding.rule, *copy.locate(finding.start, finding.end), finding.score)


def _in_original(copy: DetectionCopy, segment: Segment) -> Segment:
    start, end = copy.locate(segment.start, segment.end)
    return segment._replace(start=start, end=end)
