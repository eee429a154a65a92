"""Stage 3: what a policy says of a request's texts, and what it does about them before they are sent anywhere."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from gateway.domain.caller import Caller
from gateway.domain.errors import PromptRejectedError
from gateway.domain.request import ModelRequest
from gateway.domain.rewriting import Path
from gateway.exchange import Exchange
from gateway.guarding.external.guards import ExternalGuards
from gateway.guarding.external.inputs import NO_WORDS, AskedGuards, Word
from gateway.guarding.looking import OwnChecks
from gateway.guarding.masking import masked, masked_in_steps
from gateway.guarding.scanning import TURN_S, Looker, in_turns
from gateway.guarding.terms import Terms
from gateway.guarding.texts import Text, place_of, texts_of, tools_of
from gateway.guarding.verdicts import Found
from policies.effective import PolicyBook
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.plan import NAME_OF, GuardPlan
from policies.sanitise.redaction.redactor import Redactor, Vault
from policies.sanitise.size import check_size

_LONG: Final = 65_536
"""Characters from which on placeholders are written in a thread: a millisecond, with a thousand of them."""

_MANY: Final = 256
"""Texts from which on a request is rewritten in a thread: about a millisecond."""

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
        self._checks = OwnChecks(looker)
        self.others = others or ExternalGuards()

    async def check(
        self, exchange: Exchange, caller: Caller, request: ModelRequest, vault: Vault | None = None
    ) -> ModelRequest:
        """Return the request as it may go on: itself, or one in which placeholders stand for what was found.

        Args:
            exchange: gets its `inspection`, unless nothing is to be looked for in requests and answers.
            caller: whose plan holds.
            request: as it came.
            vault: what placeholders stand for in the conversation that the request continues.

        Raises:
            PromptRejectedError: it is too large, or holds what the policy blocks.
        """
        plan = self._policies.of(caller).guard
        check_size(request, plan.limits)
        if plan.is_idle and not self.others.callers:
            return request
        began = perf_counter()
        vault = _OF_EMBEDDINGS if request.shape == "embeddings" else vault
        redactor = None if vault is None else Redactor(vault)
        inspection = exchange.inspection = Inspection(plan, redactor)
        try:
            await self._checks.load(plan)
            return await self._inspect(inspection, request, exchange.request_id)
        finally:
            if plan.custom is not None and plan.custom.disabled:
                slow = (f"custom.{name}:slow" for name in sorted(plan.custom.disabled))
                inspection.failure = " ".join([*inspection.failure.split(), *slow])
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
        if len(changed) > _MANY:
            return await asyncio.to_thread(request.rewritten, changed)
        return request.rewritten(changed) if changed else request

    async def _look_through(
        self, inspection: Inspection, texts: list[Text], asked: AskedGuards | None = None
    ) -> dict[Path, str]:
        """Look at every text, with what others say of it, and return those that the policy wants rewritten."""
        found = await self._checks.found_in(inspection.plan, texts)
        words = NO_WORDS if asked is None else await asked.words()
        if not (found or words):
            return {}
        changed: dict[Path, str] = {}
        since = perf_counter()
        for index in sorted({*found, *words}) if words else found:
            text, own = texts[index], found.get(index, ())
            await self._act(inspection, text, own, words.get(index), changed)
            if perf_counter() - since > TURN_S:
                await asyncio.sleep(0)
                since = perf_counter()
        return changed

    async def _act(
        self, inspection: Inspection, text: Text, found: Found, word: Word | None, changed: dict[Path, str]
    ) -> None:
        """Do what the policy says about the findings of one text."""
        terms = self._checks.terms(inspection.plan, text.speaker)
        actions = terms.actions
        if word is not None:
            found, actions = (*found, *word.findings), actions | word.actions
        place = place_of(text.path)
        inspection.note_findings(found, actions, terms.direction, place)
        for one in found:
            if actions[one.detector] == "block":
                raise refusal(inspection.plan, one, place)
        replaced = [one for one in found if actions[one.detector] == "redact"]
        if replaced:
            changed[text.path] = text.written(await self._rewritten(inspection, terms, text.text, replaced))

    async def _rewritten(self, inspection: Inspection, terms: Terms, said: str, replaced: list[Finding]) -> str:
        """Return a text without its disguises and with placeholders for everything else."""
        plan, actions = inspection.plan, terms.actions
        if any(one.detector == "unicode" for one in replaced):
            # Places that guards of others tell are of the text as it came; what is looked for here is found again.
            said = await _masked(said, [one for one in replaced if one.detector not in actions], inspection)
            said = await self._checks.clean(plan, said)
            again = await self._checks.find(plan, terms, said)
            replaced = [one for one in again if actions[one.detector] == "redact" and one.detector != "unicode"]
        return await _masked(said, replaced, inspection)


async def _masked(said: str, findings: list[Finding], inspection: Inspection) -> str:
    if not findings:
        return said
    if len(said) <= _LONG:
        return await in_turns(masked_in_steps(said, findings, inspection.redactor))
    return await asyncio.to_thread(masked, said, findings, inspection.redactor)


def refusal(plan: GuardPlan, finding: Finding, place: str) -> PromptRejectedError:
    """Return the error of a text that the policy blocks. It names everything but what was found."""
    detector = NAME_OF.get(finding.detector, finding.detector)
    message = (
        f"The guard's policy {plan.policy_id} does not let this pass: {detector}, rule '{finding.rule}', in '{place}'. "
        "If that is wrong, quote the policy and the request's id to its operators."
    )
    return PromptRejectedError(message, code="content_policy", param=place)
