"""The experiments of a running gateway, as its other parts see them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from gateway.experiments.feedback import Remembered
from gateway.experiments.report import Report, pair_views, report
from gateway.experiments.settings import Split
from gateway.experiments.shadow import Shadow, shadow_gauges
from gateway.experiments.split import Assigner
from gateway.experiments.tally import Tally
from gateway.telemetry import Metric


class Experiments:
    """Splits and shadows.

    Args:
        splits: by alias.
        shadows: those that compare.
        tally: counts the requests of splits; another version's, to go on with what it has counted.

    Attributes:
        assigner: says which arm of a split a caller belongs to.
    """

    def __init__(
        self, splits: Mapping[str, Split], shadows: Sequence[Shadow] = (), *, tally: Tally | None = None
    ) -> None:
        self.assigner = Assigner(splits)
        self.shadows = tuple(shadows)
        self.tally = tally or Tally()
        self.tally.follow({alias: split.split for alias, split in splits.items()})

    async def run(self) -> None:
        """Compare until cancelled."""
        async with asyncio.TaskGroup() as group:
            for shadow in self.shadows:
                group.create_task(shadow.run())

    def learn(self, remembered: Remembered, score: float, replaced: float | None) -> None:
        """Count feedback on a request of an experiment; a `Learner`."""
        if remembered.experiment:
            self.tally.hear(remembered.experiment, remembered.arm, score, replaced)

    async def report(self) -> Report:
        """Return what experiments have shown. Comparisons are gone through in a thread: there may be thousands."""
        pairs = [
            await asyncio.to_thread(pair_views, shadow.settings.model, list(shadow.comparisons))
            for shadow in self.shadows
        ]
        return report(self.tally, zip(self.shadows, pairs, strict=True))

    def gauges(self) -> Iterator[Metric]:
        """Yield the metrics of experiments."""
        return shadow_gauges(self.shadows)
