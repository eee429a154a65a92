"""An endpoint for moderation that speaks as OpenAI's: `POST /moderations`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.guarding.external.base import Heard, NonsenseError, Placed, Question, detector_of, rule_of
from policies.sanitise.external.settings import ModerationGuard
from policies.sanitise.finding import Finding


class _Result(msgspec.Struct):
    category_scores: dict[str, float | None]


class _Answer(msgspec.Struct):
    results: list[_Result]


class Moderation:
    """Asks about all texts at once. A score is of a whole text: its finding spans it.

    Args:
        settings: of the guard.
    """

    path = "/moderations"
    query = b""
    is_by_text = True

    def __init__(self, settings: ModerationGuard) -> None:
        self._model = settings.model
        self._wanted = frozenset(settings.categories)
        self._detector = detector_of(settings.name)
        self._decoder = msgspec.json.Decoder(_Answer)

    def ask(self, question: Question) -> Sequence[bytes]:
        """Return the body to be posted; see `Tongue.ask`."""
        return [msgspec.json.encode({"model": self._model, "input": [told.text for told in question.texts]})]

    def hear(self, question: Question, answers: Sequence[bytes]) -> Heard:
        """Read the answer; see `Tongue.hear`."""
        try:
            results = self._decoder.decode(answers[0]).results
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NonsenseError from error
        if len(results) != len(question.texts):
            raise NonsenseError
        found = [
            Placed(index, Finding(self._detector, rule_of(category), 0, len(question.texts[index].text), score))
            for index, result in enumerate(results)
            for category, score in result.category_scores.items()
            if score and (not self._wanted or category in self._wanted)
        ]
        return Heard(tuple(found))
