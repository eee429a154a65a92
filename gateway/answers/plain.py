"""From a complete plain answer to a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.answers.flaws import judge
from gateway.answers.reading import Document, an_object, decoded, objects
from gateway.answers.record import Record
from gateway.answers.rendering.catalogue import RENDERERS
from gateway.answers.template import Template, cut
from gateway.domain.request import Shape
from gateway.upstreams.base import PlainReply

TIMES: Final[Mapping[Shape, tuple[str, ...]]] = {
    "chat": ("created",),
    "completions": ("created",),
    "responses": ("created_at", "completed_at"),
}
"""By shape: members that say when an answer was made."""

_NULL: Final = msgspec.Raw(b"null")
_NO_VECTORS: Final = (b"null", b"[]")


class _Vectors(msgspec.Struct):
    """An answer of embeddings: its vectors, which may be megabytes, are not decoded."""

    data: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


_VECTORS: Final = msgspec.json.Decoder(_Vectors)


MOST_BYTES: Final = 4 * 2**20
"""Of a plain answer that is kept: text is far below it, some lists of embeddings and pictures are above."""


def record_plain(reply: PlainReply, shape: Shape) -> Record:
    """Return the record of a plain answer with a status of success; `why_not` says whether to keep it."""
    if len(reply.body) > MOST_BYTES:
        return Record(shape=shape, flaw="large")
    if shape == "embeddings":
        return _record_vectors(reply.body)
    document, is_exact = decoded(reply.body)
    if document is None:
        return Record(shape=shape, flaw="unreadable")
    return record_document(document, reply.body, shape, is_exact=is_exact, dropped=reply.dropped)


def record_document(
    document: Document, body: bytes, shape: Shape, *, is_exact: bool, dropped: tuple[str, ...] | None
) -> Record:
    """Return the record of an answer that was read.

    Args:
        document: the answer, decoded, and
        body: its text.
        shape: of the request.
        is_exact: whether both say the same.
        dropped: see `PlainReply`.
    """
    verdict = judge(document, shape)
    renderer = RENDERERS.get(shape)
    return Record(
        shape=shape,
        whole=NOT_KEPT if verdict.flaw else template_of(document, body, shape),
        is_rendered=is_exact and renderer is not None and renderer.says_all(document),
        dropped=dropped,
        flaw=verdict.flaw,
        calls_tools=verdict.calls_tools,
    )


NOT_KEPT: Final[Template] = ()


def template_of(document: Document, body: bytes, shape: Shape) -> Template:
    """Return a plain answer with places for its ids and times."""
    times = [name for name in TIMES.get(shape, ()) if type(document.get(name)) in (int, float)]
    return cut(body, answer_id_of(document), times, list(ids_of(document, shape)))


def answer_id_of(document: Document) -> str:
    """Return the id of an answer, empty where it has none."""
    value = document.get("id")
    return value if isinstance(value, str) else ""


def ids_of(document: Document, shape: Shape) -> Iterator[str]:
    """Yield the ids of an answer's parts: its items, its calls of tools."""
    for value in _ids(document, shape):
        if isinstance(value, str) and value:
            yield value


def _ids(document: Document, shape: Shape) -> Iterator[Any]:
    if shape == "chat":
        for choice in objects(document.get("choices")):
            for call in objects(an_object(choice.get("message")).get("tool_calls")):
                yield call.get("id")
    elif shape == "responses":
        for item in objects(document.get("output")):
            # Reasoning keeps its id: what is sealed in it may belong to it.
            if item.get("type") != "reasoning":
                yield item.get("id")
                yield item.get("call_id")
    elif shape == "messages":
        for block in objects(document.get("content")):
            yield block.get("id")


def _record_vectors(body: bytes) -> Record:
    try:
        answer = _VECTORS.decode(body)
    except msgspec.DecodeError:
        return Record(shape="embeddings", flaw="unreadable")
    if bytes(answer.error) != b"null":
        return Record(shape="embeddings", flaw="error")
    if bytes(memoryview(answer.data)[:4]) in _NO_VECTORS:
        return Record(shape="embeddings", flaw="empty")
    return Record(shape="embeddings", whole=(body,))
