"""What the settings file says about callers and what they may do."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec

from gateway.domain.secret import Secret

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A team's or key's name: letters, digits, dot, dash, underscore; at most 64."""

Patterns = tuple[str, ...]
"""Shell patterns over requested model names, such as `gpt-5-nano` or `auto/*`."""

_Count = Annotated[int, msgspec.Meta(ge=1)]


class PromptLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large a prompt may be, whatever the body limit says."""

    characters: _Count = 400_000
    """Characters of text in all messages together."""
    messages: _Count = 500
    """Messages in one request."""
    images: _Count = 20
    """Image parts in all messages together."""


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is checked in a request before anything is spent on it."""

    limits: PromptLimits = PromptLimits()
    """How large a prompt may be."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of the gateway may be in use at once."""

    concurrency: _Count | None = None
    """Requests in flight; one more is refused with 429."""


class KeySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that stands in the settings file."""

    name: Name
    """The key's name within its team."""
    secret: Secret
    """What the caller sends: at least 16 characters, usually `${NAME}`."""
    models: Patterns = ("*",)
    """The models this key may ask for, within what its team may."""
    endpoints: Patterns = ("*",)
    """The relayed endpoints this key may use, within what its team may."""
    expires: dt.date | None = None
    """The first day (UTC) on which the key is no longer valid."""
    metadata: dict[str, str] = {}
    """Labels of your own, shown wherever the key is."""


class TeamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team: keys with something in common."""

    models: Patterns = ("*",)
    """The models its keys may ask for, within what the organisation may."""
    endpoints: Patterns = ("*",)
    """The relayed endpoints its keys may use, within what the organisation may."""
    keys: tuple[KeySettings, ...] = ()
    """Keys that stand in the file; more come from `tierway keys create` and `/admin/keys`."""


class OrganisationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The organisation: what holds for every caller."""

    name: Name = "default"
    """Its name in records and metrics."""
    limits: Limits = Limits()
    """What holds for all callers together."""
    models: Patterns = ("*",)
    """The models anyone may ask for."""
    endpoints: Patterns = ()
    """The families of other OpenAI paths that may be relayed to `relay.upstream`: `images`, `audio`, `files`, ...;
    `*` for all. None where absent."""
    teams: dict[Name, TeamSettings] = {}
    """The teams by name. Keys made later may name a team that is not here: the organisation's rules hold."""
