"""Tells what a field of a tool is for, by its schema or its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

FieldKind = Literal["path", "url", "shell", "shell_argument", "sql", "text", "unknown"]
"""`shell` holds whole commands, `shell_argument` what is put into one; `unknown` is judged as the value looks."""

_FORMATS: Final[dict[str, FieldKind]] = {
    **dict.fromkeys(("uri", "url", "uri-reference", "iri"), "url"),
    **dict.fromkeys(("path", "file-path", "directory-path"), "path"),
    **dict.fromkeys(("email", "date", "date-time", "uuid", "json-pointer"), "text"),
}
_PATH_WORDS: Final = (
    "path",
    "filepath",
    "file",
    "filename",
    "files",
    "paths",
    "dir",
    "directory",
    "folder",
    "cwd",
    "workdir",
)
_WORDS: Final[dict[str, FieldKind]] = {
    **dict.fromkeys(_PATH_WORDS, "path"),
    **dict.fromkeys(("url", "uri", "href", "link", "webhook", "urls"), "url"),
    **dict.fromkeys(("command", "cmd", "shell", "bash", "commandline"), "shell"),
    "sql": "sql",
}
_SPLIT: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def infer_kind(name: str | None, schema: Mapping[str, Any] | None = None) -> FieldKind:
    """Return what a field holds: as its schema says (`format`, or `x-field-kind`), else by the last word of its name.

    A field with a name that says nothing holds text; one without a name is unknown.
    """
    if schema is not None:
        declared = schema.get("x-field-kind") or _FORMATS.get(str(schema.get("format", "")))
        if declared:
            return cast("FieldKind", declared)  # an operator's schema names one
    if not name:
        return "unknown"
    words = [word.lower() for word in _SPLIT.findall(name)]
    return next((_WORDS[word] for word in reversed(words) if word in _WORDS), "text")
