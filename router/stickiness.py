"""The tier of a conversation: it goes up when a turn clearly hardens, and down only when that pays.

Decided is from the transcript alone, turn by turn, as it would have been when each turn was new; a transcript that is
sent again gets the tier it got before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from gateway.domain.money import Rate
from gateway.domain.request import ModelRequest
from router.conversation import Prefixes, Turn, ends_of, tokens_of

MARGIN: Final = 0.05
"""How far above a threshold a later turn must score to move the conversation up, so that one that merely sits on the
threshold costs nobody a prompt cache. Chosen, not measured; scores are 0 to 1."""

EASY_TURNS: Final = 3
"""Turns in a row that must be easier before the conversation moves down. A single one says nothing: "thanks" and "and
in Paris?" score low in the hardest of conversations."""

OUTPUT_TOKENS: Final = 215
"""Tokens of the answer that is expected: the mean of LMSYS-Chat-1M (arXiv 2309.11998, table 1)."""

LEAST_CACHED_TOKENS: Final = 1024
"""The shortest beginning of a prompt that providers cache (OpenAI and Anthropic, "Prompt caching", 2026-11; some of
Anthropic's models begin at 2,048 or 4,096)."""

MOST_SCORES: Final = 4096
"""Turns whose scores are remembered: 500 conversations of eight, in 0.8 MB."""

Eases = Callable[[int, int, int], bool]
"""Given a turn's position, the tier before it and a lower one: whether to move down there."""


def pays_to_move(
    prefix_tokens: int,
    new_tokens: int,
    output_tokens: int,
    stay: Rate,
    go: Rate,
    turns: int = 1,
) -> bool:
    """Tell whether the rest of a conversation costs less at another model, whose prompt cache is empty.

    Staying reads the prefix from the cache at every turn; moving writes it once and reads it afterwards. A prefix that
    is too short to be cached is paid in full at every turn by either.

    Args:
        prefix_tokens: what has been said so far.
        new_tokens: what a turn adds.
        output_tokens: the answer that is expected of a turn.
        stay: the rates of the model that has the prefix in its cache.
        go: the rates of the other one.
        turns: how many are expected to follow, this one included; >= 1.
    """
    stays = turns * (new_tokens * stay.input + output_tokens * stay.output)
    goes = turns * (new_tokens * go.input + output_tokens * go.output)
    if prefix_tokens < LEAST_CACHED_TOKENS:
        stays += turns * prefix_tokens * stay.input
        goes += turns * prefix_tokens * go.input
    else:
        stays += turns * prefix_tokens * stay.cache_read
        goes += prefix_tokens * (max(go.input, go.cache_write) + (turns - 1) * go.cache_read)
    return goes < stays


def fold(
    scores: Sequence[float],
    thresholds: Sequence[float],
    *,
    margin: float = MARGIN,
    easy_turns: int = EASY_TURNS,
    eases: Eases | None = None,
) -> int:
    """Return the rank of a conversation's tier, 0 for the lowest.

    The first turn gets the tier of its score. A later one raises it when its score is at least `margin` above the
    threshold. After enough easier turns in a row it falls to the highest tier among them, if `eases` says so.

    Args:
        scores: of the user's turns, oldest first. Without any, nothing is known and the highest tier is returned.
        thresholds: ascending; a score at or above the first one needs rank 1, and so on.
        margin: in units of the scores, >= 0.
        easy_turns: how many make it fall, >= 1.
        eases: asked before it falls; None never lets it.
    """
    if not scores:
        return len(thresholds)
    tier = bisect_right(thresholds, scores[0])
    easier: list[int] = []
    for position, score in enumerate(scores):
        own = bisect_right(thresholds, score)
        if own >= tier:
            tier = max(tier, bisect_right(thresholds, score - margin))
            easier = []
            continue
        easier.append(own)
        target = max(easier[-easy_turns:])
        if eases is not None and len(easier) >= easy_turns and eases(position, tier, target):
            tier, easier = target, []
    return tier


class Stickiness:
    """Keeps the tier of conversations.

    Args:
        thresholds: as `fold` wants them.
        rates: of each tier by rank; None where they are not known, and then nothing moves down from it or to it.
        margin: as in `fold`.
        turns_ahead: turns that are expected to follow, the newest included; >= 1.
    """

    def __init__(
        self,
        thresholds: Sequence[float],
        rates: Sequence[Rate | None],
        *,
        margin: float = MARGIN,
        turns_ahead: int = 1,
    ) -> None:
        if len(rates) != len(thresholds) + 1:
            raise ValueError("there is one threshold between each two tiers")
        self._thresholds = tuple(thresholds)
        self._rates = tuple(rates)
        self._margin = margin
        self._turns_ahead = turns_ahead

    def rank(self, request: ModelRequest, turns: Sequence[Turn], scores: Sequence[float]) -> int:
        """Return the rank of a conversation's tier.

        Args:
            request: whose transcript it is.
            turns: of its user, oldest first.
            scores: of the turns, in their order.
        """
        account = _Account(self._rates, self._turns_ahead, request, turns)
        return fold(scores, self._thresholds, margin=self._margin, eases=account.eases)


class _Account:
    """Tells for the turns of one conversation whether a cheaper tier pays, in the order in which they were said."""

    __slots__ = ("_prefixes", "_rates", "_turns", "_turns_ahead")

    def __init__(
        self, rates: Sequence[Rate | None], turns_ahead: int, request: ModelRequest, turns: Sequence[Turn]
    ) -> None:
        self._rates = rates
        self._turns_ahead = turns_ahead
        self._turns = turns
        self._prefixes = Prefixes(request.messages)

    def eases(self, position: int, tier: int, target: int) -> bool:
        """Tell whether the conversation moves from a tier to a lower one at a turn."""
        stay, go = self._rates[tier], self._rates[target]
        if stay is None or go is None:
            return False
        turn = self._turns[position]
        prefix = self._prefixes.tokens_before(turn.position)
        return pays_to_move(prefix, tokens_of(turn.text), OUTPUT_TOKENS, stay, go, self._turns_ahead)


class TurnScores:
    """Remembers the scores of turns, so that a long conversation costs one scoring for each new turn.

    Keys are Python's 64-bit hashes, salted for each process, of what `ends_of` leaves of a text; no text is kept.

    Args:
        most: how many scores are kept; the one that was longest unused goes first.
    """

    __slots__ = ("_most", "_scores")

    def __init__(self, most: int = MOST_SCORES) -> None:
        self._most = most
        self._scores: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def put(self, text: str, score: float) -> None:
        """Remember the score of a text."""
        self._keep(hash(ends_of(text)), score)

    def get_or(self, text: str, score: Callable[[str], float]) -> float:
        """Return the score of a text, computing it where it is not known.

        Args:
            text: of a turn.
            score: depends on the text alone. What it raises is raised, and nothing is remembered.
        """
        key = hash(ends_of(text))
        known = self._scores.get(key)
        if known is not None:
            self._scores.move_to_end(key)
            return known
        found = score(text)
        self._keep(key, found)
        return found

    def _keep(self, key: int, score: float) -> None:
        self._scores[key] = score
        if len(self._scores) > self._most:
            self._scores.popitem(last=False)
