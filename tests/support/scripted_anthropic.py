"""A provider in Anthropic's shape: strict about what it takes, and answering from what it heard.

It keeps to the Messages API as the client's types have it (anthropic 2.11).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

from tests.support.scripted_api import (
    Answer,
    Document,
    Heard,
    RefusedError,
    Request,
    ScriptedApi,
    Tool,
    chosen,
    decoded,
    encoded,
    filled,
    words,
)

FIELDS: Final = words(
    "max_tokens messages model cache_control container diagnostics inference_geo metadata output_config service_tier"
    " speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p user_profile_id"
)
COUNT_FIELDS: Final = words("messages model cache_control output_config system thinking tool_choice tools")
BLOCK_FIELDS: Final = {
    "text": words("type text cache_control citations"),
    "image": words("type source cache_control"),
    "document": words("type source cache_control citations context title"),
    "tool_use": words("type id name input cache_control caller"),
    "tool_result": words("type tool_use_id content is_error cache_control"),
    "thinking": words("type thinking signature"),
    "redacted_thinking": words("type data"),
}
TOOL_FIELDS: Final = words(
    "name description input_schema type cache_control strict allowed_callers defer_loading eager_input_streaming"
    " input_examples"
)
BLOCKS_OF: Final = {
    "user": words("text image document tool_result"),
    "assistant": words("text tool_use thinking redacted_thinking"),
    "system": words("text"),
}
_LIMITS: Final = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2030-01-01T00:00:00Z",
    "anthropic-ratelimit-tokens-limit": "40000",
    "anthropic-ratelimit-tokens-remaining": "39000",
    "anthropic-ratelimit-tokens-reset": "2030-01-01T00:00:00Z",
}
_REQUEST_ID: Final = "req_scripted"


def refused(message: str, kind: str = "invalid_request_error", status: int = 400) -> RefusedError:
    """Return an error in Anthropic's shape, to be raised."""
    document = {"type": "error", "error": {"type": kind, "message": message}, "request_id": _REQUEST_ID}
    return RefusedError(status, document, {"request-id": _REQUEST_ID})


class ScriptedAnthropic(ScriptedApi):
    """Anthropic in miniature.

    Args:
        key: the one it takes, in `x-api-key`.
        models: the names it knows.
        bearer: take the key as a bearer token too, as the client sends it (anthropic 2.11).
    """

    def __init__(self, key: str, models: tuple[str, ...], *, bearer: bool = False) -> None:
        super().__init__()
        self._bearer = bearer
        self._key, self._models = key, models
        self._count = 0
        self._cached: set[bytes] = set()

    @property
    def url(self) -> str:
        """The base URL for a settings file or a client: without `/v1`."""
        return self.origin

    def answer(self, request: Request) -> Answer:
        given = request.headers.get("x-api-key")
        if given is None and self._bearer:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self._key:
            raise refused("invalid x-api-key", "authentication_error", 401)
        if "anthropic-version" not in request.headers:
            raise refused("anthropic-version: header is required")
        document = decoded(request.body)
        if request.method == "POST" and request.path == "/v1/messages":
            return self._create(document)
        if request.method == "POST" and request.path == "/v1/messages/count_tokens":
            self._check_model(document)
            _only_known(document, COUNT_FIELDS, "")
            return Answer(encoded({"input_tokens": _hear(document).tokens}), headers={"request-id": _REQUEST_ID})
        if request.method == "GET" and request.path.startswith("/v1/models"):
            return self._list_models(request.path.removeprefix("/v1/models").lstrip("/"))
        raise refused("Not Found", "not_found_error", 404)

    def broken(self, problem: Exception) -> Document:
        return refused(repr(problem), "api_error", 500).document

    def _check_model(self, document: Document) -> None:
        if not isinstance(document.get("model"), str):
            raise refused("model: Field required")
        if document["model"] not in self._models:
            raise refused(f"model: {document['model']}", "not_found_error", 404)

    def _made_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count:024d}"

    def _list_models(self, name: str) -> Answer:
        rows = [
            {
                "type": "model",
                "id": one,
                "display_name": one.title(),
                "created_at": "2026-01-01T00:00:00Z",
                "lifecycle": "active",
            }
            for one in self._models
        ]
        if not name:
            page = {"data": rows, "has_more": False, "first_id": self._models[0], "last_id": self._models[-1]}
            return Answer(encoded(page))
        self._check_model({"model": name})
        return Answer(encoded(rows[self._models.index(name)]))

    def _create(self, document: Document) -> Answer:
        self._check_model(document)
        _only_known(document, FIELDS, "")
        _check(document)
        heard = _hear(document)
        if heard.text == "overloaded":
            raise refused("Overloaded", "overloaded_error", 529)
        content = self._content(document, heard)
        message: Document = {
            "id": self._made_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": document["model"],
            "content": content,
            "stop_reason": "tool_use" if content[-1]["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": self._usage(document, heard, content),
        }
        headers = {"request-id": _REQUEST_ID, **_LIMITS}
        if not document.get("stream"):
            return Answer(encoded(message), headers=headers)
        events = [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), encoded(e)) for e in _events(message, heard)]
        return Answer(events=events, pause_s=heard.pause_s, marker=heard.marker, headers=headers)

    def _content(self, document: Document, heard: Heard) -> list[Document]:
        content: list[Document] = []
        if _thinks(document):
            thinking = f"I consider: {heard.subject}"
            content.append({"type": "thinking", "thinking": thinking, "signature": signed(thinking)})
        tools = [Tool(tool["name"], tool["input_schema"]) for tool in document.get("tools") or ()]
        choice = document.get("tool_choice") or {"type": "auto"}
        names = {"any": "required", "tool": f":{choice.get('name')}"}
        parallel = not choice.get("disable_parallel_tool_use")
        calls = chosen(heard, tools, names.get(choice["type"], choice["type"]), parallel=parallel)
        content += [
            {"type": "tool_use", "id": self._made_id("toolu_"), "name": name, "input": given} for name, given in calls
        ]
        if not calls:
            form = (document.get("output_config") or {}).get("format")
            text = heard.answer(self.cut)
            if form:
                text = encoded(filled(form["schema"], heard.subject)).decode()
            elif "json object" in " ".join(heard.system).lower():
                text = encoded({"heard": heard.text}).decode()
            content.append({"type": "text", "text": text, "citations": None})
        return content

    def _usage(self, document: Document, heard: Heard, content: list[Document]) -> Document:
        """Count words as tokens; what stands before a cache mark is written once and read from then on."""
        marked = encoded([document.get("system"), document.get("tools"), document.get("messages")])
        written = read = 0
        if b'"cache_control"' in marked:
            prefix = marked[: marked.rindex(b'"cache_control"')]
            written, read = (0, heard.tokens) if prefix in self._cached else (heard.tokens, 0)
            self._cached.add(prefix)
        thought = 11 if content[0]["type"] == "thinking" else 0
        return {
            "input_tokens": heard.tokens - written - read + 1,
            "output_tokens": len(encoded(content).split()) + thought,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens_details": {"thinking_tokens": thought},
            "service_tier": "standard",
        }


def signed(thinking: str) -> str:
    """Return the signature of a thought; the provider takes no other."""
    return base64.b64encode(hashlib.sha256(b"signed" + thinking.encode()).digest()).decode()


# ---------------------------------------------------------------- checks


def _only_known(document: Document, known: frozenset[str], where: str) -> None:
    for name in document:
        if name not in known:
            raise refused(f"{where}{name}: Extra inputs are not permitted")


def _check(document: Document) -> None:
    most = document.get("max_tokens")
    if not isinstance(most, int) or most < 1:
        raise refused("max_tokens: Field required")
    if document.get("temperature") is not None and not 0 <= document["temperature"] <= 1:
        raise refused("temperature: range: 0..1")
    if any(not sequence.strip() for sequence in document.get("stop_sequences") or ()):
        raise refused("stop_sequences: each stop sequence must contain non-whitespace")
    _check_tools(document)
    _check_thinking(document.get("thinking") or {}, document)
    if form := (document.get("output_config") or {}).get("format"):
        _only_known(form, words("type schema"), "output_config.format.")
        _check_closed(form["schema"])


def _check_tools(document: Document) -> None:
    tools = document.get("tools") or []
    for number, tool in enumerate(tools):
        _only_known(tool, TOOL_FIELDS, f"tools.{number}.custom.")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", str(tool.get("name"))):
            raise refused(f"tools.{number}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if (tool.get("input_schema") or {}).get("type") != "object":
            raise refused(f"tools.{number}.custom.input_schema.type: Field required")
    choice = document.get("tool_choice") or {}
    if choice and choice.get("type") not in {"auto", "any", "tool", "none"}:
        raise refused("tool_choice: Input tag is none of the expected ones")
    if choice.get("type") == "none" and "disable_parallel_tool_use" in choice:
        raise refused("tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted")
    if choice and not tools:
        raise refused("tool_choice may only be specified while providing tools")


def _check_thinking(thinking: Document, document: Document) -> None:
    kind = thinking.get("type")
    if kind == "enabled" and not 1024 <= thinking.get("budget_tokens", 0) < document["max_tokens"]:
        raise refused("`max_tokens` must be greater than `thinking.budget_tokens`, which must be at least 1024")
    if kind not in {"enabled", "adaptive"}:
        return
    if document.get("temperature") not in (None, 1):
        raise refused("`temperature` may only be set to 1 when thinking is enabled.")
    if (document.get("tool_choice") or {}).get("type") in {"any", "tool"}:
        raise refused("Thinking may not be enabled when tool_choice forces tool use.")


def _check_closed(schema: Any) -> None:
    if isinstance(schema, list):
        for one in schema:
            _check_closed(one)
    elif isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            message = "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly false"
            raise refused(message)
        for name, one in schema.items():
            if name not in {"enum", "const", "default"}:
                _check_closed(one)


def _thinks(document: Document) -> bool:
    kind = (document.get("thinking") or {}).get("type")
    return kind in {"enabled", "adaptive"} or (
        kind is None and bool((document.get("output_config") or {}).get("effort"))
    )


# ---------------------------------------------------------------- reading


def _hear(document: Document) -> Heard:
    heard = Heard()
    system = document.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        heard.system.append(_checked(block, "system", "system")["text"])
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refused("messages: at least one message is required")
    if messages[0].get("role") != "user":
        raise refused('messages: first message must use the "user" role')
    waiting: list[str] = []
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        _only_known(message, words("role content"), f"{where}.")
        if message.get("role") not in BLOCKS_OF:
            raise refused(f"{where}.role: Input should be 'user', 'assistant' or 'system'")
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(blocks, list) or not blocks:
            raise refused(f"{where}: all messages must have non-empty content except for the optional final assistant")
        blocks = [_checked(block, message["role"], f"{where}.content.{n}") for n, block in enumerate(blocks)]
        waiting = _hear_message(message["role"], blocks, waiting, heard, where)
    if waiting:
        raise refused(f"`tool_use` ids were found without `tool_result` blocks immediately after: {waiting}")
    _check_last_thought(document)
    return heard


def _checked(block: Document, role: str, where: str) -> Document:
    kind = str(block.get("type"))
    if kind not in BLOCKS_OF[role]:
        raise refused(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    _only_known(block, BLOCK_FIELDS[kind], f"{where}.{kind}.")
    if kind == "text" and not block["text"].strip():
        raise refused(f"{where}: text content blocks must contain non-whitespace text")
    if kind == "thinking" and block.get("signature") != signed(block.get("thinking", "")):
        raise refused(f"{where}: Invalid `signature` in `thinking` block")
    if kind in {"image", "document"}:
        _check_source(block.get("source") or {}, where)
    return block


def _check_source(source: Document, where: str) -> None:
    known = {"base64": words("type media_type data"), "url": words("type url"), "text": words("type media_type data")}
    kind = str(source.get("type"))
    if kind not in known or set(source) != known[kind]:
        raise refused(f"{where}.source: Input does not match any of the expected sources")
    try:
        base64.b64decode(source["data"] if kind == "base64" else "", validate=True)
    except ValueError:
        raise refused(f"{where}.source.base64.data: invalid base64") from None


def _hear_message(role: str, blocks: list[Document], waiting: list[str], heard: Heard, where: str) -> list[str]:
    """Take in one message; return the ids of the calls that wait for results after it."""
    text = " ".join(block["text"] for block in blocks if block["type"] == "text")
    given = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    if set(waiting) - set(given):
        raise refused(f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: {waiting}")
    if set(given) - set(waiting):
        raise refused(f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {given}")
    if given and any(block["type"] == "tool_result" for block in blocks[len(given) :]):
        raise refused(f"{where}: `tool_result` blocks must come first in the content")
    if role == "system":
        heard.system.append(text)
    elif role == "assistant":
        heard.previous = text or heard.previous
        return [block["id"] for block in blocks if block["type"] == "tool_use"]
    else:
        images, files = (sum(block["type"] == kind for block in blocks) for kind in ("image", "document"))
        heard.results += [_result_text(block) for block in blocks if block["type"] == "tool_result"]
        heard.user(text, images, files)
    return []


def _result_text(block: Document) -> str:
    content = block.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


def _check_last_thought(document: Document) -> None:
    """Refuse a tool's results whose call lacks the thought before it, while thinking is on."""
    messages = document["messages"]
    if (document.get("thinking") or {}).get("type") != "enabled" or len(messages) < 2:
        return
    call, results = messages[-2], messages[-1]
    answers = isinstance(results["content"], list) and results["content"][0]["type"] == "tool_result"
    if answers and call["content"][0]["type"] not in {"thinking", "redacted_thinking"}:
        raise refused("Expected `thinking` or `redacted_thinking`, but found `tool_use`, as thinking is enabled")


# ---------------------------------------------------------------- events


def _events(message: Document, heard: Heard) -> Iterator[Document]:
    usage = {**message["usage"], "output_tokens": 1}
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": usage}}
    yield {"type": "ping"}
    empty: dict[str, Document] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    for index, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty[block["type"]]}}
        for delta in _deltas(block, heard):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ends = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ends, "usage": {"output_tokens": message["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


def _deltas(block: Document, heard: Heard) -> Iterator[Document]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in heard.pieces(block["text"]))
    elif block["type"] == "thinking":
        for piece in re.findall(r"(?s).{1,7}", block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in re.findall(r"(?s).{1,5}", encoded(block["input"]).decode()):
            yield {"type": "input_json_delta", "partial_json": piece}
