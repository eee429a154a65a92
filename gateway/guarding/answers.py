"""The guard on answers: what a policy says of them, and what it does about them before they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.answers.reading import decoded
from gateway.domain.errors import AnswerRejectedError, GatewayError, StageUnavailableError, UpstreamGarbledError
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.rewriting import Path, replace_texts, replaced_in
from gateway.guarding.answer_texts import AnswerText, calls_of_answer, place_of, texts_of_answer, texts_of_page
from gateway.guarding.events.base import EventGuard
from gateway.guarding.events.chat import ChatEvents
from gateway.guarding.events.messages import MessageEvents
from gateway.guarding.events.responses import ResponseEvents
from gateway.guarding.scanning import in_turns
from gateway.guarding.streams import AT_ONCE_BYTES, Ending, Forget, GuardedStream
from gateway.guarding.tool_calls import CallJudge
from gateway.outputs.schemas import Schemas
from gateway.upstreams.base import PlainReply, Reply
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.output.filtering import Duty, Filter, duty_of
from policies.sanitise.output.finder import Searches
from policies.sanitise.output.known import KnownSecrets
from policies.sanitise.output.sighting import BlockedError
from policies.sanitise.plan import NAME_OF
from policies.sanitise.steps import finish

if TYPE_CHECKING:
    from policies.sanitise.injection.detector import Detector

_PROMPT_AT_ONCE: Final = 8_192
"""Characters of a request's texts that are made ready for finding leaks on the loop, in 0.6 ms; more in a thread."""

_SOME: Final = 16
"""Texts between two pauses: 0.2 ms, or 2 where each is as long as one can be that is read at once."""

_EVENTS: Final[Mapping[Shape, type[ChatEvents | ResponseEvents | MessageEvents]]] = {
    "chat": ChatEvents,
    "completions": ChatEvents,
    "responses": ResponseEvents,
    "messages": MessageEvents,
}


class AnswerGuard:
    """Guards answers. One for each version of the settings.

    Args:
        known: the gateway's own secrets, which no answer may have in whose texts anything is looked for or put back.
    """

    def __init__(self, known: KnownSecrets | None = None) -> None:
        self._known = known
        self._schemas = Schemas()
        self._searches = Searches()
        self._detector: Detector | None = None

    async def guard(
        self, inspection: Inspection | None, reply: Reply, request: ModelRequest, forget: Forget | None = None
    ) -> Reply:
        """Return an answer as it may be sent; the same one where there is nothing to do.

        Args:
            inspection: of the request; None where the policy looks for nothing. It takes in what is found in the
                answer: of a plain one before this returns, of a stream until its last block.
            reply: from an upstream or the cache.
            request: as it was sent.
            forget: is called with the id of an answer that is blocked, so that it cannot be fetched either.

        Raises:
            AnswerRejectedError: the policy blocks it; of a stream, its `block` raises that.
            StageUnavailableError: the guard broke.
        """
        if inspection is None or not (inspection.plan.scans_output or inspection.vault is not None):
            return reply
        calls = CallJudge(inspection, self._schemas)
        duty = await self._duty(inspection)
        if duty.is_idle and calls.is_idle:
            return reply
        if isinstance(reply, PlainReply):
            try:
                body = await _guarded(duty, calls, reply.body, request.shape)
            except AnswerRejectedError:
                if forget is not None:
                    await forget(reply.response_id)
                raise
            return reply if body is reply.body else msgspec.structs.replace(reply, body=body)
        kind = _EVENTS.get(request.shape)
        if kind is None:
            return reply
        events: EventGuard = kind(duty, calls)
        ending = Ending(partial(rejection, inspection), forget)
        return GuardedStream(reply, events, inspection, ending, is_named=request.shape in ("responses", "messages"))

    async def guard_response(self, inspection: Inspection, body: bytes) -> bytes:
        """Return a Response that is fetched by its id as it may be sent. Raises what `guard` does."""
        return await _guarded(await self._duty(inspection), CallJudge(inspection, self._schemas), body, "responses")

    async def restore_page(self, inspection: Inspection, body: bytes) -> bytes:
        """Return a page of a Response's input items with what placeholders stand for put back."""
        duty = await self._duty(inspection)
        document, _ = decoded(body)
        changes = await in_turns(_changes(duty, texts_of_page(document or {})))
        return replace_texts(body, changes) if changes else body

    async def _duty(self, inspection: Inspection) -> Duty:
        texts = (*inspection.trusted, *inspection.said)
        if not texts or sum(map(len, texts)) <= _PROMPT_AT_ONCE:
            return duty_of(inspection, self._known, self._judge_instructions, self._searches)
        return await asyncio.to_thread(duty_of, inspection, self._known, self._judge_instructions, self._searches)

    def _judge_instructions(self, text: str) -> float | None:
        if self._detector is None:
            # Imported here because it takes 20 MB, which a guard that looks for no instructions saves.
            from policies.sanitise.injection.detector import Detector  # noqa: PLC0415

            self._detector = Detector()
        verdict = self._detector.judge(text, "tool")
        return verdict.score if verdict.flagged else None


async def _guarded(duty: Duty, calls: CallJudge, body: bytes, shape: Shape) -> bytes:
    began = perf_counter()
    try:
        steps = guarded_body(duty, calls, body, shape)
        if len(body) > AT_ONCE_BYTES and not duty.pauses:
            return await asyncio.to_thread(finish, steps)
        return await in_turns(steps)
    except BlockedError as error:
        raise rejection(duty.inspection, error.finding) from error
    except GatewayError:
        raise
    except Exception as error:
        raise StageUnavailableError("the guard is unavailable") from error
    finally:
        duty.inspection.spent_us += round((perf_counter() - began) * 1e6)


def guarded_body(duty: Duty, calls: CallJudge, body: bytes, shape: Shape) -> Generator[None, None, bytes]:
    """Return a plain answer as it may be sent: the same object where nothing changes, else only its texts do.

    It is made with pauses; see `Duty.pauses`.

    The log probabilities of a text that changes go, as they are of other tokens.

    Raises:
        BlockedError: something must not be sent.
        UpstreamGarbledError: it cannot be read.
    """
    document, _ = decoded(body)
    if document is None:
        raise UpstreamGarbledError("The upstream's answer is not a JSON object.")
    changes = yield from _changes(duty, texts_of_answer(document, shape))
    if not calls.is_idle:
        restored = replaced_in(document, changes) if changes else document
        for call in calls_of_answer(restored, shape):
            calls.judge(call.name, call.arguments, place_of(call.path))
    if not changes:
        return body
    return replace_texts(body, changes | without_logprobs(document, changes))


def _changes(duty: Duty, texts: Iterable[AnswerText]) -> Generator[None, None, dict[Path, Any]]:
    """Return what is to stand in place of texts, by place; the others stay."""
    changes: dict[Path, Any] = {}
    echo = Duty(inspection=duty.inspection, vault=duty.vault) if duty.vault is not None else None
    for number, text in enumerate(texts, start=1):
        if number % _SOME == 0:
            yield
        due = echo if text.is_echo else duty
        if due is None or due.is_idle or due.passes(text.text, text.place, is_signed=text.is_signed):
            continue
        filtered = Filter(due, place_of(text.path), text.place, is_signed=text.is_signed)
        new = yield from filtered.whole_in_steps(text.text)
        yield
        if new != text.text:
            changes[text.path] = new
    return changes


def without_logprobs(document: Any, changes: Mapping[Path, str]) -> dict[Path, Any]:
    """Return the edits that take out log probabilities beside texts that change."""
    gone: dict[Path, Any] = {}
    for path in changes:
        holder = path[:2] if path[0] == "choices" else path[:-1]
        owner = document
        for step in holder:
            owner = owner[step]
        if isinstance(owner, dict) and owner.get("logprobs"):
            gone[(*holder, "logprobs")] = None if path[0] == "choices" else []
    return gone


def rejection(inspection: Inspection, finding: Finding) -> AnswerRejectedError:
    """Return the error of an answer that the policy blocks. It names everything but what was found."""
    detector = NAME_OF.get(finding.detector, finding.detector)
    message = (
        f"The guard's policy {inspection.plan.policy_id} does not let this answer pass: {detector}, rule "
        f"'{finding.rule}'. Quote the policy and the request's id to its operators if that is wrong."
    )
    return AnswerRejectedError(message)
