"""What the edge serves right now. A reload replaces `version` as a whole, between two requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from gateway.alerts.watch import AlertWatch
from gateway.capture.captures import Captures
from gateway.guarding.moderation import LocalModeration
from gateway.guarding.scanning import Looker
from gateway.observation import Observation
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.state.base import State
from gateway.telemetry import Digester, Telemetry
from policies.authenticate import Throttle
from policies.governor import Governor
from policies.stores.keys.base import KeyStore


class Version(msgspec.Struct, frozen=True):
    """One version of the settings and the pipeline built from it.

    Attributes:
        observation: learns from requests that have ended.
        fingerprint: the hash of the file, `built-in` without one.
        loaded_at: seconds since the epoch.
    """

    settings: Settings
    pipeline: Pipeline
    observation: Observation
    fingerprint: str
    loaded_at: float


class Current:
    """The running gateway, as the routes see it.

    Args:
        version: what is served first.
        telemetry: counts requests.
        keys: the key store.
        throttle: counts failed logins.
        refresh_keys: takes in what changed in the store.
        governor: holds requests to limits and budgets.
        alerts: watches requests and budgets.
        state: the stores.
        captures: keeps what single keys send and are answered, where an operator has asked for it.
        moderation: judges texts by the gateway's own detectors.
        digester: makes what the log may tell of a prompt; None where it tells nothing.

    Attributes:
        reload_error: why the newest edit of the settings file is not served, or None.
        draining: whether the process has been told to stop.
        degraded: parts that do not work as they should, by name, with what happens instead; `look` sees all.
    """

    def __init__(  # noqa: PLR0913  one argument a part
        self,
        version: Version,
        *,
        telemetry: Telemetry,
        keys: KeyStore,
        throttle: Throttle,
        refresh_keys: Callable[[], Awaitable[None]],
        governor: Governor,
        alerts: AlertWatch,
        state: State,
        captures: Captures | None = None,
        moderation: LocalModeration | None = None,
        digester: Digester | None = None,
    ) -> None:
        self.version = version
        self.telemetry = telemetry
        self.keys = keys
        self.throttle = throttle
        self.refresh_keys = refresh_keys
        self.governor = governor
        self.alerts = alerts
        self.state = state
        self.ledger = state.ledger
        self.captures = captures or Captures(None, None)
        self.digester = digester
        self.moderation = moderation or LocalModeration(Looker())
        self.reload_error: str | None = None
        self.draining = False
        self.degraded: dict[str, str] = {}

    def look(self) -> dict[str, str]:
        """Return what does not work as it should at this moment."""
        found = {**self.degraded, **dict(self.state.complaints())}
        likeness = self.version.pipeline.cache.likeness
        if likeness is not None and likeness.complaint:
            found["semantic cache"] = f"{likeness.complaint}; answers are given to equal requests only"
        return found
