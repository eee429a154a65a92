"""All guards that others run, asked side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from gateway.guarding.external.base import Outcome, Question, Side
from gateway.guarding.external.caller import GuardCaller
from gateway.guarding.external.moderation import Moderation
from gateway.guarding.external.presidio import Presidio
from gateway.guarding.external.webhook import Webhook
from gateway.telemetry import Metric, counter, gauge
from gateway.upstreams.catalogue import make_engine
from gateway.upstreams.openai_compatible import openai_compatible
from gateway.upstreams.remote import Remote
from gateway.upstreams.settings import AnyUpstream, OpenAIUpstream, Timeouts
from gateway.upstreams.transport import Transport
from policies.sanitise.external.settings import AnyExternalGuard, ModerationGuard, PresidioGuard


class Basis(msgspec.Struct, frozen=True):
    """What a guard's connections follow from: while it stays the same, they are kept.

    Attributes:
        upstream: that it names, None where it names none.
    """

    guard: AnyExternalGuard
    upstream: AnyUpstream | None = None


class ExternalGuards:
    """Asks every guard that is shown a side of a request. Without guards it costs nothing: see `watches`.

    Attributes:
        callers: the guards.
    """

    def __init__(self) -> None:
        self.callers: list[GuardCaller] = []
        self._bases: list[Basis] = []
        self._of: dict[Side, list[GuardCaller]] = {"input": [], "output": []}

    def add(self, caller: GuardCaller, basis: Basis | None = None) -> None:
        """Ask one more guard.

        Args:
            caller: asks it.
            basis: what it was built on.
        """
        self.callers.append(caller)
        self._bases.append(basis or Basis(caller.settings))
        for side, callers in self._of.items():
            if caller.sees(side):
                callers.append(caller)

    def built_on(self, basis: Basis) -> GuardCaller | None:
        """Return the guard that was built on this, None if there is none."""
        return next((one for one, its in zip(self.callers, self._bases, strict=True) if its == basis), None)

    def watches(self, side: Side) -> bool:
        """Tell whether anyone is to be asked about prompts, or answers."""
        return bool(self._of[side])

    async def ask(self, question: Question) -> tuple[Outcome, ...]:
        """Ask all of them at once; takes as long as the slowest, at most its `timeout_ms`. Never raises for a guard."""
        callers = self._of[question.side]
        if not callers or not question.texts:
            return ()
        if len(callers) == 1:
            return (await callers[0].ask(question),)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(caller.ask(question)) for caller in callers]
        return tuple(one.result() for one in asked)

    def without(self, kept: ExternalGuards) -> list[GuardCaller]:
        """Return the guards that are not among those of later settings: to be closed once their calls are over."""
        return [one for one in self.callers if one not in kept.callers]

    async def close(self) -> None:
        """Let go of connections."""
        for caller in self.callers:
            await caller.close()

    def gauges(self) -> Iterator[Metric]:
        """Yield how the guards fare; nothing where there are none."""
        if not self.callers:
            return
        results = {
            (one.name, result): float(count)
            for one in self.callers
            for result, count in (*one.results.items(), ("known", one.known))
        }
        yield counter(
            "tierway_external_guard", "Times a guard was asked, by what came of it.", ("guard", "result"), results
        )
        seconds = {one.name: one.seconds for one in self.callers}
        yield counter("tierway_external_guard_seconds", "Seconds that requests waited for a guard.", "guard", seconds)
        resting = {one.name: float(one.is_resting) for one in self.callers}
        yield gauge("tierway_external_guard_resting", "Whether a guard is left alone as it fails.", "guard", resting)


def build_guards(
    settings: Sequence[AnyExternalGuard],
    upstreams: Mapping[str, AnyUpstream],
    before: ExternalGuards | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ExternalGuards:
    """Build what asks the guards of the settings.

    Args:
        settings: `guard.external`.
        upstreams: of the settings, which guards may name.
        before: of the settings before; guards whose settings did not change are kept with their connections.
        clock: seconds, of any origin.

    Raises:
        OSError, ssl.SSLError: files of an upstream cannot be read.
    """
    guards = ExternalGuards()
    for guard in settings:
        basis = Basis(guard, upstreams.get(guard.upstream or "") if isinstance(guard, ModerationGuard) else None)
        kept = before.built_on(basis) if before else None
        guards.add(kept or _caller(basis, clock), basis)
    return guards


def _caller(basis: Basis, clock: Callable[[], float]) -> GuardCaller:
    guard = basis.guard
    if isinstance(guard, PresidioGuard):
        return GuardCaller(guard, Presidio(guard), _server(guard, guard.url), clock)
    if isinstance(guard, ModerationGuard):
        found = basis.upstream
        server = _as_guard(guard, found) if isinstance(found, OpenAIUpstream) else _server(guard, guard.url or "")
        return GuardCaller(guard, Moderation(guard), server, clock)
    parts = urlsplit(guard.url)
    return GuardCaller(guard, Webhook(guard), _server(guard, f"{parts.scheme}://{parts.netloc}"), clock)


def _server(guard: AnyExternalGuard, base_url: str) -> Remote:
    return _as_guard(guard, OpenAIUpstream(base_url=base_url, api_key=guard.api_key))


def _as_guard(guard: AnyExternalGuard, upstream: OpenAIUpstream) -> Remote:
    """Return a server with connections of the guard's own, whose timeouts lie beyond the budget that ends a call."""
    late_s = guard.timeout_ms / 1000 * 2
    timeouts = Timeouts(connect_s=late_s, first_byte_s=late_s, idle_s=late_s, total_s=late_s)
    own = msgspec.structs.replace(upstream, timeouts=timeouts, max_connections=guard.max_connections)
    return openai_compatible(guard.name, own, Transport(make_engine(own), timeouts))
