"""Guards that others run, played on a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gateway.guarding.external.base import Outcome, Question, Told
from gateway.guarding.external.guards import ExternalGuards, build_guards
from policies.sanitise.external.settings import AnyExternalGuard, ModerationGuard, PresidioGuard, WebhookGuard
from tests.support.clock import Clock
from tests.support.moment import PATIENCE_S
from tests.support.scripted_api import Answer, Request, ScriptedApi

PATIENT_MS = PATIENCE_S * 1000


class GuardService(ScriptedApi):
    """A guard that answers each request with what `says` makes of its document.

    Attributes:
        says: makes a document of a document; bytes go out as they are, an `Answer` too.
    """

    def __init__(self, says: Callable[[dict[str, Any]], Any] = lambda _: {}) -> None:
        super().__init__()
        self.says = says

    def answer(self, request: Request) -> Answer:
        said = self.says(json.loads(request.body))
        if isinstance(said, Answer):
            return said
        return Answer(said if isinstance(said, bytes) else json.dumps(said).encode())

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What it was asked, in order."""
        return [json.loads(request.body) for request in self.requests]


def webhook(service: ScriptedApi, **more: Any) -> WebhookGuard:
    return WebhookGuard(**{"name": "hook", "url": service.origin + "/judge?v=1", "timeout_ms": PATIENT_MS, **more})


def presidio(service: ScriptedApi, **more: Any) -> PresidioGuard:
    return PresidioGuard(**{"name": "people", "url": service.origin, "timeout_ms": PATIENT_MS, **more})


def moderation(service: ScriptedApi, **more: Any) -> ModerationGuard:
    return ModerationGuard(**{"name": "harm", "url": service.origin + "/v1", "timeout_ms": PATIENT_MS, **more})


def question(*texts: str, side: Any = "input") -> Question:
    return Question("req-1", side, [Told("user", text) for text in texts])


async def ask(guard: AnyExternalGuard, *texts: str, side: Any = "input") -> tuple[Outcome, ...]:
    """Ask one guard once."""
    guards = build_guards([guard], {})
    try:
        return await guards.ask(question(*texts, side=side))
    finally:
        await guards.close()


def guards_of(*settings: AnyExternalGuard, clock: Clock | None = None) -> ExternalGuards:
    return build_guards(settings, {}, clock=clock) if clock else build_guards(settings, {})
