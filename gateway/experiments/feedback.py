"""What callers say of answers, and what must be remembered of a request until they do."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.document import Level, missing, read_document, refuse_lookalikes, wrong_type
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.domain.tier import TierName

MOST_REMEMBERED: Final = 20_000
"""Requests that are remembered: about 8 MB (measured, CPython 3.11)."""

REMEMBERED_S: Final = 86_400.0
"""Seconds for which they are: a working day and the night after it."""

MOST_BODY_BYTES: Final = 64 * 1024
"""Of a request with feedback."""

_MOST_ID: Final = 200
_RATINGS: Final = {"good": 1.0, "bad": 0.0}
_FIELDS: Final = ("request_id", "score", "rating", "comment")
_LEVELS: Final = (Level("", _FIELDS),)


class Remembered(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What is remembered of a request. Nothing of what was said.

    Attributes:
        key: its place in the organisation, `team/key`.
        tier: the tier it was assigned to, None for a model of none.
        kind: of task, as the router saw it; empty where it did not look.
        failure: the probability that the router gave to the tier's failing, None where it gave none.
        experiment: the alias that was split, empty for none.
        arm: what the alias stood for.
        entry: of the cache that answered it, empty for none.
    """

    organisation: str
    team: str
    key: str
    routed_model: str
    tier: TierName | None = None
    kind: str = ""
    failure: float | None = None
    experiment: str = ""
    arm: str = ""
    entry: str = ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller says of an answer.

    Attributes:
        request_id: the answer's `x-request-id`.
        score: 0, of no use, to 1, as good as can be.
        has_comment: whether there was a comment. What it said is neither kept nor logged.
    """

    request_id: str
    score: float
    has_comment: bool = False


class Taken(msgspec.Struct, frozen=True):
    """Feedback that was joined with its request.

    Attributes:
        replaced: the score that was given before, None for the first word.
    """

    remembered: Remembered
    score: float
    replaced: float | None


Learner = Callable[[Remembered, float, float | None], None]
"""Learns from feedback: what is remembered of the request, its score, and the score that it replaces or None. It is
called where the feedback arrives, and only when the score is new or another one."""


def read_feedback(body: bytes) -> Feedback:
    """Read feedback.

    Raises:
        InvalidRequestError: it is not a JSON object of known fields with a request id and either a score or a rating.
    """
    document, _ = read_document(body, _LEVELS)
    refuse_lookalikes(document, _FIELDS, "")
    for name in document:
        if name not in _FIELDS:
            message = f"There is no field '{name[:100]}'; known are {', '.join(_FIELDS)}."
            raise InvalidRequestError(message, param=name[:100], code="unknown_parameter")
    comment = document.get("comment")
    if comment is not None and type(comment) is not str:
        raise wrong_type("comment", "a string")
    return Feedback(request_id=_id(document), score=_score(document), has_comment=bool(comment))


def _id(document: dict[str, Any]) -> str:
    asked = document.get("request_id")
    if asked is None:
        raise missing("request_id")
    if type(asked) is not str or not 0 < len(asked) <= _MOST_ID:
        raise wrong_type("request_id", f"a string of 1 to {_MOST_ID} characters, as 'x-request-id' told it")
    return asked


def _score(document: dict[str, Any]) -> float:
    score: Any = document.get("score")
    rating: Any = document.get("rating")
    if (score is None) == (rating is None):
        message = "Exactly one of 'score' (0 to 1) and 'rating' (good or bad) must be given."
        raise InvalidRequestError(message, param="score", code="missing_required_parameter")
    if rating is not None:
        if type(rating) is not str or rating not in _RATINGS:
            raise wrong_type("rating", "good or bad")
        return _RATINGS[rating]
    if type(score) not in (int, float) or not 0 <= score <= 1:
        raise wrong_type("score", "a number from 0 to 1")
    return float(score)


def unknown_request() -> NotFoundError:
    """Return the error for a request that is not remembered, or is another team's: nobody is told which."""
    message = "No request of that id is known to your team, or it was answered too long ago."
    return NotFoundError(message, code="request_not_found", param="request_id")


class _Kept:
    """What is remembered, until when (seconds of the clock), and the newest word on it."""

    __slots__ = ("remembered", "score", "until")

    def __init__(self, remembered: Remembered, until: float) -> None:
        self.remembered, self.until = remembered, until
        self.score: float | None = None


class Recollection:
    """Remembers recent requests in memory, and who wants to know what callers said of them.

    Requests are known by team and id, as callers may choose ids.

    Args:
        clock: seconds, of any clock that all calls share.
        most: requests; beyond it the oldest is forgotten.
        ttl_s: seconds for which one is remembered, > 0.

    Attributes:
        learners: are told of feedback.
        outcomes: feedback by what became of it: `taken`, `unknown`, and calls of learners that failed, `unlearnt`.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        most: int = MOST_REMEMBERED,
        ttl_s: float = REMEMBERED_S,
    ) -> None:
        self._clock, self._most, self._ttl_s = clock, most, ttl_s
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self.learners: list[Learner] = []
        self.outcomes = dict.fromkeys(("taken", "unknown", "unlearnt"), 0)

    def __len__(self) -> int:
        return len(self._kept)

    def remember(self, request_id: str, remembered: Remembered) -> None:
        """Remember a request; one of the same team and id is forgotten; 1 us (measured, CPython 3.11)."""
        place = (remembered.team, request_id)
        self._kept[place] = _Kept(remembered, self._clock() + self._ttl_s)
        self._kept.move_to_end(place)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    async def take(self, caller: Caller, feedback: Feedback) -> Taken:
        """Join feedback with its request and tell the learners; a later word replaces the one before.

        Raises:
            NotFoundError: the request is not remembered, or is another team's.
        """
        kept = self.find(caller.team, feedback.request_id)
        if kept is None:
            self.outcomes["unknown"] += 1
            raise unknown_request()
        replaced, kept.score = kept.score, feedback.score
        return self.learn(Taken(kept.remembered, feedback.score, replaced))

    def find(self, team: str, request_id: str) -> _Kept | None:
        """Return what is remembered of a team's request, None for nothing."""
        kept = self._kept.get((team, request_id))
        if kept is not None and kept.until <= self._clock():
            del self._kept[team, request_id]
            return None
        return kept

    def learn(self, taken: Taken) -> Taken:
        """Tell the learners, unless the same was said before. One that fails is counted, and the others are told."""
        self.outcomes["taken"] += 1
        if taken.score != taken.replaced:
            for learner in self.learners:
                try:
                    learner(taken.remembered, taken.score, taken.replaced)
                except Exception:  # noqa: BLE001  the caller has done their part: counted
                    self.outcomes["unlearnt"] += 1
        return taken
