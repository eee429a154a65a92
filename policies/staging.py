"""New policies tried beside those in force: counted from the start, and telling whom they would deny."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.errors import NotPermittedError
from gateway.domain.request import ModelRequest
from policies.effective import MAX_USERS, Policy, PolicyBook, window_name
from policies.meters import MAX_CAP, Meter, Standing
from policies.refusals import limit_name
from policies.settings import KeySettings, LevelSettings, OrganisationSettings, TeamSettings

MAX_TOLD: Final = 10_000
"""Pairs of key and limit that are counted apart; what further ones would deny is counted as `other`."""

OTHER: Final = ("other", "other")
"""Stands for all pairs beyond `MAX_TOLD`."""

Rules = Mapping[tuple[str, str], LevelSettings]
"""The rules of keys that are kept outside the file, by team and name."""


def carried_over(served: OrganisationSettings, wanted: OrganisationSettings) -> OrganisationSettings:
    """Return the rules that are served, for the keys that are wanted.

    A key that is new, or whose secret or expiry changed, counts at once, and so does one that is gone: only what keys
    may do is tried first. Teams and keys that are not served yet bring their own rules.
    """
    teams = {name: msgspec.structs.replace(team, keys=()) for name, team in served.teams.items()}
    for name, team in wanted.teams.items():
        old = served.teams.get(name)
        teams[name] = team if old is None else _with_keys(old, team)
    return msgspec.structs.replace(served, teams=teams, staging=wanted.staging, examples=wanted.examples)


def _with_keys(old: TeamSettings, new: TeamSettings) -> TeamSettings:
    known = {key.name: key for key in old.keys}
    keys = tuple(_with_secret(known[key.name], key) if key.name in known else key for key in new.keys)
    return msgspec.structs.replace(old, keys=keys)


def _with_secret(old: KeySettings, new: KeySettings) -> KeySettings:
    return msgspec.structs.replace(old, secret=new.secret, expires=new.expires, metadata=new.metadata)


class StagedPolicies(PolicyBook):
    """The policies in force, whose meters count for those that are tried too.

    Args:
        organisation: the settings in force.
        tried: the policies that are tried.
        stored: as for `PolicyBook`.
    """

    def __init__(
        self, organisation: OrganisationSettings, tried: PolicyBook, stored: Rules = MappingProxyType({})
    ) -> None:
        super().__init__(organisation, stored)
        self._tried = tried
        self._both: dict[tuple[int, int], tuple[tuple[Meter, ...], tuple[Meter, ...], tuple[Meter, ...]]] = {}

    def meters(self, policy: Policy, user: str | None) -> tuple[Meter, ...]:
        """Return the meters of a request, and those that only the tried policies have, which refuse nothing."""
        held = super().meters(policy, user)
        tried = self._tried.meters(self._tried.of_key(policy.team, policy.key), user)
        name = id(held), id(tried)  # what is remembered keeps both, so that no other tuple has their ids
        known = self._both.get(name)
        if known is None:
            if len(self._both) >= MAX_USERS:
                self._both.clear()
            known = self._both[name] = held, tried, _joined(held, tried)
        return known[2]


def _joined(held: tuple[Meter, ...], tried: tuple[Meter, ...]) -> tuple[Meter, ...]:
    names = {meter.key for meter in held}
    new = [
        msgspec.structs.replace(meter, cap=MAX_CAP, soft=None, lost="share")
        for meter in tried
        if meter.key not in names
    ]
    return (*held, *new) if new else held


def in_force(meters: Sequence[Meter]) -> tuple[Meter, ...]:
    """Return the meters without those that refuse nothing."""
    return tuple([meter for meter in meters if meter.cap < MAX_CAP])


class Tally:
    """Counts whom tried policies would deny.

    Attributes:
        tried: requests that were judged.
        denied: those of them that would be denied.
        failed: those that could not be judged.
        by_key: how often each limit would stop each key, as `team/key` and what people call the limit.
        by_limit: how often limits of each kind would stop anyone, such as `key requests minute`, `models`, `tiers`.
    """

    def __init__(self) -> None:
        self.tried = self.denied = self.failed = 0
        self.by_key: dict[tuple[str, str], int] = {}
        self.by_limit: dict[str, int] = {}

    def clear(self) -> None:
        """Begin again; what is counted by limit goes on, as a metric never falls."""
        self.tried = self.denied = self.failed = 0
        self.by_key.clear()

    def note(self, key: str, found: Sequence[tuple[str, str]]) -> None:
        """Count a request.

        Args:
            key: whose it is, `team/key`.
            found: what would stop it, as people call it and by its kind; nothing where nothing does.
        """
        self.tried += 1
        self.denied += bool(found)
        for limit, kind in found:
            pair = (key, limit) if (key, limit) in self.by_key or len(self.by_key) < MAX_TOLD else OTHER
            self.by_key[pair] = self.by_key.get(pair, 0) + 1
            self.by_limit[kind] = self.by_limit.get(kind, 0) + 1


class Trial:
    """Judges requests that the policies in force have let pass by the policies that are tried.

    Limits are judged by what is counted, which holds everything that was let pass: where more come than a limit
    admits, all beyond its first are told, though the limit itself would let some of them pass later. What is told is
    therefore an upper bound. Policies in force that count no tokens or money hold nothing of them; such new limits are
    judged by what settled answers consumed.

    Args:
        tried: the policies.
        permits: raises NotPermittedError where no tier that a policy allows may answer a request.
        standing: tells how meters stand.
        tally: counts.
    """

    def __init__(
        self,
        tried: PolicyBook,
        permits: Callable[[ModelRequest, Policy], object],
        standing: Callable[[Sequence[Meter]], Awaitable[Sequence[Standing]]],
        tally: Tally,
    ) -> None:
        self._tried, self._permits, self._standing, self._tally = tried, permits, standing, tally

    async def judge(self, request: ModelRequest, policy: Policy, user: str | None) -> None:
        """Count what the tried policies say of a request that is held. Never fails it.

        Args:
            request: as the caller sent it.
            policy: what holds for the caller now.
            user: the end user.
        """
        try:
            tried = self._tried.of_key(policy.team, policy.key)
            found = self._words(request, tried, user) or await self._limits(tried, user)
        except Exception:  # noqa: BLE001  a trial must not stop a request: counted
            self._tally.failed += 1
            return
        self._tally.note(policy.path, found)

    def _words(self, request: ModelRequest, policy: Policy, user: str | None) -> list[tuple[str, str]]:
        if user is None and policy.requires_user:
            return [("a named end user", "user")]
        if policy.models and not _caller(policy).may_use(request.model):
            return [("models", "models")]
        try:
            self._permits(request, policy)
        except NotPermittedError:
            return [("tiers", "tiers")]
        return []

    async def _limits(self, policy: Policy, user: str | None) -> list[tuple[str, str]]:
        meters = self._tried.meters(policy, user)
        if not meters:
            return []
        return [_named(one.meter) for one in await self._standing(meters) if one.used > one.cap]


def _caller(policy: Policy) -> Caller:
    return Caller(
        organisation=policy.organisation, team=policy.team, key=policy.key, key_id=policy.path, models=policy.models
    )


def _named(meter: Meter) -> tuple[str, str]:
    """Return a meter as people call it, and its kind, of which there are few."""
    level = meter.key.partition("|")[0].partition(":")[0]
    kind = f"{level} {meter.unit} {window_name(meter.window)}".rstrip()
    return f"{limit_name(meter)} of {meter.level}", kind
