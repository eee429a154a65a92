"""Any service that speaks the small protocol of docs/guard.md, section "Guards of your own"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.guarding.external.base import Heard, NonsenseError, Placed, Question, detector_of, rule_of
from policies.sanitise.external.settings import WebhookGuard
from policies.sanitise.finding import Finding
from policies.sanitise.settings import Action

VERDICT: Final = "verdict"
"""The rule of what a service says without naming a place."""

_MOST_FINDINGS: Final = 1000

_Offset = Annotated[int, msgspec.Meta(ge=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Found(msgspec.Struct):
    index: _Offset = 0
    start: _Offset = 0
    end: _Offset | None = None
    rule: str = VERDICT
    score: _Share = 1.0


class _Answer(msgspec.Struct):
    action: Literal["allow", "monitor", "flag", "redact", "block"] | None = None
    findings: list[_Found] = []


class Webhook:
    """Asks about all texts at once, each time: the service may judge them together.

    Args:
        settings: of the guard.
    """

    is_by_text = False

    def __init__(self, settings: WebhookGuard) -> None:
        parts = urlsplit(settings.url)
        self.path = parts.path or "/"
        self.query = parts.query.encode("ascii", "replace")
        self._detector = detector_of(settings.name)
        self._decoder = msgspec.json.Decoder(_Answer)

    def ask(self, question: Question) -> Sequence[bytes]:
        """Return the body to be posted; see `Tongue.ask`."""
        texts = [{"role": told.role, "text": told.text} for told in question.texts]
        document = {"request_id": question.request_id, "direction": question.side, "texts": texts}
        return [msgspec.json.encode(document)]

    def hear(self, question: Question, answers: Sequence[bytes]) -> Heard:
        """Read the answer; see `Tongue.hear`."""
        try:
            answer = self._decoder.decode(answers[0])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NonsenseError from error
        if len(answer.findings) > _MOST_FINDINGS:
            raise NonsenseError
        found = tuple(self._placed(one, question) for one in answer.findings)
        action: Action | None = "monitor" if answer.action == "allow" else answer.action
        if not found and action is not None and answer.action not in ("allow", "monitor"):
            found = (Placed(0, Finding(self._detector, VERDICT, 0, 0, 1.0)),)
        return Heard(found, action)

    def _placed(self, one: _Found, question: Question) -> Placed:
        if one.index >= len(question.texts):
            raise NonsenseError
        length = len(question.texts[one.index].text)
        end = length if one.end is None else one.end
        if not one.start <= end <= length:
            raise NonsenseError
        return Placed(one.index, Finding(self._detector, rule_of(one.rule), one.start, end, one.score))
