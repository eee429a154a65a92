"""Who asks: keys from the settings file and from the key store, behind one snapshot."""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.errors import LoginThrottledError, NotAuthenticatedError
from policies.effective import NO_TEAM, admitted_models
from policies.settings import LevelSettings, OrganisationSettings
from policies.stores.keys.base import KeyRecord

DEMO: Final = "demo"
"""The caller of a gateway on loopback that has no key yet."""

NO_RULES: Final = LevelSettings()
"""The rules of a key that only its team's and organisation's hold for."""

KEY_PREFIX: Final = "sk-tw-"
"""What made keys start with, so that secret scanners and people recognise them."""

Throttle = Callable[[str], float | None]
"""Counts a failed login of an address; returns the seconds to wait when it had too many, else None."""


class _Entry(msgspec.Struct, frozen=True):
    digest: bytes
    caller: Caller
    expires_at: float


class KeyRing:
    """The keys that are valid now. Replaced as a whole, so that a slow or lost store never stops a known key.

    Args:
        organisation: the file's keys, and what teams may use.
        may_be_open: whether the gateway listens on loopback only, where having no key at all means that
            anyone is the caller `demo`.
        throttle: counts failed logins.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        organisation: OrganisationSettings,
        *,
        may_be_open: bool,
        throttle: Throttle,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._organisation = organisation
        self._may_be_open = may_be_open
        self._throttle = throttle
        self._clock = clock
        self._demo = Caller(
            organisation=organisation.name, team=DEMO, key=DEMO, key_id=DEMO, endpoints=(organisation.endpoints,)
        )
        self._entries: Mapping[bytes, _Entry] = {}
        self.is_open = False
        self.replace(())

    def replace(self, stored: Sequence[KeyRecord]) -> None:
        """Take in the keys of the store, beside those of the file."""
        entries = {entry.digest: entry for entry in self._from_file()}
        entries |= {r.digest: self._from_record(r) for r in stored if r.revoked_at is None}
        self._entries = entries
        self.is_open = self._may_be_open and not entries and not stored

    def has_keys(self) -> bool:
        """Tell whether any key is valid."""
        return bool(self._entries)

    def identify(self, token: str | None, address: str) -> Caller:
        """Return the caller a token stands for; see `Authenticator.identify`."""
        if token is not None:
            digest = digest_of(token)
            entry = self._entries.get(digest)
            if entry is not None and hmac.compare_digest(entry.digest, digest) and self._clock() < entry.expires_at:
                return entry.caller
        if self.is_open:
            return self._demo
        if token is None:
            raise NotAuthenticatedError(
                "No API key was sent. Put it in the header 'Authorization: Bearer KEY' or 'x-api-key'."
            )
        wait_s = self._throttle(address)
        if wait_s is not None:
            message = "Too many requests with a wrong API key came from this address."
            raise LoginThrottledError(message, retry_after_s=wait_s)
        raise NotAuthenticatedError("The API key is unknown, revoked or expired.")

    def _from_file(self) -> list[_Entry]:
        entries = []
        for team, settings in self._organisation.teams.items():
            for key in settings.keys:
                day = key.expires
                midnight = None if day is None else dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()
                caller = self._caller(team, key.name, f"{team}/{key.name}", key, key.metadata)
                entries.append(_Entry(digest_of(key.secret.reveal()), caller, _or_never(midnight)))
        return entries

    def _from_record(self, record: KeyRecord) -> _Entry:
        own = msgspec.structs.replace(record.rules, models=record.models)
        caller = self._caller(record.team, record.name, record.id, own, record.metadata)
        return _Entry(record.digest, caller, _or_never(record.expires_at))

    def _caller(self, team: str, key: str, key_id: str, own: LevelSettings, metadata: dict[str, str]) -> Caller:
        organisation = self._organisation
        of_team = organisation.teams.get(team, NO_TEAM)
        return Caller(
            organisation=organisation.name,
            team=team,
            key=key,
            key_id=key_id,
            models=admitted_models(organisation, of_team, own),
            endpoints=(organisation.endpoints, of_team.endpoints, own.endpoints),
            metadata=metadata,
        )


def _or_never(at: float | None) -> float:
    return float("inf") if at is None else at


def digest_of(token: str) -> bytes:
    """Return what is kept of a key: its BLAKE2b-256, which costs half of what SHA-256 does through OpenSSL."""
    return blake2b(token.encode(), digest_size=32).digest()


def make_key(
    team: str,
    name: str,
    *,
    now: float,
    expires_at: float | None = None,
    metadata: dict[str, str] | None = None,
    rules: LevelSettings = NO_RULES,
) -> tuple[str, KeyRecord]:
    """Make a key.

    Returns:
        What the caller sends, to be shown once, and the record to keep.
    """
    token = KEY_PREFIX + secrets.token_urlsafe(24)
    record = KeyRecord(
        id="key_" + secrets.token_hex(6),
        team=team,
        name=name,
        digest=digest_of(token),
        created_at=now,
        expires_at=expires_at,
        models=rules.models,
        metadata=metadata or {},
        rules=rules,
    )
    return token, record
