"""Waiting instead of being refused: a queue for each limit that somebody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from policies.effective import Policy
from policies.fair_queue import AT_ONCE, FairQueue, NotAdmittedError, Waited
from policies.meters import Meter
from policies.stores.holds.base import Granted, Refused

Attempt = Callable[[], Awaitable[Granted | Refused]]


class WaitingRoom:
    """Lets requests wait for limits, teams in their shares. A queue is there while somebody waits in it.

    Attributes:
        admitted: how many got through after waiting.
        gave_up: how many waited in vain.
        refused: how many found no place, or would have waited too long.
        waited_s: seconds that were waited in all.
    """

    def __init__(self) -> None:
        self.admitted = self.gave_up = self.refused = 0
        self.waited_s = 0.0
        self._queues: dict[str, FairQueue] = {}

    @property
    def length(self) -> int:
        """How many wait now."""
        return sum(queue.waiting for queue in self._queues.values())

    def poke(self, meters: Sequence[Meter]) -> None:
        """Let those who wait for these limits try: something was given back."""
        if self._queues:
            for meter in meters:
                queue = self._queues.get(meter.key)
                if queue is not None:
                    queue.poke()

    async def reserve(
        self, policy: Policy, meters: Sequence[Meter], attempt: Attempt, give_up_at: float
    ) -> tuple[Granted | Refused, Waited]:
        """Try, and where a limit refuses that waiting helps with, wait for it as long as policy allows.

        Args:
            policy: of the caller; it has a queue.
            meters: that the request counts in.
            attempt: tries the reservation once.
            give_up_at: the caller's deadline, seconds of the loop's clock.

        Returns:
            What came of it, and how long that took. Budgets are not waited for.
        """
        assert policy.queue is not None  # noqa: S101  the caller looked
        give_up_at = min(give_up_at, asyncio.get_running_loop().time() + policy.queue.max_wait_s)
        queue = next((q for m in meters if (q := self._queues.get(m.key)) is not None and q.is_contended), None)
        answer = None if queue is not None else await attempt()
        waited = AT_ONCE
        while queue is not None or _may_wait(answer):
            if queue is None:
                assert isinstance(answer, Refused)  # noqa: S101  what may wait is one
                queue = self._queue(answer.meter.key, policy.queue.max_length)
            try:
                answer, waited = await queue.wait(policy.team, policy.weight, 1, attempt, give_up_at)
            except NotAdmittedError as error:
                return answer or queue.last_refused or await attempt(), error.waited
            finally:
                self._leave(queue)
            queue = None
        assert answer is not None  # noqa: S101  without a queue it was tried
        return answer, waited

    def _queue(self, key: str, max_length: int) -> FairQueue:
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = FairQueue(max_length, key=key)
        queue.max_length = max_length
        return queue

    def _leave(self, queue: FairQueue) -> None:
        """Take over the counts of a queue, and forget it when nobody waits in it."""
        self.admitted += queue.admitted
        self.gave_up += queue.gave_up
        self.refused += queue.refused_full + queue.refused_late
        self.waited_s += queue.waited_s
        queue.admitted = queue.gave_up = queue.refused_full = queue.refused_late = 0
        queue.waited_s = 0.0
        if not queue.is_contended and self._queues.get(queue.key or "") is queue:
            del self._queues[queue.key or ""]


def _may_wait(answer: Granted | Refused | None) -> bool:
    return isinstance(answer, Refused) and answer.retry_after_s is not None and answer.meter.unit != "microusd"
