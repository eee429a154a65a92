"""Guards that others run, asked about the texts of a request beside the gateway's own checks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.domain.errors import StageUnavailableError
from gateway.guarding.external.base import UNHEARD, Outcome, Question, Told, detector_of
from gateway.guarding.external.guards import ExternalGuards
from gateway.guarding.texts import Text
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.settings import Action


class Word(msgspec.Struct):
    """What all of them say of one text.

    Attributes:
        actions: by detector, as the findings name it.
    """

    findings: list[Finding]
    actions: dict[str, Action]


Words = Mapping[int, Word]
"""By the index of the text in the request; texts of which nothing is said are left out."""

NO_WORDS: Final[Words] = {}


class AskedGuards:
    """Guards that are being asked. `leave` must be called, in every case.

    Args:
        guards: who is asked.
        request_id: of the request.
        inspection: of the request; takes in who did not answer.
        texts: all of its texts. Those of trusted roles are shown to nobody.
    """

    def __init__(self, guards: ExternalGuards, request_id: str, inspection: Inspection, texts: Sequence[Text]) -> None:
        trusted = inspection.plan.trusted
        self._indices = [index for index, text in enumerate(texts) if text.speaker not in trusted]
        self._inspection = inspection
        told = [Told(_role(texts[index]), texts[index].text) for index in self._indices]
        self._asking = asyncio.create_task(guards.ask(Question(request_id, "input", told)))

    async def words(self) -> Words:
        """Return what they have said, once all of them have or their time is over.

        Raises:
            StageUnavailableError: one of them has said nothing, and its settings refuse requests then.
        """
        words: dict[int, Word] = {}
        for outcome in heard(self._inspection, await self._asking):
            for one in outcome.found:
                word = words.setdefault(self._indices[one.index], Word([], {}))
                word.findings.append(one.finding)
                word.actions[one.finding.detector] = outcome.action
        return words

    def leave(self) -> None:
        """Wait for them no longer."""
        self._asking.cancel()


def heard(inspection: Inspection, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """Return the outcomes of guards, having noted who has said nothing.

    Raises:
        StageUnavailableError: one of them has said nothing, and its settings refuse requests then.
    """
    unheard = [one for one in outcomes if one.result in UNHEARD]
    if unheard:
        inspection.failure = " ".join(f"{detector_of(one.guard)}:{one.result}" for one in unheard)
        closed = next((one for one in unheard if one.closed), None)
        if closed is not None:
            raise StageUnavailableError(f"the guard {closed.guard} does not answer")
    return outcomes


def _role(text: Text) -> str:
    return "user" if text.speaker == "stored" else text.speaker
