# ruff: noqa: RUF001  signs and letters that look like others are meant
"""The language of a text, cheaply: its script, and for Latin script a few words each language cannot do without."""

from __future__ import annotations

from typing import Final

from router.scoring.lexicon import GROUPS

UNKNOWN: Final = "xx"

_STOP_WORDS: Final[dict[str, str]] = {
    "de": "der die das und ist nicht ein eine mit für auf wie was ich sie wir den dem zu von im sich auch bitte",
    "fr": "le la les des est une dans pour que qui pas vous je avec sur du et quelle quel comment de un à en",
    "es": "el la los las una que por para con es cómo qué del un y cuál como está más de en se",
    "pt": "o os uma não que para com é em do da como qual você mais um são de e a no",
    "it": "il la gli che di una per non è con della sono come qual quale del un e cosa le",
    "nl": "de het een en niet van is dat op voor met zijn wat hoe ik je deze in te",
    "pl": "jest nie się na w z do jak co to że czy dla i",
    "tr": "bir ve bu için ne mi nasıl ile da çok olan en",
}
_SCRIPTS: Final[tuple[tuple[int, int, str], ...]] = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x04FF, "ru"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x0900, 0x097F, "hi"),
    (0x0E00, 0x0E7F, "th"),
    (0x3040, 0x30FF, "ja"),
    (0x4E00, 0x9FFF, "zh"),
    (0xAC00, 0xD7AF, "ko"),
)
_WORDS: Final = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}
_MARKS: Final = str.maketrans(dict.fromkeys("¿¡?!.,;:()\"'«»„“”", " "))
_SAMPLE: Final = 400
_COMMON: Final = GROUPS.index("common")


def is_english(lexicon: list[float], word_count: int, foreign: int) -> bool:
    """Tell whether English is certain enough that nothing else needs to be asked.

    Args:
        lexicon: distinct words of each group of the lexicon in the text.
        word_count: words and numbers read.
        foreign: bytes outside ASCII.
    """
    return lexicon[_COMMON] >= min(4.0, 1.0 + 0.1 * word_count) and foreign <= 2 * word_count


def language_of(text: str, *, has_english: bool) -> str:
    """Return an ISO 639-1 code, or `xx` where nothing is known.

    Args:
        text: in lower case; its first few hundred characters are looked at.
        has_english: whether it has any of the common English words.
    """
    sample = text[:_SAMPLE]
    if not sample.isascii():
        script = _script(sample)
        if script:
            return script
    known = set(sample.translate(_MARKS).split())
    best, code = max((len(known & stops), code) for code, stops in _WORDS.items())
    if not has_english and best >= (1 if len(known) < 12 else 2):
        return code
    if has_english and best >= 3:
        return code
    return "en" if has_english else UNKNOWN


def _script(sample: str) -> str:
    """Return the language of the script that a fifth of a sample is in; any kana makes it Japanese."""
    counts: dict[str, int] = {}
    for character in sample:
        point = ord(character)
        if point >= 0x0370:
            for low, high, code in _SCRIPTS:
                if low <= point <= high:
                    counts[code] = counts.get(code, 0) + 1
                    break
    if not counts or sum(counts.values()) * 5 < len(sample):
        return ""
    if counts.get("ja", 0) * 10 > counts.get("zh", 0):
        return "ja" if "ja" in counts else max(counts, key=lambda code: counts[code])
    return max(counts, key=lambda code: counts[code])
