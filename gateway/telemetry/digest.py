"""What may be told of a prompt without telling any of it: a keyed hash, a length, and of what class it is."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b, sha512
from typing import Any, Final, Literal

import msgspec

from gateway.domain.secret import Secret

Form = Literal["text", "code", "json"]

_HASH_BYTES: Final = 8
"""Of the hash that is told: two prompts of a billion are mistaken for each other with a chance of one in 40."""

_MOST_CHARACTERS: Final = 400_000
"""That are hashed, the default limit of a prompt: half a millisecond. Of a longer text the first ones."""

_SAMPLE: Final = 256
"""Letters by which the script is told, and lines by which code is."""

_PERSON: Final = b"log-digest/v1"
_PLACEHOLDER: Final = re.compile(r"\[\[([A-Z]+_\d+)_[a-z0-9]{5}\]\]")
_CODE_LINE: Final = re.compile(
    r"[;{}]\s*$|^\s*(?:def |class |import |from \S+ import |return\b|if .*:\s*$|for .*:\s*$|#include|func |public |"
    r"const |let |var |SELECT |</?\w+[^>]*>\s*$|\$ |@\w+)"
)


class Digest(msgspec.Struct, frozen=True):
    """What is told of a text.

    Attributes:
        hash: the same for the same text of one organisation, while the key stays the same.
        characters: its length.
        form: `json`, `code` or `text`.
        script: of most of its letters, in Unicode's words: `latin`, `cyrillic`, `cjk`, ...; `none` without letters.
    """

    hash: str
    characters: int
    form: Form
    script: str


class Digester:
    """Makes digests of the last thing that was said.

    Args:
        key: the settings' `encryption_key`, from which the key of the hash follows. Without one it is random, and
            hashes are comparable within the process only.
        organisation: gives each organisation a key of its own.
    """

    def __init__(self, key: Secret | None, organisation: str) -> None:
        material = os.urandom(32) if key is None else key.material()
        self._key = blake2b(organisation.encode(), key=sha512(material).digest(), person=_PERSON).digest()

    def of(self, messages: Sequence[Mapping[str, Any]]) -> Digest | None:
        """Return the digest of the last message with text, None where there is none."""
        for message in reversed(messages):
            text = _text_of(message.get("content"))
            if text:
                return self.of_text(text)
        return None

    def of_text(self, text: str) -> Digest:
        """Return the digest of a text. Placeholders of the guard count without the part that is drawn each time."""
        head = text[:_MOST_CHARACTERS]
        if "[[" in head:
            head = _PLACEHOLDER.sub(r"[[\1]]", head)
        hashed = blake2b(head.encode("utf-8", "surrogatepass"), key=self._key, digest_size=_HASH_BYTES)
        return Digest(hashed.hexdigest(), len(text), _form_of(head), _script_of(head))


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _form_of(text: str) -> Form:
    bare = text.strip()
    if bare[:1] + bare[-1:] in ("{}", "[]"):
        return "json"
    if "```" in bare:
        return "code"
    lines = [line for line in bare.splitlines()[:_SAMPLE] if line.strip()]
    looking_like_code = sum(_CODE_LINE.search(line[:_SAMPLE]) is not None for line in lines)
    return "code" if len(lines) > 1 and looking_like_code * 2 >= len(lines) else "text"


def _script_of(text: str) -> str:
    if text.isascii():
        return "latin" if any(letter.isalpha() for letter in text[:_SAMPLE]) else "none"
    letters = [letter for letter in text[: _SAMPLE * 4] if letter.isalpha()][:_SAMPLE]
    names = Counter(unicodedata.name(letter, "unknown").partition(" ")[0].lower() for letter in letters)
    return names.most_common(1)[0][0] if names else "none"
