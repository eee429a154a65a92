"""The guard itself: asks every rule about a would-be hit, and counts who refused."""

from __future__ import annotations

from collections.abc import Sequence

from cache.verifier.base import Doubt, Rule
from cache.verifier.catalogue import DOUBTS, RULES
from cache.verifier.reading import Reading


class Verifier:
    """Looks at two readings of near-equal vectors and says why they must not share an answer.

    For one thread; a judgement takes about 20 us for texts of 20 words.

    Args:
        rules: asked in this order; the first that refuses is the reason.
        doubts: all are asked.

    Attributes:
        judged: how many judgements were made.
        refusals: how many each rule made, by its name.
    """

    def __init__(self, rules: Sequence[Rule] = RULES, doubts: Sequence[Doubt] = DOUBTS) -> None:
        self._rules = tuple(rules)
        self._doubts = tuple(doubts)
        self.judged = 0
        self.refusals = {rule.name: 0 for rule in rules}

    def judge(self, a: Reading, b: Reading) -> str | None:
        """Return the name of the rule that refuses, or None."""
        self.judged += 1
        for rule in self._rules:
            if rule.refuses(a, b):
                self.refusals[rule.name] += 1
                return rule.name
        return None

    def asks_more(self, a: Reading, b: Reading) -> float:
        """Return how much cosine similarity doubts ask for on top of a threshold, 0 or more."""
        return sum(doubt.asks_more for doubt in self._doubts if doubt.holds(a, b))
