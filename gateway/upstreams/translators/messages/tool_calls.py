"""Arguments and results of tool calls, which are text in a chat and more than that in the Messages API."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.base import Document

RAW_ARGUMENTS: Final = "__raw__"
"""The one member of a tool input that stands for arguments which are no JSON object."""

ERROR_MARK: Final = "[tool error] "
"""How the text of a tool message begins whose result has `is_error`: a chat has no other place to say it."""


def read_arguments(text: str) -> Document:
    """Return a tool call's arguments as an object.

    No text is an empty object. What is no JSON object comes as one under `RAW_ARGUMENTS`: models break off in the
    middle of arguments, and a conversation that holds such a call must go on.
    """
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {RAW_ARGUMENTS: text}


def write_arguments(value: Document, path: str) -> str:
    """Return an object as the text of a tool call's arguments; turns `read_arguments` round.

    Raises:
        InvalidRequestError: it is nested too deeply.
    """
    raw = value.get(RAW_ARGUMENTS)
    if isinstance(raw, str) and len(value) == 1:
        return raw
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"'{path}' is nested too deeply.", param=path) from error
