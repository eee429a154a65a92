"""Scores a prompt: how much it needs a stronger model, with what chances and for what reasons."""

from __future__ import annotations

from math import exp, log1p
from threading import Lock
from typing import Final

import msgspec

from router.scoring.artefact import Artefact, load
from router.scoring.hardness import formulas
from router.scoring.kind import NAMES, OTHER
from router.scoring.language import UNKNOWN, is_english, language_of
from router.scoring.lexicon import GROUPS
from router.scoring.model import Judgement, Model
from router.scoring.pleading import strip, without_politeness
from router.scoring.prompt import Prompt
from router.scoring.reading import clip, read

MARGIN: Final = 0.12
"""The gain added where nothing is certain: what cannot be judged goes to a stronger tier."""

_MIDDLE: Final = 0.25
_WIDTH: Final = 0.1
"""A gain of `_MIDDLE` scores 0.5, and `_WIDTH` more 0.73: what benchmarks' mean gains lie around."""

_FOREIGN: Final = 0.8
_PLEASE: Final = "please"
_SHORT: Final = 5
_BRIEF: Final = 80
_COMMON: Final = GROUPS.index("common")
_PLEADING: Final = GROUPS.index("pleading")
_POLITE: Final = GROUPS.index("polite")
_NEGATION: Final = GROUPS.index("negation")
_CONSTRAINT: Final = GROUPS.index("constraint")
_QUANTITY: Final = GROUPS.index("quantity")


class Assessment(msgspec.Struct, frozen=True, gc=False):
    """What the scorer says of a prompt.

    Attributes:
        kind: one of `kind.NAMES`.
        score: 0 to 1, rising with the need of a stronger model; what is uncertain has been moved up already.
        alone: the same of the text without what surrounds it.
        simple_fails: probability that the simple tier's answer does not suffice.
        medium_fails: the same for the medium tier; at most `simple_fails`.
        confidence: 0 to 1, how well the prompt resembles what can be judged.
        reasons: the kind, then what moved the score, in short words.
        language: ISO 639-1 code of the text, `xx` for unknown.
    """

    kind: str
    score: float
    alone: float
    simple_fails: float
    medium_fails: float
    confidence: float
    reasons: tuple[str, ...]
    language: str


class Scorer:
    """Assesses prompts. Threads may share one; the artefact is read at the first call or by `load`.

    Args:
        artefact: what was learned; None for what is shipped.
    """

    __slots__ = ("_artefact", "_lock", "_model")

    def __init__(self, artefact: Artefact | None = None) -> None:
        self._artefact = artefact
        self._model: Model | None = None
        self._lock = Lock()

    def load(self) -> Artefact:
        """Read the artefact unless that was done, and return it.

        Raises:
            OSError: the shipped file is missing.
            ValueError: it has another layout than this code reads.
        """
        with self._lock:
            if self._artefact is None:
                self._artefact = load()
            if self._model is None:
                self._model = Model(self._artefact)
            return self._artefact

    def assess(self, prompt: Prompt) -> Assessment:
        """Return what can be said of a prompt; any text has an answer."""
        model = self._model
        if model is None:
            self.load()
            model = self._model
            assert model is not None  # noqa: S101  load sets it
        return assess(model, prompt)


def assess(model: Model, prompt: Prompt) -> Assessment:
    """Return what a model says of a prompt."""
    text, judgement = judge(model, prompt.text)
    language, certainty = _certainty(text, judgement)
    alone = judgement.gain + MARGIN * (1.0 - certainty)
    gain = alone + _surroundings(prompt)
    simple, medium = model.chances_of(judgement, gain)
    top = max(judgement.kinds)
    kind = NAMES[judgement.kinds.index(top)] if judgement.features.word_count else OTHER
    return Assessment(
        kind=kind,
        score=score_of(gain),
        alone=score_of(alone),
        simple_fails=simple,
        medium_fails=medium,
        confidence=certainty * (0.4 + 0.6 * top),
        reasons=(kind, *_reasons(judgement, prompt, certainty)),
        language=language,
    )


def judge(model: Model, text: str) -> tuple[str, Judgement]:
    """Return what is read of a text, in lower case and without pleas, and what a model makes of it."""
    seen = clip(text)
    seen = seen.lower() if seen.isascii() else seen.casefold()
    unread = len(text) - len(seen)
    if _PLEASE in seen:  # looked for first: reading such a text twice costs 14 us
        seen = without_politeness(seen)
    reading = read(seen, unread + len(seen))
    words = model.look_up(reading)
    plain = seen
    if words.lexicon[_PLEADING] or reading.foreign > len(reading.words):
        plain = strip(seen)
    elif words.lexicon[_POLITE]:
        plain = without_politeness(seen)
    if len(plain) != len(seen):
        reading = read(plain, unread + len(plain))
        words = model.look_up(reading)
    return plain, model.judge(reading, words)


def score_of(gain: float) -> float:
    """Return the score of a gain."""
    return 1.0 / (1.0 + exp((_MIDDLE - gain) / _WIDTH))


def _certainty(text: str, judgement: Judgement) -> tuple[str, float]:
    """Return a text's language, and from 0 to 1 how far it is of the sort that the scorer can judge."""
    features, lexicon = judgement.features, judgement.lexicon
    if is_english(lexicon, features.word_count, features.foreign):
        return "en", 1.0
    if not features.word_count:
        return UNKNOWN, 0.0
    language = language_of(text, has_english=lexicon[_COMMON] > 0)
    if language == "en":
        return language, 1.0
    if language != UNKNOWN:
        return language, _FOREIGN
    # One entry of the lexicon may be a chance likeness of hashes.
    known = min(1.0, 4.0 * max(0.0, sum(lexicon[:_COMMON]) - 1.0) / features.word_count)
    if text.isascii() and (known > 0.5 or (features.word_count < _SHORT and features.read < _BRIEF)):
        return "en", 1.0
    return language, 0.8 * known


def _surroundings(prompt: Prompt) -> float:
    """Return what a conversation, tools and the like add to the gain; instructions before it hardly count."""
    found = 0.0
    if prompt.turns > 1:
        found += min(0.02, 0.006 * log1p(prompt.turns - 1))
    if prompt.context_characters > 2000:
        found += min(0.03, 0.01 * log1p(prompt.context_characters / 2000.0))
    if prompt.tools:
        found += min(0.05, 0.015 * log1p(prompt.tools))
    if prompt.has_schema:
        found += 0.01
    if prompt.attachments:
        found += 0.03
    if prompt.system:
        found += min(0.002, 1e-6 * len(prompt.system))
    return found


def _reasons(judgement: Judgement, prompt: Prompt, certainty: float) -> list[str]:
    """Return at most four short words on what makes a prompt harder or easier than others of its kind."""
    features, lexicon = judgement.features, judgement.lexicon
    marks = (
        ("unsure", certainty < 0.5),
        ("options", features.options > 1),
        ("long", features.characters > 900),
        ("formulas", formulas(features) > 0.5),
        ("constraints", lexicon[_CONSTRAINT] >= 3),
        ("quantities", lexicon[_QUANTITY] >= 4),
        ("negations", lexicon[_NEGATION] >= 3),
        ("short", features.characters < 60),
        ("tools", prompt.tools > 0),
        ("attachments", prompt.attachments > 0),
        ("conversation", prompt.turns > 3),
    )
    return [word for word, holds in marks if holds][:4]
