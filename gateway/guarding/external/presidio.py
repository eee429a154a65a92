"""Presidio's analyzer: personal data by its REST API (microsoft.github.io/presidio, "API reference", 2026-11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.guarding.external.base import Heard, NonsenseError, Placed, Question, detector_of, rule_of
from policies.sanitise.external.settings import PresidioGuard
from policies.sanitise.finding import Finding

_RULES: Final = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "IP_ADDRESS": "ip",
    "MAC_ADDRESS": "mac", "CRYPTO": "wallet",
}  # fmt: skip
"""Its types to the names of our own rules, which decide what placeholders are called."""


class _Entity(msgspec.Struct):
    entity_type: str
    start: int
    end: int
    score: float


class Presidio:
    """Asks about one text at a time, as the analyzer does.

    Args:
        settings: of the guard.
    """

    path = "/analyze"
    query = b""
    is_by_text = True

    def __init__(self, settings: PresidioGuard) -> None:
        self._settings = settings
        self._detector = detector_of(settings.name)
        self._decoder = msgspec.json.Decoder(list[_Entity])

    def ask(self, question: Question) -> Sequence[bytes]:
        """Return the bodies to be posted; see `Tongue.ask`."""
        settings = self._settings
        shared: dict[str, object] = {"language": settings.language, "score_threshold": settings.threshold}
        if settings.entities:
            shared["entities"] = settings.entities
        return [msgspec.json.encode({"text": told.text, **shared}) for told in question.texts]

    def hear(self, question: Question, answers: Sequence[bytes]) -> Heard:
        """Read the answers; see `Tongue.hear`. Its offsets are characters of Python strings, as ours are."""
        found: list[Placed] = []
        for index, (told, answer) in enumerate(zip(question.texts, answers, strict=True)):
            try:
                entities = self._decoder.decode(answer)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise NonsenseError from error
            found += [Placed(index, self._finding(entity, len(told.text))) for entity in entities]
        return Heard(tuple(found))

    def _finding(self, entity: _Entity, length: int) -> Finding:
        if not 0 <= entity.start < entity.end <= length:
            raise NonsenseError
        rule = _RULES.get(entity.entity_type) or rule_of(entity.entity_type.lower())
        return Finding(self._detector, rule, entity.start, entity.end, entity.score)
