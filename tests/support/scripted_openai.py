"""A provider in OpenAI's shape: strict about what it takes, and answering from what it heard.

It keeps to the published API description (openai-openapi f85dbe2) and to the clients' own types (openai 3.52).
"""

from __future__ import annotations

import base64
import email
import email.policy
import re
import struct
from collections.abc import Callable
from dataclasses import replace
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
    words,
)
from tests.support.scripted_responses import Responses

CREATED: Final = 1_700_000_000

CHAT_FIELDS: Final = words(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens"
    " max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key"
    " prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier"
    " stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity"
    " web_search_options"
)
MESSAGE_FIELDS: Final = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "audio", "tool_calls", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
}
COMPLETION_FIELDS: Final = words(
    "model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed stop stream"
    " stream_options suffix temperature top_p user"
)
EMBEDDING_FIELDS: Final = words("input model dimensions encoding_format user")


class ScriptedOpenAI(ScriptedApi):
    """OpenAI in miniature.

    Args:
        key: the one it takes.
        models: the names it knows.
        chat_only: serve chat and models alone, as many servers do. Its model thinks when it is asked to, in the
            words or by `reasoning_effort`, and says what in `reasoning_content`.
    """

    def __init__(self, key: str, models: tuple[str, ...], *, chat_only: bool = False) -> None:
        super().__init__()
        self._key, self._models, self._chat_only = key, models, chat_only
        self._count = 0
        self._files: dict[str, tuple[str, bytes]] = {}
        self._responses = Responses(self._check_model, self._made_id, self.cut)

    @property
    def url(self) -> str:
        return self.origin + "/v1"

    def answer(self, request: Request) -> Answer:
        path = request.path.removeprefix("/v1")
        if not request.path.startswith("/v1/"):
            raise RefusedError(404, {"detail": "Not Found"})
        if self._chat_only and path != "/chat/completions" and not path.startswith("/models"):
            raise RefusedError(404, {"detail": "Not Found"})
        if request.headers.get("authorization") != f"Bearer {self._key}":
            raise refused("Incorrect API key provided.", code="invalid_api_key", status=401)
        return replace(self._route(request, path), headers={"x-request-id": self._made_id("req_")})

    def _route(self, request: Request, path: str) -> Answer:
        posts: dict[str, Callable[[Document], Answer]] = {
            "/chat/completions": self._chat,
            "/completions": self._completion,
            "/embeddings": self._embeddings,
        }
        if request.method == "POST" and path in posts:
            return posts[path](self._document(request))
        if path.startswith("/responses"):
            return self._responses.answer(request, path.removeprefix("/responses"))
        if path.startswith("/models") and request.method == "GET":
            return self._list_models(path.removeprefix("/models").lstrip("/"))
        if path.startswith("/files"):
            return self._file(request, path.removeprefix("/files").lstrip("/"))
        raise refused(f"Invalid URL ({request.method} {request.path})", status=404)

    def _document(self, request: Request) -> Document:
        document = decoded(request.body)
        self._check_model(document.get("model"))
        return document

    def _check_model(self, name: object) -> None:
        """Refuse a model that is not there."""
        if not isinstance(name, str):
            raise refused("you must provide a model parameter", "model")
        if name not in self._models:
            message = f"The model `{name}` does not exist or you do not have access to it."
            raise refused(message, "model", "model_not_found", 404)

    def _made_id(self, prefix: str) -> str:
        """Return the next id."""
        self._count += 1
        return f"{prefix}{self._count:024x}"

    # ------------------------------------------------------------ chat

    def _chat(self, document: Document) -> Answer:
        only_known(document, CHAT_FIELDS)
        check_chat(document)
        heard = hear_chat(document, reasoning_comes_back=self._chat_only)
        if heard.text == "overloaded":
            raise refused("The server is overloaded.", status=503)
        message, usage = self._message(document, heard)
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        shared = {"id": self._made_id("chatcmpl-"), "created": CREATED, "model": document["model"]}
        if document.get("stream"):
            options = document.get("stream_options") or {}
            events = chat_events(shared, message, finish, heard)
            if options.get("include_usage"):
                events.append({**shared, "object": "chat.completion.chunk", "choices": [], "usage": usage})
            return streamed([b"data: %b\n\n" % encoded(e) for e in events] + [b"data: [DONE]\n\n"], heard)
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return Answer(encoded({**shared, "object": "chat.completion", "choices": [choice], "usage": usage}))

    def _message(self, document: Document, heard: Heard) -> tuple[Document, Document]:
        tools = [Tool(t["function"]["name"], t["function"].get("parameters")) for t in document.get("tools") or ()]
        parallel = document.get("parallel_tool_calls") is not False
        calls = chosen(heard, tools, _choice(document), parallel=parallel)
        text = None if calls else answer_text(document.get("response_format") or {}, heard, self.cut)
        message: Document = {"role": "assistant", "content": text, "refusal": None}
        if calls:
            message["tool_calls"] = [
                {
                    "id": self._made_id("call_"),
                    "type": "function",
                    "function": {"name": name, "arguments": encoded(given).decode()},
                }
                for name, given in calls
            ]
        thinks = document.get("reasoning_effort") not in (None, "none", "minimal")
        if self._chat_only and (thinks or heard.text.startswith("Think")):
            message["reasoning_content"] = f"I consider: {heard.subject}"
        return message, chat_usage(heard, text or "", 11 if thinks else 0)

    # ------------------------------------------------------------ the smaller routes

    def _completion(self, document: Document) -> Answer:
        only_known(document, COMPLETION_FIELDS)
        prompt = document.get("prompt")
        heard = Heard()
        heard.user(prompt if isinstance(prompt, str) else encoded(prompt).decode())
        usage = chat_usage(heard, heard.answer(self.cut), 0)
        shared = {"id": self._made_id("cmpl-"), "object": "text_completion", "created": CREATED}
        shared["model"] = document["model"]

        def choice(text: str, finish: str | None) -> Document:
            return {**shared, "choices": [{"index": 0, "text": text, "finish_reason": finish, "logprobs": None}]}

        if not document.get("stream"):
            return Answer(encoded({**choice(heard.answer(self.cut), "stop"), "usage": usage}))
        events = [choice(piece, None) for piece in heard.pieces(heard.answer(self.cut))] + [choice("", "stop")]
        if (document.get("stream_options") or {}).get("include_usage"):
            events.append({**shared, "choices": [], "usage": usage})
        return streamed([b"data: %b\n\n" % encoded(e) for e in events] + [b"data: [DONE]\n\n"], heard)

    def _embeddings(self, document: Document) -> Answer:
        only_known(document, EMBEDDING_FIELDS)
        given = document.get("input")
        if not given or not isinstance(given, str | list):
            raise refused("'input' is not of the right kind", "input")
        inputs: list[Any] = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        size = document.get("dimensions") or 8
        encoding = document.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise refused("'encoding_format' must be float or base64", "encoding_format")
        rows = [
            {"object": "embedding", "index": n, "embedding": vector(one, size, encoding)}
            for n, one in enumerate(inputs)
        ]
        tokens = sum(len(one.split()) if isinstance(one, str) else len(one) for one in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return Answer(encoded({"object": "list", "data": rows, "model": document["model"], "usage": usage}))

    def _list_models(self, name: str) -> Answer:
        rows = [{"id": one, "object": "model", "created": CREATED, "owned_by": "scripted"} for one in self._models]
        if not name:
            return Answer(encoded({"object": "list", "data": rows}))
        self._check_model(name)
        return Answer(encoded(rows[self._models.index(name)]))

    def _file(self, request: Request, rest: str) -> Answer:
        if request.method == "POST" and not rest:
            return self._upload(request)
        name, _, what = rest.partition("/")
        if name not in self._files:
            raise refused(f"No such File object: {name}", "id", status=404)
        if request.method == "DELETE":
            del self._files[name]
            return Answer(encoded({"id": name, "object": "file", "deleted": True}))
        if what == "content":
            return Answer(self._files[name][1], kind="application/octet-stream")
        return Answer(encoded(self._described(name)))

    def _upload(self, request: Request) -> Answer:
        head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in form.iter_parts()}
        if not {"file", "purpose"} <= parts.keys():
            raise refused("'file' and 'purpose' are required", "file")
        name = self._made_id("file-")
        content = parts["file"].get_payload(decode=True)
        self._files[name] = (parts["file"].get_filename() or "upload", content if isinstance(content, bytes) else b"")
        return Answer(encoded(self._described(name)))

    def _described(self, name: str) -> Document:
        filename, content = self._files[name]
        about = {"id": name, "object": "file", "bytes": len(content), "created_at": CREATED, "filename": filename}
        return {**about, "purpose": "user_data", "status": "processed"}


# ---------------------------------------------------------------- reading a chat


def check_chat(document: Document) -> None:
    """Refuse combinations of fields that the API refuses."""
    if "max_tokens" in document and "max_completion_tokens" in document:
        raise refused("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    if document.get("stream_options") is not None and not document.get("stream"):
        raise refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    tools = document.get("tools")
    if tools is not None and not tools:
        raise refused("Invalid 'tools': empty array.", "tools", "empty_array")
    if not tools and any(document.get(name) is not None for name in ("parallel_tool_calls", "tool_choice")):
        raise refused("'tool_choice' and 'parallel_tool_calls' are only allowed when 'tools' are specified.")
    for number, tool in enumerate(tools or ()):
        check_function(tool.get("function") or {}, f"tools[{number}].function")
    form = document.get("response_format") or {}
    if form.get("type") == "json_schema":
        check_schema(form.get("json_schema") or {}, "response_format.json_schema")
    if form.get("type") == "json_object" and b"json" not in encoded(document["messages"]).lower():
        raise refused("'messages' must contain the word 'json' in some form.", "messages")


def hear_chat(document: Document, *, reasoning_comes_back: bool) -> Heard:
    """Read the messages.

    Args:
        reasoning_comes_back: whether an assistant message may carry `reasoning_content`.
    """
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refused("Missing required parameter: 'messages'.", "messages")
    heard = Heard()
    waiting: list[str] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        role = _checked_role(message, where, reasoning_comes_back=reasoning_comes_back)
        if role != "tool" and waiting:
            raise refused(f"An assistant message with 'tool_calls' lacks a tool message for {waiting}.", "messages")
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                raise refused("messages with role 'tool' must be a response to a preceding 'tool_calls'.", where)
            waiting.remove(message["tool_call_id"])
            heard.results.append(_text_of(message["content"], where, {"text"})[0])
        elif role == "user":
            heard.user(*_text_of(message.get("content"), where, {"text", "image_url", "input_audio", "file"}))
        elif role == "assistant":
            waiting = _hear_assistant(message, where, heard)
        else:
            heard.system.append(_text_of(message.get("content"), where, {"text"})[0])
    if waiting:
        raise refused(f"An assistant message with 'tool_calls' lacks a tool message for {waiting}.", "messages")
    return heard


def _hear_assistant(message: Document, where: str, heard: Heard) -> list[str]:
    """Return the ids of the calls that wait for results."""
    waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if message.get("content") is not None:
        heard.previous = _text_of(message["content"], where, {"text", "refusal"})[0] or heard.previous
    elif not waiting and message.get("refusal") is None:
        raise refused(f"Invalid value for 'content' of {where}: expected a string, got null.", where)
    return waiting


def _checked_role(message: Document, where: str, *, reasoning_comes_back: bool) -> str:
    role = message.get("role")
    if role not in MESSAGE_FIELDS:
        raise refused(f"Invalid value: '{role}'.", f"{where}.role")
    known = MESSAGE_FIELDS[role] | ({"reasoning_content"} if reasoning_comes_back and role == "assistant" else set())
    for name in message:
        if name not in known:
            raise refused(f"Unknown parameter: '{where}.{name}'.", f"{where}.{name}", "unknown_parameter")
    return str(role)


def _text_of(content: object, where: str, allowed: set[str]) -> tuple[str, int, int]:
    """Return text, images and files of a message's content."""
    if isinstance(content, str):
        return content, 0, 0
    if not isinstance(content, list) or not content:
        raise refused(f"Invalid type for '{where}.content'.", f"{where}.content")
    texts, images, files = [], 0, 0
    for part in content:
        kind = part.get("type")
        if kind not in allowed:
            raise refused(f"Invalid content type '{kind}'.", f"{where}.content")
        if kind in {"text", "refusal"}:
            texts.append(part[kind])
        elif kind == "image_url":
            check_url(part["image_url"]["url"], where)
            images += 1
        else:
            check_url((part.get("file") or {}).get("file_data") or "data:a/b;base64,aa==", where)
            files += 1
    return " ".join(texts), images, files


def _choice(document: Document) -> str:
    choice = document.get("tool_choice") or "auto"
    return choice if isinstance(choice, str) else ":" + choice["function"]["name"]


# ---------------------------------------------------------------- writing answers


def chat_usage(heard: Heard, text: str, reasoning: int) -> Document:
    """Count words as tokens."""
    prompt, completion = heard.tokens, len(text.split()) + reasoning + 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }


def chat_events(shared: Document, message: Document, finish: str, heard: Heard) -> list[Document]:
    """Return the chunks of a streamed message, the deltas of several tool calls one after the other."""
    deltas: list[Document] = [{"role": "assistant", "content": None if message["content"] is None else ""}]
    deltas += [{"reasoning_content": piece} for piece in re.findall(r".{1,7}", message.get("reasoning_content") or "")]
    deltas += [{"content": piece} for piece in heard.pieces(message["content"] or "") if message["content"] is not None]
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]})
        for piece in re.findall(r"(?s).{1,5}", call["function"]["arguments"]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    ends: list[str | None] = [None] * len(deltas)
    return [
        {
            **shared,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": end, "logprobs": None}],
        }
        for delta, end in zip([*deltas, {}], [*ends, finish], strict=True)
    ]


def vector(given: object, size: int, encoding: str) -> list[float] | str:
    """Return an embedding that depends on nothing but its input, as numbers or as base64 of little-endian float32."""
    seed = sum(encoded(given))
    numbers = [((seed * (n + 3)) % 97) / 97 for n in range(size)]
    return numbers if encoding == "float" else base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()
