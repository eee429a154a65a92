"""Stage 3: what a policy says of a request's texts, and what it does about them before they are sent anywhere."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from gateway.domain.caller import Caller
from gateway.domain.errors import PromptRejectedError
from gateway.domain.request import ModelRequest
from gateway.domain.rewriting import Path, path_name
from gateway.exchange import Exchange
from gateway.guarding.external.guards import ExternalGuards
from gateway.guarding.external.inputs import NO_WORDS, AskedGuards, Word
from gateway.guarding.masking import masked
from gateway.guarding.scanning import SHORT, Looker
from gateway.guarding.terms import Terms, terms_of
from gateway.guarding.texts import Speaker, Text, texts_of, tools_of
from gateway.guarding.verdicts import Found
from policies.effective import PolicyBook
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.plan import NAME_OF, GuardPlan
from policies.sanitise.redaction.redactor import Redactor, Vault
from policies.sanitise.size import check_size

_OF_EMBEDDINGS: Final = Vault(suffix="embed", values={})
"""How placeholders in texts that become embeddings begin: the same text must become the same numbers each time, and
there is no answer in which anything could be put back."""


class GuardStage:
    """Judges requests by the plan of their caller. One for each version of the settings.

    Args:
        policies: know the plans.
        looker: finds what there is to be found; kept across versions.
        others: guards that others run; nobody where it is None.
    """

    def __init__(self, policies: PolicyBook, looker: Looker, others: ExternalGuards | None = None) -> None:
        self._policies = policies
        self._looker = looker
        self.others = others or ExternalGuards()
        self._terms: dict[tuple[str, Speaker], Terms] = {}

    async def check(self, exchange: Exchange, caller: Caller, request: ModelRequest) -> ModelRequest:
        """Return the request as it may go on: itself, or one in which placeholders stand for what was found.

        Args:
            exchange: gets its `inspection`, unless nothing is to be looked for in requests and answers.

        Raises:
            PromptRejectedError: it is too large, or holds what the policy blocks.
        """
        plan = self._policies.of(caller).guard
        check_size(request, plan.limits)
        if plan.is_idle and not self.others.callers:
            return request
        began = perf_counter()
        redactor = Redactor(_OF_EMBEDDINGS) if request.shape == "embeddings" else None
        inspection = exchange.inspection = Inspection(plan, redactor)
        try:
            if self._looker.lacks(plan):
                await self._looker.load(plan)
            return await self._inspect(inspection, request, exchange.request_id)
        finally:
            inspection.spent_us += round((perf_counter() - began) * 1e6)

    async def _inspect(self, inspection: Inspection, request: ModelRequest, request_id: str) -> ModelRequest:
        plan = inspection.plan
        if plan.tools.is_on:
            inspection.tools = tools_of(request)
        looks_for_leaks = plan.output.leak != "ignore"
        asks_others = self.others.watches("input")
        if not (plan.scans_input or looks_for_leaks or asks_others):
            return request
        texts = list(texts_of(request))
        if looks_for_leaks:
            inspection.trusted = tuple(text.text for text in texts if text.speaker in plan.trusted)
            inspection.said = tuple(text.text for text in texts if text.speaker not in plan.trusted)
        if not asks_others:
            changed = await self._look_through(inspection, texts) if plan.scans_input else {}
        else:
            asked = AskedGuards(self.others, request_id, inspection, texts)
            try:
                changed = await self._look_through(inspection, texts, asked)
            finally:
                asked.leave()
        return request.rewritten(changed) if changed else request

    async def _look_through(
        self, inspection: Inspection, texts: list[Text], asked: AskedGuards | None = None
    ) -> dict[Path, str]:
        """Look at every text, with what others say of it, and return those that the policy wants rewritten."""
        plan = inspection.plan
        system = _system_of(plan, texts)
        found = {index: own for index, text in enumerate(texts) if (own := await self._own(plan, text, system))}
        words = NO_WORDS if asked is None else await asked.words()
        changed: dict[Path, str] = {}
        for index in sorted({*found, *words}) if words else found:
            text, own = texts[index], found.get(index, ())
            await self._act(inspection, text, own, words.get(index), changed)
        return changed

    async def _own(self, plan: GuardPlan, text: Text, system: str) -> Found:
        """Return what the gateway's own checks find in a text, which they may remember."""
        terms = self._terms_of(plan, text.speaker)
        if terms.is_idle:
            return ()
        verdicts = self._looker.verdicts
        guarded = system if text.speaker == "user" else ""
        key = verdicts.key_of(text.text, terms.circumstances, guarded)
        found = verdicts.get(key)
        if found is None:
            found = await self._find(plan, terms, text.text, guarded)
            verdicts.put(key, found)
        return found

    async def _find(self, plan: GuardPlan, terms: Terms, said: str, system: str) -> Found:
        """Return what the detectors find in a text and no allow-list admits."""
        looker = self._looker
        found: list[Finding] = []
        if terms.kinds:
            found += looker.scan(said, terms.kinds) if len(said) <= SHORT else await looker.scan_long(said, terms.kinds)
        if terms.has_patterns and plan.custom is not None:
            found += plan.custom.scan(said)
        if terms.is_judged:
            attack = await looker.judge(said, is_document=terms.is_document, system=system)
            found += [] if attack is None else [attack]
        if not plan.allow:
            return tuple(found)
        return tuple(one for one in found if not _is_admitted(plan, one, said))

    async def _act(
        self, inspection: Inspection, text: Text, found: Found, word: Word | None, changed: dict[Path, str]
    ) -> None:
        """Do what the policy says about the findings of one text."""
        terms = self._terms_of(inspection.plan, text.speaker)
        actions = terms.actions
        if word is not None:
            found, actions = (*found, *word.findings), actions | word.actions
        place = path_name(text.path)
        inspection.note_findings(found, actions, terms.direction, place)
        for one in found:
            if actions[one.detector] == "block":
                raise refusal(inspection.plan, one, place)
        replaced = [one for one in found if actions[one.detector] == "redact"]
        if replaced:
            changed[text.path] = await self._rewritten(inspection, terms, text.text, replaced)

    async def _rewritten(self, inspection: Inspection, terms: Terms, said: str, replaced: list[Finding]) -> str:
        """Return a text without its disguises and with placeholders for everything else."""
        disguises = [one for one in replaced if one.detector == "unicode"]
        theirs = [one for one in replaced if one.detector not in terms.actions]
        if disguises and theirs:  # whose places are of the text as it came
            said = masked(said, theirs, inspection.redactor)
            again = await self._find(inspection.plan, terms, said, "")
            disguises = [one for one in again if one.detector == "unicode"]
            replaced = [one for one in again if terms.actions[one.detector] == "redact"]
        if disguises:
            from policies.sanitise.unicode.cleaning import cleaned  # noqa: PLC0415  its tables came with the scanner

            said = cleaned(said, disguises) if len(said) <= SHORT else await asyncio.to_thread(cleaned, said, disguises)
            again = await self._find(inspection.plan, terms, said, "")
            actions = terms.actions
            replaced = [one for one in again if actions[one.detector] == "redact" and one.detector != "unicode"]
        return masked(said, replaced, inspection.redactor) if replaced else said

    def _terms_of(self, plan: GuardPlan, speaker: Speaker) -> Terms:
        key = (plan.policy_id, speaker)
        known = self._terms.get(key)
        if known is None:
            known = self._terms[key] = terms_of(plan, speaker)
        return known


def refusal(plan: GuardPlan, finding: Finding, place: str) -> PromptRejectedError:
    """Return the error of a text that the policy blocks. It names everything but what was found."""
    detector = NAME_OF.get(finding.detector, finding.detector)
    message = (
        f"The guard's policy {plan.policy_id} does not let this pass: {detector}, rule '{finding.rule}', in '{place}'. "
        "If that is wrong, quote the policy and the request's id to its operators."
    )
    return PromptRejectedError(message, code="content_policy", param=place)


def _is_admitted(plan: GuardPlan, finding: Finding, said: str) -> bool:
    value = said if finding.detector == "injection" else said[finding.start : finding.end]
    return any(plan.admits(finding.detector, rule, value) for rule in finding.rule.split("+"))


def _system_of(plan: GuardPlan, texts: list[Text]) -> str:
    """Return what users' texts are judged against for injections; empty where they are not judged."""
    if plan.input.injection == "ignore":
        return ""
    return "\n".join(text.text for text in texts if text.speaker in plan.trusted)
