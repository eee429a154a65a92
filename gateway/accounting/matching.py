"""A provider's account beside the ledger's: how far they are apart, per model and day, and the likely cause."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal, TypeVar

import msgspec

from gateway.accounting.exports import NO_MODEL, Billed
from gateway.domain.money import PER_MILLION
from policies.stores.ledgers.base import UsageQuery, UsageRow

Cause = Literal[
    "",
    "model unknown to us",
    "requests outside the gateway",
    "missing usage at our side",
    "usage estimated at our side",
    "cache class differs",
    "price version differs",
    "price unknown to us",
    "charges that are no tokens",
    "more here than in the export",
    "not in the export",
]
"""What an export and the ledger may disagree for; empty where they agree."""

ALL_MODELS: Final = "(all models)"
NO_TOKENS: Final = "(no model)"

ASKED: Final = UsageQuery(
    group_by=("day", "model", "answered_model", "upstream", "cache", "provenance", "kind"), max_rows=200_000
)
"""What a reconciliation asks the ledger, besides the time."""

_HITS: Final = frozenset({"exact", "semantic"})
"""Answers that no provider was asked for."""

_DATED: Final = re.compile(r"-(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|latest)$")
_GAP: Final = re.compile(r"[ ._]+")


class Account(msgspec.Struct):
    """What one side says of a model and a day, or of several days. None: it does not say.

    Attributes:
        uncounted: requests of ours whose tokens the provider did not report.
        unpriced: requests of ours whose price is not known.
    """

    requests: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_microusd: int | None = None
    uncounted: int = 0
    unpriced: int = 0

    @property
    def tokens(self) -> int | None:
        """All tokens, None where one of the classes is not known."""
        if self.prompt_tokens is None or self.output_tokens is None:
            return None
        return self.prompt_tokens + self.output_tokens

    def add(self, other: Account) -> None:
        """Take in what is said of other requests."""
        for name in self.__struct_fields__:
            mine, more = getattr(self, name), getattr(other, name)
            setattr(self, name, mine if more is None else (mine or 0) + more)


class Difference(msgspec.Struct, frozen=True):
    """One model on one day, or on all of them.

    Attributes:
        model: its family: names without the date of a version.
        day: as in 2026-11-20; empty for all days together.
        drift: the largest share by which tokens, cached tokens or costs differ, 0 to 1; of requests where the export
            says nothing else.
    """

    model: str
    day: str
    billed: Account
    recorded: Account
    drift: float
    cause: Cause


class Reconciliation(msgspec.Struct, frozen=True):
    """How a provider's account and ours compare.

    Attributes:
        models: one for each model, all days together, the largest drift first; those that may be another provider's
            stand last.
        days: one for each model and day that differs by more than the tolerance, oldest first.
        is_within: whether no model differs by more than the tolerance.
    """

    models: list[Difference]
    days: list[Difference]
    is_within: bool


def family(model: str) -> str:
    """Return the name that both sides share: `Claude Haiku 4.5` and `claude-haiku-4-5-20251001` are one."""
    plain = _GAP.sub("-", model.strip().lower().rpartition("/")[2])
    return _DATED.sub("", plain)


def reconcile(
    billed: Iterable[Billed],
    rows: Iterable[UsageRow],
    names: Mapping[str, str],
    *,
    tolerance: float,
    upstream: str | None = None,
) -> Reconciliation:
    """Compare what a provider billed with what the ledger recorded on the same days.

    Args:
        billed: the export's lines.
        rows: the ledger's answer to `ASKED`.
        names: every model of the settings, with the provider's name for it.
        tolerance: the share, 0 to 1, up to which a difference is none.
        upstream: count this upstream only. Then models that the export lacks are drift; without it they may be
            another provider's.
    """
    theirs, ours = _billed(billed), _recorded(rows, names, upstream)
    if {model for model, _ in theirs} == {NO_MODEL}:  # a sum over all models
        theirs, ours = _merged(theirs, ALL_MODELS), _merged(ours, ALL_MODELS)
    known = {family(name) for pair in names.items() for name in pair} | {ALL_MODELS}
    models = [
        _compare(model, "", one, other, is_known=model in known, tolerance=tolerance)
        for model, one, other in _paired(_by_model(theirs), _by_model(ours))
    ]
    days = [
        _compare(model, day, one, other, is_known=model in known, tolerance=tolerance)
        for (model, day), one, other in _paired(theirs, ours)
    ]
    beside = [one for one in models if upstream is None and one.cause == "not in the export"]
    counted = [one for one in models if one not in beside]
    return Reconciliation(
        models=[*sorted(counted, key=lambda one: (-one.drift, one.model)), *beside],
        days=sorted((one for one in days if one.drift > tolerance), key=lambda one: (one.day, one.model)),
        is_within=all(one.drift <= tolerance for one in counted),
    )


_Place = TypeVar("_Place")

_Accounts = dict[tuple[str, str], Account]
"""By model and day."""


def _billed(lines: Iterable[Billed]) -> _Accounts:
    accounts: _Accounts = defaultdict(Account)
    money: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in lines:
        place = family(line.model), line.day
        accounts[place].add(Account(line.requests, line.prompt_tokens, line.cached_tokens, line.output_tokens))
        if line.cost_usd is not None:
            money[place] += line.cost_usd
    for place, usd in money.items():  # rounded once: a line may be a fraction of a micro-dollar
        accounts[place].cost_microusd = int((usd * PER_MILLION).to_integral_value(ROUND_HALF_UP))
    return accounts


def _recorded(rows: Iterable[UsageRow], names: Mapping[str, str], upstream: str | None) -> _Accounts:
    accounts: _Accounts = defaultdict(Account)
    for row in rows:
        day, routed, answered, asked, cache, provenance, kind = row.group
        if cache in _HITS or kind != "answer" or not asked or (upstream is not None and asked != upstream):
            continue
        model = family(answered or names.get(routed, routed))
        accounts[model, day].add(
            Account(
                requests=row.requests,
                prompt_tokens=row.input_tokens + row.cached_tokens + row.cache_write_tokens + row.input_audio_tokens,
                cached_tokens=row.cached_tokens,
                output_tokens=row.output_tokens + row.reasoning_tokens + row.output_audio_tokens,
                cost_microusd=row.cost_microusd,
                uncounted=0 if provenance == "provider" else row.requests,
                unpriced=row.unpriced,
            )
        )
    return accounts


def _merged(accounts: _Accounts, model: str) -> _Accounts:
    merged: _Accounts = defaultdict(Account)
    for (_, day), account in accounts.items():
        merged[model, day].add(account)
    return merged


def _by_model(accounts: _Accounts) -> dict[str, Account]:
    models: dict[str, Account] = defaultdict(Account)
    for (model, _), account in accounts.items():
        models[model].add(account)
    return models


def _paired(theirs: dict[_Place, Account], ours: dict[_Place, Account]) -> list[tuple[_Place, Account, Account]]:
    places = dict.fromkeys([*theirs, *ours])
    return [(place, theirs.get(place) or Account(), ours.get(place) or Account()) for place in places]


def _compare(
    model: str, day: str, billed: Account, recorded: Account, *, is_known: bool, tolerance: float
) -> Difference:
    drift = _drift(billed, recorded)
    cause = _cause(model, billed, recorded, is_known=is_known, tolerance=tolerance) if drift > tolerance else ""
    return Difference(model or NO_TOKENS, day, billed, recorded, drift, cause)


def _drift(billed: Account, recorded: Account) -> float:
    if billed == Account():
        return 1.0 if recorded.tokens else 0.0
    drifts = [_apart(billed.tokens, recorded.tokens), _apart(billed.cost_microusd, recorded.cost_microusd)]
    drifts.append(_cached_apart(billed, recorded))
    if billed.tokens is None and billed.cost_microusd is None:
        drifts.append(_apart(billed.requests, recorded.requests))
    return max(drifts)


def _apart(billed: int | None, recorded: int | None) -> float:
    """Return the share of the larger by which two numbers differ, 0 where the export does not say."""
    if billed is None or billed == (recorded or 0):
        return 0.0
    return min(1.0, abs(billed - (recorded or 0)) / max(abs(billed), abs(recorded or 0)))


def _cached_apart(billed: Account, recorded: Account) -> float:
    """Return the share of the prompts that one side counts as cached and the other does not."""
    if billed.cached_tokens is None or not billed.prompt_tokens:
        return 0.0
    apart = abs(billed.cached_tokens - (recorded.cached_tokens or 0))
    return min(1.0, apart / max(billed.prompt_tokens, recorded.prompt_tokens or 0))


def _cause(  # noqa: PLR0911  one return a cause
    model: str, billed: Account, recorded: Account, *, is_known: bool, tolerance: float
) -> Cause:
    if model == NO_MODEL:
        return "charges that are no tokens"
    if not recorded.requests:
        return "requests outside the gateway" if is_known else "model unknown to us"
    if billed == Account():
        return "not in the export"
    if _apart(billed.tokens, recorded.tokens) > tolerance:
        return _cause_of_tokens(billed, recorded, tolerance)
    if _cached_apart(billed, recorded) > tolerance:
        return "cache class differs"
    if recorded.unpriced:
        return "price unknown to us"
    if billed.tokens is None and recorded.uncounted:
        return "missing usage at our side"  # the export says nothing of tokens: this is the likeliest
    return "price version differs"


def _cause_of_tokens(billed: Account, recorded: Account, tolerance: float) -> Cause:
    if (billed.tokens or 0) < (recorded.tokens or 0):
        return "usage estimated at our side" if recorded.uncounted else "more here than in the export"
    has_more_requests = (billed.requests or 0) > (recorded.requests or 0) * (1 + tolerance)
    return (
        "missing usage at our side" if recorded.uncounted and not has_more_requests else "requests outside the gateway"
    )
