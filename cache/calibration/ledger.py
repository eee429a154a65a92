"""What was learned about the hits of one scope: audits by likeness, and where its threshold stands."""

from __future__ import annotations

from typing import Final

import msgspec

from cache.calibration.bounds import lower_bound, upper_bound

LOWEST: Final = 0.6
"""The likeness at which counting begins; nothing below is ever a hit."""

_BIN: Final = 0.01
BINS: Final = 40
"""From `LOWEST` to 1 in steps of 0.01."""

MOST_AUDITS: Final = 2000
"""Past this many, all counts are halved: what happened long ago weighs less, and a shift of traffic shows."""

_MOST_REQUESTS: Final = 100_000


class FalseHits(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests were answered from a wrong entry, as far as audits tell.

    Attributes:
        audits: hits that were checked, at likenesses that would be hits now.
        wrong: of these.
        hit_rate: share of requests that were hits.
        rate: share of requests answered wrongly: the wrong share of audits times the hit rate.
        bound: with a confidence of 0.95 the rate is not above, if audits are a fair sample of hits; 1 without audits.
    """

    audits: int
    wrong: int
    hit_rate: float
    rate: float
    bound: float


class Ledger(msgspec.Struct, kw_only=True):
    """Counts of one scope.

    Attributes:
        right: audits that agreed, by likeness.
        wrong: audits that did not, and reports.
        requests: look-ups, halved with `hits` when there are very many.
        hits: of these.
        shift: what is added to the threshold of the table.
        audits_since_move, wrong_since_move: audits since `shift` last changed, and those of them that did not agree.
            Only these are a fair sample of the hits there are now: before a threshold went down, none of those that
            came with it was audited.
        requests_since_move, hits_since_move: look-ups since then.
    """

    right: list[int] = msgspec.field(default_factory=lambda: [0] * BINS)
    wrong: list[int] = msgspec.field(default_factory=lambda: [0] * BINS)
    requests: int = 0
    hits: int = 0
    shift: float = 0.0
    audits_since_move: int = 0
    wrong_since_move: int = 0
    requests_since_move: int = 0
    hits_since_move: int = 0

    def count(self, *, is_hit: bool) -> None:
        """Count a look-up."""
        self.requests += 1
        self.hits += is_hit
        if self.requests > _MOST_REQUESTS:
            self.requests //= 2
            self.hits //= 2
        self.requests_since_move += 1
        self.hits_since_move += is_hit
        if self.requests_since_move > _MOST_REQUESTS:
            self.requests_since_move //= 2
            self.hits_since_move //= 2

    def audit(self, similarity: float, *, is_right: bool) -> None:
        """Count a hit that was checked.

        Args:
            similarity: its excess over what doubts asked for, so that one bin holds hits that passed equally narrowly.
            is_right: whether the upstream's answer agreed.
        """
        (self.right if is_right else self.wrong)[_bin(similarity)] += 1
        self.audits_since_move += 1
        self.wrong_since_move += not is_right
        if self.audits_since_move > MOST_AUDITS:
            self.audits_since_move //= 2
            self.wrong_since_move -= self.wrong_since_move // 2
        if sum(self.right) + sum(self.wrong) > MOST_AUDITS:
            self.right = [count // 2 for count in self.right]
            self.wrong = [count - count // 2 for count in self.wrong]  # rounded up: errors are forgotten last

    def move(self, by: float, lowest: float, highest: float) -> None:
        """Change the shift, within bounds."""
        self.shift = min(max(self.shift + by, lowest), highest)
        self.audits_since_move = self.wrong_since_move = 0
        self.requests_since_move = self.hits_since_move = 0

    def audits_from(self, threshold: float) -> tuple[int, int]:
        """Return how many audits there were of hits at least this alike, and how many were wrong."""
        start = _bin(threshold)
        wrong = sum(self.wrong[start:])
        return wrong + sum(self.right[start:]), wrong

    def hit_rate(self, unknown: float) -> float:
        """Return the share of look-ups that were hits, or what is assumed while there were fewer than 100."""
        return unknown if self.requests < 100 else max(self.hits, 1) / self.requests

    def hit_rate_now(self, unknown: float) -> float:
        """Return the share of look-ups that are hits at the threshold of now, or of all as long as there were few."""
        if self.requests_since_move < 100:
            return self.hit_rate(unknown)
        return max(self.hits_since_move, 1) / self.requests_since_move

    def measured(self, threshold: float, unknown_hit_rate: float) -> FalseHits:
        """Return the rate of false hits at a threshold, and its bound."""
        audits, wrong = self.audits_from(threshold)
        rate = self.hit_rate(unknown_hit_rate)
        share = wrong / audits if audits else 0.0
        bound = upper_bound(wrong, audits) * rate if audits else 1.0
        return FalseHits(audits=audits, wrong=wrong, hit_rate=rate, rate=share * rate, bound=bound)

    def is_over(self, threshold: float, allowed_share: float) -> bool:
        """Return whether audits say, with a confidence of 0.95, that more hits are wrong than may be.

        Those of all time at this likeness say it, or those since the last move.
        """
        audits, wrong = self.audits_from(threshold)
        if lower_bound(wrong, audits) > allowed_share:
            return True
        return lower_bound(self.wrong_since_move, self.audits_since_move) > allowed_share

    def is_under(self, allowed_share: float) -> bool:
        """Return whether audits since the last move say, with a confidence of 0.95, that no more hits are wrong."""
        return upper_bound(self.wrong_since_move, self.audits_since_move) <= allowed_share


def _bin(similarity: float) -> int:
    return min(max(int((similarity - LOWEST) / _BIN + 1e-9), 0), BINS - 1)
