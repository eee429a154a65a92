"""What the gateway's own checks find in the texts of a request; what was found before is remembered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from gateway.domain.rewriting import Path
from gateway.guarding.masking import each_string, is_json
from gateway.guarding.scanning import SHORT, TURN_S, Looker
from gateway.guarding.terms import Terms, terms_of
from gateway.guarding.texts import Speaker, Text
from gateway.guarding.verdicts import Found
from policies.sanitise.finding import Finding, Kind
from policies.sanitise.plan import GuardPlan

log = logging.getLogger("tierway")

_DISGUISES: Final[frozenset[Kind]] = frozenset({"unicode"})

_APART: Final = b" apart"
_TOGETHER: Final = b" together"
"""What tells apart in the memory of texts: those that are judged for injections with others, and such others."""


class OwnChecks:
    """Looks through texts by what a plan says of their speakers. One for each version of the settings.

    Args:
        looker: finds what there is to be found.
    """

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._terms: dict[tuple[str, Speaker], Terms] = {}

    async def load(self, plan: GuardPlan) -> None:
        """Load what a plan needs and what was not foretold."""
        if self._looker.lacks(plan):
            await self._looker.load(plan)

    def terms(self, plan: GuardPlan, speaker: Speaker) -> Terms:
        """Return how texts of a speaker are looked at."""
        key = (plan.policy_id, speaker)
        known = self._terms.get(key)
        if known is None:
            known = self._terms[key] = terms_of(plan, speaker)
        return known

    async def found_in(self, plan: GuardPlan, texts: Sequence[Text]) -> dict[int, Found]:
        """Return what is found in each text by its index, texts without findings left out.

        Parts of one message are judged for injections together: one that is spread over them is one all the same.
        """
        system = _system_of(plan, texts)
        found: dict[int, Found] = {}
        groups = _groups(texts) if plan.needs_injection else {}
        since = perf_counter()
        for index, text in enumerate(texts):
            terms = self.terms(plan, text.speaker)
            if terms.is_idle:
                continue
            guarded = system if text.speaker == "user" else ""
            group = groups.get(index) if terms.is_judged else None
            own = self._of_one_at_once(plan, terms, text, guarded, is_apart=group is not None)
            if own is None:
                own = await self._of_one(plan, terms, text, guarded, is_apart=group is not None)
            if group:
                own = (*own, *await self._of_group(plan, terms, [texts[one].text for one in group], guarded))
            if own:
                found[index] = own
            if perf_counter() - since > TURN_S:
                await asyncio.sleep(0)
                since = perf_counter()
        return found

    async def find(self, plan: GuardPlan, terms: Terms, said: str) -> list[Finding]:
        """Return what is found in a text besides injections, and no allow-list admits."""
        looker = self._looker
        found: list[Finding] = []
        if terms.kinds:
            found += await looker.scan_long(said, terms.kinds)
        if terms.has_patterns and plan.custom is not None:
            before = len(plan.custom.disabled)
            found += plan.custom.scan(said)
            if len(plan.custom.disabled) > before:
                log.warning(
                    "guard: patterns out of use, as they were slow: %s", ", ".join(sorted(plan.custom.disabled))
                )
        return [one for one in found if not _is_admitted(plan, one, said)] if plan.allow else found

    async def clean(self, plan: GuardPlan, said: str) -> str:
        """Return a text without disguises; a JSON document stays one, as its strings are cleaned one by one."""
        return self._clean(plan, said) if len(said) <= SHORT else await asyncio.to_thread(self._clean, plan, said)

    def _of_one_at_once(
        self, plan: GuardPlan, terms: Terms, text: Text, system: str, *, is_apart: bool
    ) -> Found | None:
        """Return what is found in one text where that is remembered or soon known; None for others."""
        verdicts = self._looker.verdicts
        key = self._key_of(terms, text, system, is_apart=is_apart)
        known = verdicts.get(key)
        if known is not None or terms.has_patterns or plan.allow or (terms.is_judged and not is_apart):
            return known
        found = self._looker.scan_at_once(text.text, terms.kinds) if terms.kinds else []
        if found is None:
            return None
        known = tuple(found)
        verdicts.put(key, known)
        return known

    def _key_of(self, terms: Terms, text: Text, system: str, *, is_apart: bool) -> bytes:
        if is_apart:
            return self._looker.verdicts.key_of(text.text, terms.circumstances + _APART)
        return self._looker.verdicts.key_of(text.text, terms.circumstances, system)

    async def _of_one(self, plan: GuardPlan, terms: Terms, text: Text, system: str, *, is_apart: bool) -> Found:
        verdicts = self._looker.verdicts
        key = self._key_of(terms, text, system, is_apart=is_apart)
        found = await self.find(plan, terms, text.text)
        if terms.is_judged and not is_apart:
            found += await self._judge(plan, terms, text.text, system)
        verdicts.put(key, tuple(found))
        return tuple(found)

    async def _of_group(self, plan: GuardPlan, terms: Terms, parts: Sequence[str], system: str) -> Found:
        """Return the injection that parts of a message are together; its place is of the first."""
        said = "\n".join(parts)
        verdicts = self._looker.verdicts
        key = verdicts.key_of(said, terms.circumstances + _TOGETHER, system)
        known = verdicts.get(key)
        if known is None:
            attacks = await self._judge(plan, terms, said, system)
            known = tuple(Finding(one.detector, one.rule, 0, len(parts[0]), one.score) for one in attacks)
            verdicts.put(key, known)
        return known

    async def _judge(self, plan: GuardPlan, terms: Terms, said: str, system: str) -> list[Finding]:
        attack = await self._looker.judge(said, is_document=terms.is_document, system=system)
        return [] if attack is None or _is_admitted(plan, attack, said) else [attack]

    def _clean(self, plan: GuardPlan, said: str) -> str:
        # Imported here as its tables come with the scanner.
        from policies.sanitise.unicode.cleaning import cleaned  # noqa: PLC0415

        def clean(text: str) -> str:
            found = self._looker.scan(text, _DISGUISES)
            return cleaned(text, [one for one in found if not _is_admitted(plan, one, text)])

        return each_string(said, clean) if is_json(said) else clean(said)


def _is_admitted(plan: GuardPlan, finding: Finding, said: str) -> bool:
    value = said if finding.detector == "injection" else said[finding.start : finding.end]
    return any(plan.admits(finding.detector, rule, value) for rule in finding.rule.split("+"))


def _system_of(plan: GuardPlan, texts: Sequence[Text]) -> str:
    """Return what users' texts are judged against for injections; empty where they are not judged."""
    if plan.input.injection == "ignore":
        return ""
    return "\n".join(text.text for text in texts if text.speaker in plan.trusted)


def _groups(texts: Sequence[Text]) -> dict[int, list[int]]:
    """Return the texts that are parts of one message and speaker: all of them at the first, none at the others."""
    groups: dict[int, list[int]] = {}
    before: tuple[Path, Speaker] | None = None
    first = 0
    for index, text in enumerate(texts):
        message = (text.path[:2], text.speaker)
        if len(text.path) > 2 and message == before:
            groups.setdefault(first, [first]).append(index)
            groups[index] = []
        else:
            before, first = message, index
    return groups
