"""What OpenAI's routes have in common: its errors, the checks of schemas and addresses, and the text of an answer."""

from __future__ import annotations

import base64
import re
from typing import Final

from tests.support.scripted_api import Answer, Document, Heard, RefusedError, encoded, filled, is_strict

_DATA_URL: Final = re.compile(r"data:[\w./+-]+;base64,(.+)", re.DOTALL)


def refused(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> RefusedError:
    """Return an error in OpenAI's shape, to be raised."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return RefusedError(
        status, {"error": {"message": message, "type": kind, "param": param, "code": code}}, {"x-request-id": "req_1"}
    )


def only_known(document: Document, known: frozenset[str]) -> None:
    """Refuse top-level fields the API does not define."""
    for name in document:
        if name not in known:
            raise refused(f"Unrecognized request argument supplied: {name}", name, "unknown_parameter")


def check_function(function: Document, where: str) -> None:
    """Refuse a tool without a usable name, or strict without being so."""
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", str(function.get("name", ""))):
        raise refused(f"Invalid '{where}.name'.", f"{where}.name")
    if function.get("strict") and not is_strict(function.get("parameters")):
        raise refused(f"Invalid schema for function '{function['name']}'.", f"{where}.parameters")


def check_schema(form: Document, where: str) -> None:
    """Refuse an answer's schema without a name, or strict without being so."""
    if not form.get("name") or not isinstance(form.get("schema"), dict):
        raise refused(f"Missing required parameter: '{where}.name' or '{where}.schema'.", where)
    if form.get("strict") and not is_strict(form["schema"]):
        raise refused(f"Invalid schema for '{form['name']}': 'additionalProperties' is required to be false.", where)


def check_url(url: object, where: str) -> None:
    """Refuse what is neither an address nor data in base64."""
    if isinstance(url, str) and url.startswith("https://"):
        return
    found = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    try:
        base64.b64decode(found[1] if found else "-", validate=True)
    except ValueError:
        raise refused(f"Invalid data URL in {where}.", where, "invalid_image_url") from None


def answer_text(form: Document, heard: Heard, cut: set[str]) -> str:
    """Return the answer in the form that was asked for."""
    if form.get("type") == "json_schema":
        return encoded(filled((form.get("json_schema") or form)["schema"], heard.subject)).decode()
    if form.get("type") == "json_object":
        return encoded({"heard": heard.text}).decode()
    return heard.answer(cut)


def streamed(events: list[bytes], heard: Heard) -> Answer:
    """Return an event stream at the pace that was asked for."""
    return Answer(events=events, pause_s=heard.pause_s, marker=heard.marker)
