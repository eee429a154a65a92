"""The seam of the ledgers: one record for each call that was held, appended once and never changed."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, Literal, Protocol, get_args

import msgspec

from gateway.domain.usage import NO_USAGE, Usage
from policies.meters import MAX_PER_CALL

Kind = Literal["answer", "expired", "shadow"]
"""`answer`: a call that was settled. `expired`: one whose lease ended first, because its process was killed. `shadow`:
one that no caller has made, to compare models; no budget counts it."""

Group = Literal[
    "team", "key", "user", "model", "requested_model", "answered_model", "upstream", "tier", "day", "hour", "cache",
    "provenance", "kind",
]  # fmt: skip
"""What usage may be grouped by. `model` is the routed model, `key` is `team/key`, days and hours are those of UTC."""

GROUPS: Final[tuple[Group, ...]] = get_args(Group)

TOKEN_CLASSES: Final = (
    "input_tokens", "cached_tokens", "cache_write_tokens", "input_audio_tokens",
    "output_tokens", "reasoning_tokens", "output_audio_tokens",
)  # fmt: skip
"""The members of `Usage` that are numbers."""

MAX_TEXT: Final = 256
"""Characters of a text that are kept: a caller may name a model or a user by as many as it likes."""

MAX_ROWS: Final = 10_000
"""Rows of one answer, unless the query says otherwise."""

MAX_RECORD_BYTES: Final = 4096
"""The longest a record is as it is encoded; a longer one has its texts cut."""


class UsageRecord(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one call consumed. Nothing of what was said is in it.

    Attributes:
        id: of the hold; unique.
        request_id: as in `x-request-id`.
        at: when the hold was made, seconds since the epoch: it counts in the windows of that moment.
        organisation, team, key: who asked, by their names.
        user: the end user, empty where none was named.
        route: as in the request log.
        requested_model, routed_model, answered_model: as the caller wrote it, by its name in the settings, as the
            upstream named it; empty where not known.
        upstream: who was asked last, empty where nobody was.
        tier: as in the request log.
        cache: `exact` for a hit, else as in the request log.
        status: of the answer; 0 where there was none.
        usage: what was consumed. Of an expired call that was charged, its ceiling; of one that was released, nothing.
        cost_microusd: what was charged, in micro-dollars; 0 where the price is not known.
        is_priced: whether it is known.
        held_microusd: the ceiling that was held.
        under_reserved_microusd: how much more than that was charged.
    """

    id: str
    request_id: str
    at: float
    organisation: str
    team: str
    key: str
    user: str
    route: str
    requested_model: str
    routed_model: str
    answered_model: str
    upstream: str
    tier: str
    cache: str
    status: int
    usage: Usage
    cost_microusd: int
    is_priced: bool
    held_microusd: int
    under_reserved_microusd: int
    kind: Kind = "answer"

    @property
    def is_released(self) -> bool:
        """Whether it is an expired call that was given back: it counts nothing, not even as a request."""
        return self.kind == "expired" and not self.cost_microusd and self.usage == NO_USAGE


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are meant. What is None is not looked at.

    Attributes:
        since, until: seconds since the epoch; from the first on, and before the second.
        team: its name.
        key: `team/key`, or the name that keys of several teams may have.
        model: the routed model.
    """

    since: float | None = None
    until: float | None = None
    team: str | None = None
    key: str | None = None
    model: str | None = None

    def admits(self, record: UsageRecord) -> bool:
        """Tell whether a record is meant."""
        return (
            (self.since is None or record.at >= self.since)
            and (self.until is None or record.at < self.until)
            and (self.team is None or record.team == self.team)
            and (self.key is None or self.key in (record.key, f"{record.team}/{record.key}"))
            and (self.model is None or record.routed_model == self.model)
        )


class UsageQuery(Selection, frozen=True, kw_only=True):
    """What is to be summed up.

    Attributes:
        group_by: one row for each combination of these; without any, one row for everything.
        max_rows: more rows than this are an error, >= 1.
    """

    group_by: tuple[Group, ...] = ()
    max_rows: int = MAX_ROWS


class UsageRow(msgspec.Struct, frozen=True):
    """Records summed up.

    Attributes:
        group: what they have in common, in the order of `UsageQuery.group_by`.
        requests: settled calls.
        expired: calls whose lease ended; what they were charged is in every sum here.
        unpriced: records whose price is not known.
        cost_microusd, expired_microusd: what was charged in all, and the part of it for expired calls.
        held_microusd, under_reserved_microusd: as in `UsageRecord`.
    """

    group: tuple[str, ...]
    requests: int = 0
    expired: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    cost_microusd: int = 0
    expired_microusd: int = 0
    held_microusd: int = 0
    under_reserved_microusd: int = 0


class Page(msgspec.Struct, frozen=True):
    """Records, oldest first.

    Attributes:
        after: where the next page goes on; empty when this is the last one.
    """

    records: list[UsageRecord]
    after: str


class TooManyRowsError(Exception):
    """A query has more rows than it allows."""

    def __init__(self, max_rows: int) -> None:
        super().__init__(f"there are more than {max_rows} rows: group by less, or ask for a shorter time")


class BadCursorError(ValueError):
    """Where a page was to go on is no place this ledger named."""


class LedgerView(Protocol):
    """Reads a ledger. Every record that was appended before a question is in its answer."""

    async def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum records up. The rows are in the order of their groups.

        Raises:
            TooManyRowsError: there are more rows than the query allows.
            StageUnavailableError: the ledger cannot be read.
        """

    async def page(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Return up to `limit` records, those that follow a page before.

        Raises:
            BadCursorError: `after` is not from a page.
            StageUnavailableError: the ledger cannot be read.
        """

    async def close(self) -> None:
        """Let go of files; twice is harmless."""


class Ledger(LedgerView, Protocol):
    """Keeps what every call consumed, for as long as its retention. No call blocks the event loop.

    Attributes:
        written: records that were taken.
        failed: records that could not be kept.
    """

    written: int
    failed: int

    @property
    def lag(self) -> int:
        """Return how many records wait: in files to be moved into SQLite, or in memory while Redis is out of reach."""

    @property
    def complaint(self) -> str:
        """Return what is wrong, empty when all is well."""

    async def append(self, record: UsageRecord) -> None:
        """Keep a record; when this returns, a kill of this process does not lose it, unless Redis is out of reach.

        The same id a second time changes nothing. Never raises: what cannot be kept is counted in `failed`.
        """

    def append_now(self, record: UsageRecord) -> Awaitable[None] | None:
        """Keep a record as `append` does, without waiting.

        Returns:
            What is to be awaited for it to be safe; None where it is already.
        """

    def records(self, since: float | None = None, until: float | None = None) -> AsyncIterator[list[UsageRecord]]:
        """Read records in batches, oldest first.

        Args:
            since: from then on, seconds since the epoch.
            until: before then.

        Raises:
            StageUnavailableError: the ledger cannot be read.
        """

    async def prune(self, before: float) -> int:
        """Forget records from before a moment, seconds since the epoch; return how many that were.

        Raises:
            StageUnavailableError: the ledger cannot be written.
        """

    async def run(self) -> None:
        """Forget what is older than the retention, now and every hour, until cancelled."""


def encode(record: UsageRecord) -> bytes:
    """Return a record as MessagePack, at most `MAX_RECORD_BYTES` long."""
    try:
        encoded = _encode(record)
    except (UnicodeEncodeError, OverflowError):
        return _encode(sound(record))
    return encoded if len(encoded) <= MAX_RECORD_BYTES else _encode(sound(record))


def decode(encoded: bytes) -> UsageRecord:
    """Read what `encode` wrote.

    Raises:
        msgspec.MsgspecError: it is no record.
    """
    return sound(_decode(encoded))


def sound(record: UsageRecord) -> UsageRecord:
    """Return a record every ledger can keep: texts that UTF-8 can write, numbers from 0 to `MAX_PER_CALL`.

    The numbers may be a provider's, and some of the texts are a caller's.
    """
    if _is_sound(record):
        return record
    fields: dict[str, Any] = {name: _mended(getattr(record, name)) for name in record.__struct_fields__}
    return UsageRecord(**fields)


def _is_sound(record: UsageRecord) -> bool:
    """Tell of most sound records that they are, in a microsecond; the others are mended for nothing."""
    usage = record.usage
    numbers = (
        record.at, record.status, record.cost_microusd, record.held_microusd, record.under_reserved_microusd,
        usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens, usage.input_audio_tokens,
        usage.output_tokens, usage.reasoning_tokens, usage.output_audio_tokens,
    )  # fmt: skip
    texts = (
        f"{record.id}{record.request_id}{record.organisation}{record.team}{record.key}{record.user}{record.route}"
        f"{record.requested_model}{record.routed_model}{record.answered_model}{record.upstream}{record.tier}"
        f"{record.cache}"
    )
    # A moment that is no number comes first: whatever it is compared with, it stays the smallest, and is not >= 0.
    return min(numbers) >= 0 and max(numbers) <= MAX_PER_CALL and len(texts) <= MAX_TEXT and texts.isascii()


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value[:MAX_TEXT].encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return min(max(type(value)(0), value), MAX_PER_CALL) if math.isfinite(value) else 0.0
    if isinstance(value, Usage):
        numbers = {name: min(max(0, getattr(value, name)), MAX_PER_CALL) for name in TOKEN_CLASSES}
        return Usage(**numbers, provenance=value.provenance)
    return value


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(UsageRecord).decode
