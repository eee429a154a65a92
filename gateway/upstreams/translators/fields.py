"""Read members of documents that others wrote: right type or an error that names the path."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import msgspec

from gateway.domain.errors import InvalidRequestError, UpstreamGarbledError
from gateway.upstreams.errors import in_band
from gateway.upstreams.translators.base import Document

_DATA_URL: Final = re.compile(r"data:([^;,\s]+)(?:;[^;,\s]+)*;base64,", re.IGNORECASE)


def refuse(path: str, why: str) -> NoReturn:
    """Refuse a member whose meaning the other shape cannot keep.

    Args:
        path: the member, as in `messages[2].content[0]`.
        why: the end of a sentence that starts with the path.

    Raises:
        InvalidRequestError: always, with the code `unsupported_parameter`.
    """
    raise InvalidRequestError(f"'{path}' {why}.", code="unsupported_parameter", param=path)


def wrong_type(path: str, expected: str) -> InvalidRequestError:
    """Return the error for a member of another type than `expected`, which is named with its article."""
    return InvalidRequestError(f"'{path}' must be {expected}.", code="invalid_type", param=path)


def as_text(value: Any, path: str) -> str:
    """Return `value` if it is a string.

    Raises:
        InvalidRequestError: it is not.
    """
    if isinstance(value, str):
        return value
    raise wrong_type(path, "a string")


def as_list(value: Any, path: str) -> list[Any]:
    """Return `value` if it is an array; null counts as an empty one.

    Raises:
        InvalidRequestError: it is neither.
    """
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise wrong_type(path, "an array")


def as_object(value: Any, path: str) -> Document:
    """Return `value` if it is an object; null counts as an empty one.

    Raises:
        InvalidRequestError: it is neither.
    """
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise wrong_type(path, "an object")


def as_objects(value: Any, path: str) -> list[tuple[str, Document]]:
    """Return the entries of an array of objects, each with its path; null counts as an empty array.

    Raises:
        InvalidRequestError: it is something else, or an entry is no object.
    """
    named = [(f"{path}[{index}]", entry) for index, entry in enumerate(as_list(value, path))]
    for where, entry in named:
        if not isinstance(entry, dict):
            raise wrong_type(where, "an object")
    return named


def as_whole(value: Any, path: str) -> int:
    """Return `value` if it is a whole number.

    Raises:
        InvalidRequestError: it is not.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise wrong_type(path, "a whole number")


def as_number(value: Any, path: str) -> float:
    """Return `value` if it is a number.

    Raises:
        InvalidRequestError: it is not.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise wrong_type(path, "a number")


def as_flag(value: Any, path: str) -> bool:
    """Return `value` if it is true or false.

    Raises:
        InvalidRequestError: it is neither.
    """
    if isinstance(value, bool):
        return value
    raise wrong_type(path, "true or false")


def present(document: Document) -> Document:
    """Return the members that are not null."""
    return {name: value for name, value in document.items() if value is not None}


def others(document: Document, known: Collection[str], path: str = "") -> list[str]:
    """Return the paths of the members that are neither `known` nor null.

    Args:
        document: the object.
        known: names that something is done about.
        path: where the object stands, empty for the top.
    """
    prefix = f"{path}." if path else ""
    return [f"{prefix}{name}" for name, value in document.items() if value is not None and name not in known]


def split_data_url(url: str) -> tuple[str, str] | None:
    """Return the media type in lower case and the base64 text of a data URL (RFC 2397), None for anything else."""
    if found := _DATA_URL.match(url):
        return found[1].lower(), url[found.end() :]
    return None


@contextmanager
def reading_answer() -> Iterator[None]:
    """Turn what the readers above find in an upstream's answer into the upstream's fault.

    Raises:
        UpstreamGarbledError: a reader refused a member.
    """
    try:
        yield
    except InvalidRequestError as error:
        message = f"The upstream's answer cannot be understood at '{error.param}'."
        raise UpstreamGarbledError(message) from error


def raise_failure(document: Document) -> None:
    """Raise what the upstream says went wrong, if its answer or event has an `error`.

    Raises:
        UpstreamRefusedError: it has one.
    """
    if document.get("error") is not None:
        try:
            error = msgspec.json.encode(document["error"])
        except (ValueError, RecursionError):
            error = b"{}"
        raise in_band(msgspec.Raw(error), None)
