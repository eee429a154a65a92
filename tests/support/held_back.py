"""An executor that builds an index's form when a test says so."""

from __future__ import annotations

from concurrent.futures import Future

from cache.index.growing import Build, Form


class HeldBack:
    """Its `submit` is a `Spawn`.

    Attributes:
        waiting: what was not built yet, oldest first.
        begun: how many were submitted.
        is_shut: whether to refuse, as an executor does that is shut down.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Build, Future[Form]]] = []
        self.begun = 0
        self.is_shut = False

    def submit(self, build: Build) -> Future[Form]:
        """Keep a build for later."""
        if self.is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self.begun += 1
        future: Future[Form] = Future()
        self.waiting.append((build, future))
        return future

    def run(self) -> None:
        """Build the oldest."""
        build, future = self.waiting.pop(0)
        future.set_result(build())
