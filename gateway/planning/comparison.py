"""Compares two settings files: by probing every kind of key with every name, and by reading limits and prices."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.domain.money import PER_MILLION, Rate
from gateway.planning.changes import Comparison, grouped
from gateway.planning.subjects import Subject, removed, subjects
from gateway.rehearsal.examples import question_of
from gateway.rehearsal.rehearsal import Outcome, Question, Rehearsal
from gateway.settings import Settings
from policies.meters import Meter
from policies.refusals import limit_name
from policies.sanitise.describing import differences

PROBE = "What is the capital of France?"
"""What is asked of every name."""

FAMILIES = (
    "audio", "batches", "containers", "conversations", "evals", "files", "fine_tuning", "images", "moderations",
    "uploads", "vector_stores", "videos",
)  # fmt: skip
"""The families of relayed paths that are compared (platform.openai.com/docs/api-reference, 2026-11)."""

_USER = "somebody"

_Found = tuple[str, str]
"""Who, and what."""


async def compare(old: Settings, new: Settings) -> Comparison:
    """Return what the new file would change."""
    return await _Comparing(old, new).run()


class _Comparing:
    def __init__(self, old: Settings, new: Settings) -> None:
        self._settings = old, new
        self._old, self._new = Rehearsal(old), Rehearsal(new)
        self._denied: list[_Found] = [(path, "the key is gone") for path in removed(old, new)]
        self._allowed: list[_Found] = []
        self._retiered: list[_Found] = []

    async def run(self) -> Comparison:
        found = subjects(*self._settings)
        for subject in found:
            await self._probe(subject)
        for settings in self._settings:
            for example in settings.organisation.examples:
                shown = f"the example '{example.text[:40]}' for '{example.model}'" if example.text else None
                await self._try((example.key,), question_of(example), shown)
        limits = list(self._limits(found))
        return Comparison(
            denied=grouped(self._denied),
            allowed=grouped(self._allowed),
            retiered=grouped(self._retiered),
            tighter=grouped((who, what) for who, what, is_tighter in limits if is_tighter),
            looser=grouped((who, what) for who, what, is_tighter in limits if not is_tighter),
            prices=grouped(self._prices()),
        )

    async def _probe(self, subject: Subject) -> None:
        first = subject.paths[0]
        for name in {**dict.fromkeys(self._old.router.names()), **dict.fromkeys(self._new.router.names())}:
            await self._try(subject.paths, Question(key=first, model=name, text=PROBE, user=_USER))
        team, _, key = first.partition("/")
        before, after = (one.policies.of_key(team, key).requires_user for one in (self._old, self._new))
        if before != after:
            found = self._denied if after else self._allowed
            found += [(path, "requests that name no end user") for path in subject.paths]
        callers = self._old.caller(first), self._new.caller(first)
        for family in FAMILIES:
            may_before, may_after = (caller.may_call(family) for caller in callers)
            if may_before != may_after:
                found = self._allowed if may_after else self._denied
                found += [(path, f"the paths of '{family}'") for path in subject.paths]

    async def _try(self, paths: tuple[str, ...], question: Question, shown: str | None = None) -> None:
        """Ask both files, and note what differs for all of the paths."""
        what = shown or f"'{question.model}'"
        before, after = await self._old.ask(question), await self._new.ask(question)
        if before.allowed and not after.allowed:
            self._denied += [(path, f"{what}: {_reason(after)}") for path in paths]
        elif after.allowed and not before.allowed:
            self._allowed += [(path, what) for path in paths]
        elif (before.tier, before.model) != (after.tier, after.model):
            change = f"{what}: {_answered_by(before)} -> {_answered_by(after)}"
            self._retiered += [(path, change) for path in paths]

    def _limits(self, found: list[Subject]) -> Iterator[tuple[str, str, bool]]:
        """Yield whose limit changed, how, and whether it is tighter now."""
        before: dict[str, Meter] = {}
        after: dict[str, Meter] = {}
        for path in (path for subject in found for path in subject.paths):
            team, _, key = path.partition("/")
            longest = []
            for rehearsal, meters in ((self._old, before), (self._new, after)):
                policy = rehearsal.policies.of_key(team, key)
                longest.append(policy.max_output_tokens)
                meters.update((meter.key, meter) for meter in rehearsal.policies.meters(policy, _USER))
            old, new = longest
            if old != new:
                what = f"longest answer: {_tokens(old)} -> {_tokens(new)}"
                yield path, what, old is None or (new is not None and new < old)
            plans = (one.policies.of_key(team, key).guard for one in (self._old, self._new))
            yield from ((path, what, is_tighter) for what, is_tighter in differences(*plans))
        for name in {**before, **after}:
            change = _limit_change(before.get(name), after.get(name))
            if change is not None:
                yield change

    def _prices(self) -> Iterator[_Found]:
        for name in self._settings[0].models:
            if name in self._settings[1].models:
                before, after = self._old.prices.rate(name), self._new.prices.rate(name)
                if before != after:
                    yield name, _price_change(before, after)


def _reason(outcome: Outcome) -> str:
    return f"{outcome.code} ({outcome.refused_by})" if outcome.refused_by else outcome.code or str(outcome.status)


def _answered_by(outcome: Outcome) -> str:
    return f"{outcome.model} ({outcome.tier})" if outcome.tier else outcome.model


def _limit_change(before: Meter | None, after: Meter | None) -> tuple[str, str, bool] | None:
    if before is None or after is None:
        meter = before or after
        assert meter is not None  # noqa: S101  it stands in one of the two
        return meter.level, f"{'new' if before is None else 'gone'}: {limit_name(meter)}", before is None
    if before.cap == after.cap:
        return None
    return after.level, f"{limit_name(before)} -> {limit_name(after)}", after.cap < before.cap


def _tokens(longest: int | None) -> str:
    return "the model's own" if longest is None else f"{longest} tokens"


def _price_change(before: Rate | None, after: Rate | None) -> str:
    if before is None or after is None:
        return "the price is now known" if before is None else "the price is no longer known"
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    changed = (
        f"{name} {old[name] / PER_MILLION:g} -> {new[name] / PER_MILLION:g}" for name in old if old[name] != new[name]
    )
    return ", ".join(changed) + " USD a million tokens"
