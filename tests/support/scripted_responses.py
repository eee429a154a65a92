"""The Responses routes of the scripted OpenAI: conversations kept in memory, and the full sequence of events."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

from tests.support.openai_checks import (
    answer_text,
    check_function,
    check_schema,
    check_url,
    only_known,
    refused,
    streamed,
)
from tests.support.scripted_api import Answer, Document, Heard, Request, Tool, chosen, decoded, encoded, words

CREATED: Final = 1_700_000_000

FIELDS: Final = words(
    "access_programs background context_management conversation image include input instructions max_output_tokens"
    " max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key"
    " prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options"
    " temperature text tool_choice tools top_logprobs top_p truncation user"
)
_TEXT_PARTS: Final = {"input_text", "output_text", "refusal"}


class Responses:
    """The routes below `/v1/responses`.

    Args:
        check_model: refuses a model that is not there.
        made_id: returns the next id for a prefix.
        cut: markers of streams that were cut.
    """

    def __init__(self, check_model: Callable[[object], None], made_id: Callable[[str], str], cut: set[str]) -> None:
        self._check_model, self._made_id, self._cut = check_model, made_id, cut
        self._stored: dict[str, Document] = {}
        self._inputs: dict[str, list[Document]] = {}
        self._histories: dict[str, list[Document]] = {}

    def answer(self, request: Request, path: str) -> Answer:
        """Return what is answered below `/v1/responses`."""
        name, _, what = path.strip("/").partition("/")
        if request.method == "POST" and not name:
            return self._create(decoded(request.body))
        if name == "input_tokens" and request.method == "POST":
            heard = self._hear(decoded(request.body))[0]
            return Answer(encoded({"object": "response.input_tokens", "input_tokens": heard.tokens}))
        if name not in self._stored:
            raise refused(f"Response with id '{name}' not found.", status=404)
        if what == "input_items":
            rows = self._inputs[name][::-1]
            first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
            page = {"object": "list", "data": rows, "first_id": first, "last_id": last, "has_more": False}
            return Answer(encoded(page))
        if what == "cancel" and request.method == "POST":
            return self._cancel(name)
        if request.method == "DELETE":
            del self._stored[name]
            return Answer(encoded({"id": name, "object": "response", "deleted": True}))
        return Answer(encoded(self._stored[name]))

    def _cancel(self, name: str) -> Answer:
        response = self._stored[name]
        if not response["background"]:
            raise refused("Cannot cancel a synchronous response.")
        if response["status"] == "in_progress":
            self._stored[name] = response = {**response, "status": "cancelled"}
        return Answer(encoded(response))

    def _create(self, document: Document) -> Answer:
        self._check_model(document.get("model"))
        only_known(document, FIELDS)
        _check(document)
        heard, history, items = self._hear(document)
        if heard.text == "overloaded":
            raise refused("The server is overloaded.", status=503)
        output = self._output(document, heard)
        response = self._response(document, heard, output)
        if document.get("store") is not False:
            self._stored[response["id"]] = response
            self._inputs[response["id"]] = items
            self._histories[response["id"]] = [*history, *output]
        if document.get("background") and "slowly" in heard.text:
            self._stored[response["id"]] = response = {**response, "status": "in_progress", "output": []}
        if not document.get("stream"):
            return Answer(encoded(response))
        numbers = count()
        events = [
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), encoded({**event, "sequence_number": next(numbers)}))
            for event in _events(response, heard)
        ]
        return streamed(events, heard)

    # ------------------------------------------------------------ reading

    def _hear(self, document: Document) -> tuple[Heard, list[Document], list[Document]]:
        """Return what was heard, the whole conversation, and the items of this request."""
        history: list[Document] = []
        if (previous := document.get("previous_response_id")) is not None:
            if previous not in self._stored:
                message = f"Previous response with id '{previous}' not found."
                raise refused(message, "previous_response_id", "previous_response_not_found")
            history = list(self._histories[previous])
        given = document.get("input")
        listed = [{"role": "user", "content": given}] if isinstance(given, str) else given
        if not isinstance(listed, list) or not listed:
            raise refused("Missing required parameter: 'input'.", "input")
        listed = [self._known(item["id"]) if item.get("type") == "item_reference" else item for item in listed]
        items = [{"type": "message", **item, "id": item.get("id") or self._made_id("msg_")} for item in listed]
        heard = Heard()
        if document.get("instructions"):
            heard.system.append(document["instructions"])
        self._hear_items([*history, *items], heard)
        return heard, [*history, *items], items

    def _hear_items(self, items: list[Document], heard: Heard) -> None:
        waiting: list[str] = []
        for number, item in enumerate(items):
            where = f"input[{number}]"
            if item["type"] == "message":
                if waiting:
                    raise refused(f"No tool output found for function call {waiting[0]}.", "input")
                _hear_message(item, where, heard)
            elif item["type"] == "function_call":
                waiting.append(item["call_id"])
            elif item["type"] == "function_call_output":
                if item["call_id"] not in waiting:
                    message = f"No tool call found for function call output with call_id {item['call_id']}."
                    raise refused(message, "input")
                waiting.remove(item["call_id"])
                heard.results.append(_text(item["output"], where)[0])
            elif item["type"] == "reasoning":
                self._check_reasoning(item, where)
            else:
                raise refused(f"Invalid value: '{item['type']}'.", f"{where}.type", "invalid_value")
        if waiting:
            raise refused(f"No tool output found for function call {waiting[0]}.", "input")

    def _check_reasoning(self, item: Document, where: str) -> None:
        sealed = item.get("encrypted_content")
        text = "".join(part["text"] for part in item.get("summary") or ())
        if sealed is not None:
            if sealed != _sealed(text):
                raise refused("The encrypted content could not be verified.", where, "invalid_encrypted_content")
            return
        self._known(item["id"])

    def _known(self, name: str) -> Document:
        """Return the item of that id from any conversation that is kept."""
        for items in self._histories.values():
            for item in items:
                if item.get("id") == name:
                    return item
        raise refused(f"Item with id '{name}' not found.", "input", status=404)

    # ------------------------------------------------------------ writing

    def _output(self, document: Document, heard: Heard) -> list[Document]:
        output: list[Document] = []
        reasoning = document.get("reasoning") or {}
        if reasoning.get("effort") not in (None, "none", "minimal") or reasoning.get("summary"):
            text = f"I consider: {heard.subject}"
            summary = [{"type": "summary_text", "text": text}]
            item: Document = {"id": self._made_id("rs_"), "type": "reasoning", "summary": summary}
            if "reasoning.encrypted_content" in (document.get("include") or ()):
                item["encrypted_content"] = _sealed(text)
            output.append(item)
        tools = [Tool(t["name"], t.get("parameters")) for t in document.get("tools") or ()]
        calls = chosen(heard, tools, _choice(document), parallel=document.get("parallel_tool_calls") is not False)
        for name, given in calls:
            call = {"id": self._made_id("fc_"), "type": "function_call", "status": "completed", "name": name}
            output.append({**call, "call_id": self._made_id("call_"), "arguments": encoded(given).decode()})
        if not calls:
            form = (document.get("text") or {}).get("format") or {}
            part = {"type": "output_text", "text": answer_text(form, heard, self._cut)}
            content = [{**part, "annotations": [], "logprobs": []}]
            message = {"id": self._made_id("msg_"), "type": "message", "status": "completed", "role": "assistant"}
            output.append({**message, "content": content})
        return output

    def _response(self, document: Document, heard: Heard, output: list[Document]) -> Document:
        reasoned = 11 if output[0]["type"] == "reasoning" else 0
        spoken = len(encoded(output).split()) + reasoned
        return {
            "id": self._made_id("resp_"),
            "object": "response",
            "created_at": CREATED,
            "completed_at": CREATED + 1,
            "status": "completed",
            "background": bool(document.get("background")),
            "error": None,
            "incomplete_details": None,
            "instructions": document.get("instructions"),
            "max_output_tokens": document.get("max_output_tokens"),
            "model": document["model"],
            "output": output,
            "parallel_tool_calls": document.get("parallel_tool_calls") is not False,
            "previous_response_id": document.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None, **(document.get("reasoning") or {})},
            "store": document.get("store") is not False,
            "temperature": document.get("temperature", 1.0),
            "text": document.get("text") or {"format": {"type": "text"}},
            "tool_choice": document.get("tool_choice") or "auto",
            "tools": [{"description": None, "strict": False, **tool} for tool in document.get("tools") or ()],
            "top_p": document.get("top_p", 1.0),
            "truncation": document.get("truncation") or "disabled",
            "usage": {
                "input_tokens": heard.tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": spoken,
                "output_tokens_details": {"reasoning_tokens": reasoned},
                "total_tokens": heard.tokens + spoken,
            },
            "metadata": document.get("metadata") or {},
            **({"user": document["user"]} if document.get("user") else {}),
        }


def _check(document: Document) -> None:
    for number, tool in enumerate(document.get("tools") or ()):
        if tool.get("type") != "function":
            raise refused(f"Invalid value: '{tool.get('type')}'.", f"tools[{number}].type", "invalid_value")
        check_function(tool, f"tools[{number}]")
    form = (document.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        check_schema(form, "text.format")
    if document.get("stream_options") is not None and not document.get("stream"):
        raise refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if document.get("background") and document.get("store") is False:
        raise refused("Background mode requires store to be true.", "background")


def _hear_message(item: Document, where: str, heard: Heard) -> None:
    text, images, files = _text(item.get("content"), where)
    if item.get("role") == "user":
        heard.user(text, images, files)
    elif item.get("role") == "assistant":
        heard.previous = text
    elif item.get("role") in {"system", "developer"}:
        heard.system.append(text)
    else:
        raise refused(f"Invalid value: '{item.get('role')}'.", f"{where}.role", "invalid_value")


def _text(content: object, where: str) -> tuple[str, int, int]:
    """Return text, images and files of an item's content."""
    if isinstance(content, str):
        return content, 0, 0
    if not isinstance(content, list) or not content:
        raise refused(f"Invalid type for '{where}.content'.", f"{where}.content")
    texts, images, files = [], 0, 0
    for part in content:
        kind = part.get("type")
        if kind in _TEXT_PARTS:
            texts.append(part["refusal" if kind == "refusal" else "text"])
        elif kind == "input_image":
            check_url(part["image_url"], where)
            images += 1
        elif kind == "input_file":
            files += 1
        else:
            raise refused(f"Invalid value: '{kind}'.", f"{where}.content", "invalid_value")
    return " ".join(texts), images, files


def _choice(document: Document) -> str:
    choice = document.get("tool_choice") or "auto"
    return choice if isinstance(choice, str) else ":" + choice["name"]


def _sealed(text: str) -> str:
    return base64.b64encode(hashlib.sha256(b"sealed" + text.encode()).digest()).decode()


# ---------------------------------------------------------------- events


def _events(response: Document, heard: Heard) -> Iterator[Document]:
    started = {**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    writers: dict[str, Callable[[Document, Document, Heard], Iterator[Document]]] = {
        "message": _message_events,
        "function_call": _call_events,
        "reasoning": _reasoning_events,
    }
    for index, item in enumerate(response["output"]):
        place = {"item_id": item["id"], "output_index": index}
        opened: dict[str, Any] = {**item, "status": "in_progress"}
        opened |= {name: empty for name, empty in (("content", []), ("arguments", ""), ("summary", [])) if name in item}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        yield from writers[item["type"]](item, place, heard)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": response}


def _message_events(item: Document, place: Document, heard: Heard) -> Iterator[Document]:
    part = item["content"][0]
    place = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in heard.pieces(part["text"]):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _call_events(item: Document, place: Document, _: Heard) -> Iterator[Document]:
    for piece in re.findall(r"(?s).{1,5}", item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    yield {
        "type": "response.function_call_arguments.done",
        **place,
        "name": item["name"],
        "arguments": item["arguments"],
    }


def _reasoning_events(item: Document, place: Document, _: Heard) -> Iterator[Document]:
    part = item["summary"][0]
    place = {**place, "summary_index": 0}
    yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
    for piece in re.findall(r"(?s).{1,7}", part["text"]):
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": part}
