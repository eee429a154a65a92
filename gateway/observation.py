"""What is learned of a request that has ended: for experiments, and for the feedback that may still come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from gateway.exchange import CLIENT_CLOSED_REQUEST, Exchange
from gateway.experiments.allowance import Ask, Ceiling
from gateway.experiments.answer_text import answer_text, streamed_text
from gateway.experiments.comparison import Answered
from gateway.experiments.experiments import Experiments
from gateway.experiments.feedback import Remembered
from gateway.experiments.judge import Judge
from gateway.experiments.shadow import Shadow
from gateway.experiments.split import Assigner
from gateway.experiments.tally import Tally
from gateway.settings import Settings
from gateway.telemetry import Metric
from gateway.upstreams.base import PlainReply, StreamReply
from gateway.upstreams.passing import PassingStream

_MOST_STREAM_BYTES: Final = 2**20
"""Of a stream that is kept for a judge; a longer one is not judged."""


class Memory(Protocol):
    """Remembers requests; see `Recollection`."""

    def remember(self, request_id: str, remembered: Remembered) -> None:
        """Remember a request."""


class Observation:
    """Watches requests for the experiments of one version of the settings.

    Args:
        settings: which experiments there are.
        ask: asks a model for a shadow.
        ceiling: the most that can cost.
        memory: remembers requests.
        before: of the version before; shadows whose settings did not change go on, with what they have found.
    """

    def __init__(
        self, settings: Settings, *, ask: Ask, ceiling: Ceiling, memory: Memory, before: Observation | None = None
    ) -> None:
        former: Sequence[Shadow] = before.experiments.shadows if before else ()
        known = {shadow.settings: shadow for shadow in former}
        shadows = []
        for wanted in settings.experiments.shadows:
            judge = Judge(wanted.judge, both_orders=wanted.judge_both_orders) if wanted.judge else None
            shadows.append(known.get(wanted) or Shadow(wanted, ask=ask, ceiling=ceiling, judge=judge))
        splits = {name: target for name, target in settings.aliases.items() if not isinstance(target, str)}
        tally: Tally | None = before.experiments.tally if before else None
        self.experiments: Experiments = Experiments(splits, shadows, tally=tally)
        self._memory = memory

    @property
    def assigner(self) -> Assigner:
        """What says which arm of a split a caller belongs to."""
        return self.experiments.assigner

    def follow(self, exchange: Exchange, stream: StreamReply) -> StreamReply:
        """Return a stream whose events are kept for a judge, where one may be asked about them."""
        caller, request = exchange.caller, exchange.request
        if not self.experiments.shadows or caller is None or request is None or _is_restored(exchange):
            return stream
        wanting = (
            one.wants(exchange.hold_id, caller, request, exchange.routed_model) for one in self.experiments.shadows
        )
        return KeptStream(stream) if any(wanting) else stream

    def take(self, exchange: Exchange) -> None:
        """Learn from a request that has ended."""
        caller, request, decision = exchange.caller, exchange.request, exchange.decision
        if caller is None or request is None or decision is None:
            return
        status = exchange.status
        is_upstreams = exchange.error is not None and exchange.error.source == "provider"
        if status == CLIENT_CLOSED_REQUEST or (400 <= status < 500 and not is_upstreams):
            return
        failed = exchange.error is not None
        if exchange.experiment and not exchange.is_given:
            self.experiments.tally.add(
                exchange.experiment,
                exchange.target,
                exchange.subject,
                failed=failed,
                cost_microusd=exchange.cost_microusd,
                first_byte_s=exchange.first_byte_s,
            )
        if failed:
            return
        self._memory.remember(exchange.request_id, _remembered(exchange))
        if not exchange.is_given and self.experiments.shadows and not _is_restored(exchange):
            self._offer(exchange)

    def gauges(self) -> Iterator[Metric]:
        """Yield the metrics of experiments."""
        return self.experiments.gauges()

    def _offer(self, exchange: Exchange) -> None:
        caller, request = exchange.caller, exchange.request
        assert caller is not None  # noqa: S101  looked at in `take`
        assert request is not None  # noqa: S101
        for shadow in self.experiments.shadows:
            if shadow.wants(exchange.hold_id, caller, request, exchange.routed_model):
                shadow.offer(
                    Answered(
                        chance_id=exchange.hold_id,
                        caller=caller,
                        request=request,
                        routed_model=exchange.routed_model,
                        text=_text_of(exchange),
                        cost_microusd=exchange.cost_microusd,
                        elapsed_s=exchange.elapsed_s,
                    )
                )


class KeptStream(PassingStream):
    """A stream whose blocks are kept, up to a bound."""

    def __init__(self, stream: StreamReply) -> None:
        super().__init__(stream)
        self._blocks: list[bytes] = []
        self._size = 0

    @property
    def events(self) -> bytes | None:
        """All events, None where the stream has not ended or was too long."""
        return b"".join(self._blocks) if self.is_ended and self._size <= _MOST_STREAM_BYTES else None

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        block = await self._stream.block()
        if block is not None and self._size <= _MOST_STREAM_BYTES:
            self._size += len(block)
            self._blocks.append(block)
        return block


def _is_restored(exchange: Exchange) -> bool:
    """Tell whether the answer may have what the guard keeps from models: no judge may be shown it."""
    return exchange.inspection is not None and exchange.inspection.vault is not None


def _text_of(exchange: Exchange) -> str | None:
    reply = exchange.reply
    if isinstance(reply, PlainReply):
        return answer_text(reply.body, exchange.shape)
    events = reply.events if isinstance(reply, KeptStream) else None
    return None if events is None else streamed_text(events, exchange.shape)


def _remembered(exchange: Exchange) -> Remembered:
    caller, decision = exchange.caller, exchange.decision
    assert caller is not None  # noqa: S101  looked at by the caller of this
    assert decision is not None  # noqa: S101
    grounds = decision.grounds
    return Remembered(
        organisation=caller.organisation,
        team=caller.team,
        key=caller.path,
        routed_model=exchange.routed_model,
        tier=decision.tier,
        kind=grounds.kind if grounds else "",
        failure=_failure(exchange),
        experiment=exchange.experiment,
        arm=exchange.target if exchange.experiment else "",
        entry=exchange.hit.entry_id if exchange.hit is not None else "",
    )


def _failure(exchange: Exchange) -> float | None:
    """Return the probability that the router gave to the tier's failing; none is given for the complex one."""
    decision = exchange.decision
    if decision is None or decision.grounds is None:
        return None
    by_tier = {"simple": decision.grounds.simple_fails, "medium": decision.grounds.medium_fails}
    return by_tier.get(decision.tier or "")
