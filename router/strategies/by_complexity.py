"""The cheapest tier that can answer, by a score of the prompt and thresholds that follow the traffic."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gateway.domain.money import Rate
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TIERS
from router.base import Choice, Grounds, Question
from router.conversation import user_turns
from router.learned import Learned
from router.scoring.prompt import Prompt, prompt_of
from router.settings import RouterSettings
from router.stickiness import Stickiness, TurnScores

if TYPE_CHECKING:
    from router.scoring.cuts import Thresholds
    from router.scoring.scorer import Assessment

_STICKY: Final = "conversation"
"""The reason of a tier that a conversation keeps, whatever its newest turn scores."""


class ByComplexity:
    """Picks a tier by how much a prompt needs a stronger model.

    Args:
        settings: the target of the thresholds, the candidates of each tier.
        learned: the scorer, and what is known of the traffic.
        rates: of the models whose price is known, for whether a cheaper tier pays for a lost prompt cache.
    """

    name = "by_complexity"

    def __init__(self, settings: RouterSettings, learned: Learned, rates: Mapping[str, Rate]) -> None:
        self._traffic = learned.traffic
        self._is_sticky = settings.sticky
        first = [next(iter(settings.tiers.get(tier, ())), "") for tier in TIERS]
        self._rates = [rates.get(name) for name in first]
        self._turns = TurnScores()
        self._known: tuple[Thresholds, Stickiness] | None = None

    def choose(self, question: Question) -> Choice:
        """Return the tier of a request."""
        request = question.request
        assessment, thresholds = self._traffic.score(prompt_of(request))
        rank = bisect_right((thresholds.simple_below, thresholds.medium_below), assessment.score)
        turns = 1
        reason = "+".join(assessment.reasons)
        if self._is_sticky and len(request.messages) > 1:
            kept, turns = self._rank_of_conversation(request, assessment, thresholds)
            if kept != rank:
                rank, reason = kept, _STICKY
        grounds = Grounds(
            kind=assessment.kind,
            language=assessment.language,
            score=assessment.score,
            simple_fails=assessment.simple_fails,
            medium_fails=assessment.medium_fails,
            simple_below=thresholds.simple_below,
            medium_below=thresholds.medium_below,
            turns=turns,
        )
        return Choice(TIERS[rank], assessment.confidence, reason, grounds)

    def _rank_of_conversation(
        self, request: ModelRequest, newest: Assessment, thresholds: Thresholds
    ) -> tuple[int, int]:
        """Return the rank of a conversation's tier, and how many of its turns were looked at."""
        turns = user_turns(request)
        if turns:
            self._turns.put(turns[-1].text, newest.alone)  # so that the next request need not score it again
        if len(turns) < 2:
            return bisect_right((thresholds.simple_below, thresholds.medium_below), newest.score), 1
        scores = [self._turns.get_or(turn.text, self._score) for turn in turns[:-1]]
        rank = self._stickiness(thresholds).rank(request, turns, [*scores, newest.score])
        return rank, len(turns)

    def _score(self, text: str) -> float:
        return self._traffic.scorer.assess(Prompt(text=text)).alone

    def _stickiness(self, thresholds: Thresholds) -> Stickiness:
        if self._known is None or self._known[0] != thresholds:
            pair = (thresholds.simple_below, thresholds.medium_below)
            self._known = thresholds, Stickiness(pair, self._rates)
        return self._known[1]
