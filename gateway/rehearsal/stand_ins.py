"""What stands in for the world in a rehearsal: a caller without a secret, empty counters, an upstream of no words."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.caller import Caller
from gateway.domain.errors import NotAuthenticatedError
from gateway.domain.request import Shape
from gateway.domain.tier import TierName
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.base import ModelCall, PlainReply, Reply
from policies.base import Hold, Reservation
from policies.governor import Governor
from policies.stores.holds.memory import MemoryHoldStore
from router.base import Choice, Strategy
from router.base import Question as Asked

SHAPES: frozenset[Shape] = frozenset(
    {"chat", "responses", "input_tokens", "compact", "messages", "count_tokens", "embeddings", "completions"}
)


class KnownCaller:
    """Takes a request's caller from whoever asks the question, instead of a secret; see `Authenticator`.

    Attributes:
        caller: who asks next.
    """

    def __init__(self) -> None:
        self.caller: Caller | None = None

    def identify(self, token: str | None, address: str) -> Caller:  # noqa: ARG002  the seam's signature
        """Return the caller that was set."""
        if self.caller is None:
            raise NotAuthenticatedError("Nobody was named.")
        return self.caller


class Recorded:
    """Chooses the tier that a request had when it was recorded, and asks a strategy about others; see `Strategy`.

    Attributes:
        tier: of the next request, None where nothing is recorded of it.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self.tier: TierName | None = None

    def choose(self, asked: Asked) -> Choice:
        """Return the tier."""
        return self._strategy.choose(asked) if self.tier is None else Choice(self.tier, 1.0, "recorded")


class EmptyCounters:
    """Holds every request on counters that count nothing yet; see `Limiter`."""

    async def reserve(self, wanted: Reservation) -> Hold:
        """Reserve what a request may consume at most; see `Limiter.reserve`."""
        return await Governor(MemoryHoldStore(lambda: 0.0)).reserve(wanted)


class StandIn:
    """Answers requests of every shape with nothing, and says that it took a given usage; see `Upstream`.

    Attributes:
        usage: of the next answer.
    """

    name = "stand-in"

    def __init__(self) -> None:
        self.shapes: set[Shape] = set(SHAPES)
        self.unwanted: dict[str, set[str]] = {}
        self.usage: Usage = NO_USAGE

    async def answer(self, call: ModelCall) -> Reply:  # noqa: ARG002  the seam's signature
        """Answer a request."""
        return PlainReply(body=b"{}", usage=self.usage)

    async def close(self) -> None:
        """Nothing to let go of."""

    def counters(self) -> Mapping[str, int]:
        """Return nothing: no call is made."""
        return {}
