"""Images and documents: parts of a chat message on one side, blocks of the Messages API on the other."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.base import Document
from gateway.upstreams.translators.fields import as_object, as_objects, as_text, others, present, refuse, split_data_url

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""Media types of the Messages API's base64 images (anthropic 2.11, `Base64ImageSourceParam`)."""

_PDF: Final = "application/pdf"
_PDF_IN_BASE64: Final = "JVBERi"
"""How `%PDF-` begins in base64: clients send file data without the head of a data URL."""


def image_block(part: Document, path: str, dropped: list[str]) -> Document:
    """Return the image block for an `image_url` part; the URL may stand alone, as some clients send it.

    Raises:
        InvalidRequestError: there is no URL, or it leads to something Anthropic does not take as an image.
    """
    image = part.get("image_url")
    where = f"{path}.image_url"
    if isinstance(image, dict):
        dropped += others(image, {"url"}, where)
        image, where = image.get("url"), f"{where}.url"
    return {"type": "image", "source": _image_source(as_text(image, where), where)}


def _image_source(url: str, path: str) -> Document:
    if found := split_data_url(url):
        media_type = "image/jpeg" if found[0] == "image/jpg" else found[0]
        if media_type not in IMAGE_TYPES:
            refuse(path, "is no JPEG, PNG, GIF or WebP image, the only ones the upstream takes")
        return {"type": "base64", "media_type": media_type, "data": found[1]}
    if url.lower().startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    raise InvalidRequestError(f"'{path}' must be an https URL or a base64 data URL.", param=path)


def image_part(block: Document, path: str, dropped: list[str]) -> Document:
    """Return the `image_url` part for an image block.

    Raises:
        InvalidRequestError: its source is a file at Anthropic, or none at all.
    """
    dropped += others(block, {"type", "source"}, path)
    where = f"{path}.source"
    source = as_object(block.get("source"), where)
    kind = as_text(source.get("type"), f"{where}.type")
    if kind == "base64":
        dropped += others(source, {"type", "media_type", "data"}, where)
        return {"type": "image_url", "image_url": {"url": _data_url(source, where)}}
    if kind != "url":
        refuse(f"{where}.type", "names a source the upstream cannot read an image from")
    dropped += others(source, {"type", "url"}, where)
    return {"type": "image_url", "image_url": {"url": as_text(source.get("url"), f"{where}.url")}}


def document_block(part: Document, path: str, dropped: list[str]) -> Document:
    """Return the document block for a `file` part.

    PDF and plain text are documents at Anthropic. A file id is taken for one of Anthropic's own.

    Raises:
        InvalidRequestError: the part holds no file, or one of another kind.
    """
    where = f"{path}.file"
    file = as_object(part.get("file"), where)
    dropped += others(file, {"file_data", "file_id", "filename"}, where)
    title = present({"title": file.get("filename")})
    if title:
        as_text(title["title"], f"{where}.filename")
    if file.get("file_data") is not None:
        source = _document_source(as_text(file["file_data"], f"{where}.file_data"), f"{where}.file_data")
        dropped += [f"{where}.file_id"] if file.get("file_id") is not None else []
    else:
        source = {"type": "file", "file_id": as_text(file.get("file_id"), f"{where}.file_id")}
    return {"type": "document", "source": source, **title}


def _document_source(text: str, path: str) -> Document:
    media_type, encoded = split_data_url(text) or (_PDF if text.startswith(_PDF_IN_BASE64) else "", text)
    if media_type == _PDF:
        return {"type": "base64", "media_type": _PDF, "data": encoded}
    if media_type != "text/plain":
        refuse(path, "is neither a PDF nor plain text, the only documents the upstream takes")
    try:
        words = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(f"'{path}' is no base64 of a text in UTF-8.", param=path) from error
    return {"type": "text", "media_type": "text/plain", "data": words}


def document_parts(block: Document, path: str, dropped: list[str]) -> list[Document]:
    """Return the parts for a document block: a `file` part for a PDF, the words themselves for a text.

    The title names the file; before a text it stands on lines of its own, as the context does before both.

    Raises:
        InvalidRequestError: its source is a URL, which a chat request has no words for, or none at all.
    """
    dropped += others(block, {"type", "source", "title", "context"}, path)
    where = f"{path}.source"
    source = as_object(block.get("source"), where)
    kind = as_text(source.get("type"), f"{where}.type")
    title, context = (
        [as_text(block[name], f"{path}.{name}")] if block.get(name) else [] for name in ("title", "context")
    )
    if kind in ("text", "content"):
        return [*_texts([*title, *context]), *_written(source, kind, where, dropped)]
    return [*_texts(context), _file_part(source, kind, where, dropped, title)]


def _texts(texts: list[str]) -> list[Document]:
    return [{"type": "text", "text": text} for text in texts]


def _written(source: Document, kind: str, path: str, dropped: list[str]) -> list[Document]:
    """Return the parts for a document that came as text or as blocks."""
    if kind == "text":
        dropped += others(source, {"type", "media_type", "data"}, path)
        return _texts([as_text(source.get("data"), f"{path}.data")])
    dropped += others(source, {"type", "content"}, path)
    content = source.get("content")
    if isinstance(content, str):
        return _texts([content])
    parts: list[Document] = []
    for where, block in as_objects(content, f"{path}.content"):
        if as_text(block.get("type"), f"{where}.type") == "image":
            parts.append(image_part(block, where, dropped))
        else:
            parts.append(text_part(block, where, dropped))
    return parts


def text_part(block: Document, path: str, dropped: list[str]) -> Document:
    """Return the `text` part for a text block.

    Raises:
        InvalidRequestError: the block is another, or holds no text.
    """
    if as_text(block.get("type"), f"{path}.type") != "text":
        refuse(f"{path}.type", "names a block that the upstream has no words for")
    dropped += others(block, {"type", "text"}, path)
    return {"type": "text", "text": as_text(block.get("text"), f"{path}.text")}


def _file_part(source: Document, kind: str, path: str, dropped: list[str], title: list[str]) -> Document:
    if kind == "file":
        dropped += others(source, {"type", "file_id"}, path)
        file = {"file_id": as_text(source.get("file_id"), f"{path}.file_id")}
        return {"type": "file", "file": {**file, **({"filename": title[0]} if title else {})}}
    if kind != "base64":
        refuse(f"{path}.type", "names a source the upstream cannot read a document from")
    dropped += others(source, {"type", "media_type", "data"}, path)
    # Servers refuse file data without a name, from which they tell what kind of file it is.
    name = title[0] if title else "document.pdf"
    return {"type": "file", "file": {"filename": name, "file_data": _data_url(source, path)}}


def _data_url(source: Document, path: str) -> str:
    media_type = as_text(source.get("media_type"), f"{path}.media_type")
    return f"data:{media_type};base64,{as_text(source.get('data'), f'{path}.data')}"
