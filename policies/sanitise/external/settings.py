"""What the settings file says about guards that others run and that are asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Annotated, Final, Literal

import msgspec

from gateway.domain.secret import Secret
from policies.sanitise.settings import GuardSettings

Direction = Literal["input", "output", "both"]
"""What a guard is shown: prompts, answers, or both."""

OnFailure = Literal["open", "closed"]
"""What a request gets while a guard cannot say anything: it goes on unseen, or it is refused with 503."""

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
_Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s@/]+(/[^\s]*)?$")]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ExternalGuard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What guards of every kind have in common."""

    name: _Name
    """What it is called in `x-tierway-guard`, in audit records and metrics: lower-case letters, digits, dashes and
    underscores, at most 32."""
    direction: Direction = "input"
    """What it is shown: `input`, `output` or `both`."""
    timeout_ms: Annotated[float, msgspec.Meta(gt=0, le=30_000)] = 300.0
    """Milliseconds it may take, connecting and reading included. Callers wait for it, so the default is short: a
    service nearby answers in some ten, a hosted one in 100 to 200."""
    on_failure: OnFailure = "closed"
    """What holds when it takes longer, is not there or answers nonsense: `closed` refuses with 503, `open` lets the
    request go on, and the header and metrics say so. A guard that was asked for is missed, hence the default."""
    threshold: _Share = 0.5
    """Scores below this do not count, 0 to 1."""
    api_key: Secret | None = None
    """Sent as `Authorization: Bearer`."""
    max_connections: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 32
    """Calls in flight at once; one more waits, within `timeout_ms`."""


class PresidioGuard(
    ExternalGuard, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="presidio"
):
    """A Presidio analyzer: personal data with names and places, by its REST API."""

    url: _Url
    """Its address, without `/analyze`."""
    action: Literal["monitor", "flag", "redact", "block"] = "flag"
    """What is done about what it finds."""
    language: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}$")] = "en"
    """The language it is told, as it does not find out by itself."""
    entities: tuple[str, ...] = ()
    """Types it is to look for, such as `PERSON` and `LOCATION`. None named: all it knows."""


class ModerationGuard(
    ExternalGuard, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="moderation"
):
    """An endpoint for moderation as OpenAI's: one of `url` and `upstream` says where."""

    url: _Url | None = None
    """The address that `/moderations` is appended to, usually ending in `/v1`."""
    upstream: str | None = None
    """An entry of `upstreams` of kind `openai`, whose address and credential are used."""
    action: Literal["monitor", "flag", "block"] = "flag"
    """What is done about texts of a category whose score is at least `threshold`. It names no places in a text, so
    nothing can be redacted."""
    model: str = "omni-moderation-latest"
    """The model it is asked for."""
    categories: tuple[str, ...] = ()
    """Categories that count, such as `self-harm`. None named: all."""


class WebhookGuard(
    ExternalGuard, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="webhook"
):
    """Any service that speaks the small protocol of docs/guard.md."""

    url: _Url
    """Its whole address."""
    action: Literal["monitor", "flag", "redact", "block"] = "flag"
    """The most that is done about what it finds; its answer may name something milder."""


AnyExternalGuard = PresidioGuard | ModerationGuard | WebhookGuard

LOCAL: Final = "local"


class GuardSection(GuardSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The guard of the whole gateway: what holds for every caller, and who else is asked."""

    external: tuple[AnyExternalGuard, ...] = ()
    """Guards that others run. They are asked side by side, about the same texts as the gateway's own checks."""
    moderations: str | None = None
    """Who answers `POST /v1/moderations`: `local`, the gateway's own detectors, or an entry of `upstreams`. Absent:
    `relay.upstream` where there is one, the gateway's own detectors otherwise."""


def without_others(section: GuardSettings) -> GuardSettings:
    """Return what a section says of the gateway's own checks, as every level says it."""
    return GuardSettings(**{name: getattr(section, name) for name in GuardSettings.__struct_fields__})


SECTIONS: Final = (GuardSection, PresidioGuard, ModerationGuard, WebhookGuard)
"""The structs of this module, in the order the reference lists them."""


def faults(section: GuardSection, upstreams: AbstractSet[str]) -> Iterator[str]:
    """Yield what is wrong with settings that are each well-formed by itself, with the path of the field.

    Args:
        section: `guard` of the settings.
        upstreams: names of the upstreams of kind `openai`.
    """
    if section.moderations is not None and section.moderations not in (LOCAL, *upstreams):
        yield f"guard.moderations: '{section.moderations}' is neither local nor an upstream of kind openai"
    seen = set()
    for index, guard in enumerate(section.external):
        where = f"guard.external[{index}]"
        if guard.name in seen:
            yield f"{where}.name: two guards are called '{guard.name}'"
        seen.add(guard.name)
        key = guard.api_key.reveal() if guard.api_key else ""
        if not (key.isascii() and key.isprintable()):
            yield f"{where}.api_key: only printable ASCII can be sent in a header"
        if isinstance(guard, ModerationGuard):
            yield from _moderation_faults(guard, where, upstreams)


def _moderation_faults(guard: ModerationGuard, where: str, upstreams: AbstractSet[str]) -> Iterator[str]:
    if (guard.url is None) == (guard.upstream is None):
        yield f"{where}: either 'url' or 'upstream' says where it is"
    elif guard.upstream is not None and guard.upstream not in upstreams:
        yield f"{where}.upstream: no upstream of kind openai is called '{guard.upstream}'"
    if guard.upstream is not None and guard.api_key is not None:
        yield f"{where}.api_key: the credential of the upstream is sent; name it there"
