"""A request for embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.domain.document import (
    OPTIONAL_COUNT,
    OPTIONAL_TEXT,
    TEXT,
    Judged,
    Level,
    check_members,
    read_document,
    require,
    wrong_type,
)
from gateway.domain.request import ModelRequest

_JUDGED: Final[Mapping[str, Judged]] = {
    "model": TEXT,
    "input": Judged((str, list), "a string, an array of strings, of token ids, or of arrays of token ids"),
    "dimensions": OPTIONAL_COUNT,
    "encoding_format": OPTIONAL_TEXT,
    "user": OPTIONAL_TEXT,
}
_LEVELS: Final = (Level("", _JUDGED),)


class EmbeddingsRequest(ModelRequest):
    """One request for embeddings: of a text, several texts, one list of token ids or several."""

    __slots__ = ()
    shape = "embeddings"

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        super().__init__(body, {**document, "stream": None}, is_faithful=is_faithful)
        given = document["input"]
        texts = [given] if isinstance(given, str) else [text for text in given if isinstance(text, str)]
        self.messages = [{"role": "user", "content": text} for text in texts]
        self.max_output_tokens = 0

    @property
    def inputs(self) -> int:
        """How many embeddings are asked for."""
        given = self.document["input"]
        return 1 if isinstance(given, str) or isinstance(given[0], int) else len(given)


def read_embeddings(body: bytes) -> EmbeddingsRequest:
    """Read a request for embeddings.

    Raises:
        InvalidRequestError: as `read_chat` does, or the input is of none of the four forms.
    """
    document, is_faithful = read_document(body, _LEVELS)
    check_members(document, _JUDGED, _JUDGED.keys())
    for name in ("model", "input"):
        require(document, name)
    given = document["input"]
    if isinstance(given, list) and not _is_of_one_form(given):
        raise wrong_type("input", _JUDGED["input"].expected)
    return EmbeddingsRequest(body, document, is_faithful=is_faithful)


def _is_of_one_form(given: list[Any]) -> bool:
    """Tell whether a list holds texts only, token ids only, or lists of token ids only."""
    kinds = set(map(type, given))
    if kinds in ({str}, {int}):
        return True
    return kinds == {list} and all(ids and set(map(type, ids)) == {int} for ids in given)
