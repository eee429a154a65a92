"""Answer a chat request without a model: repeat the user's words, call tools they name, fill in schemas."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

from gateway.upstreams.example_json import NODES, example

MODELS = ("echo-simple", "echo-medium", "echo-complex")
"""The models of the built-in upstream, one a tier."""

_GREETING = (
    "This is Tierway's offline echo: it repeats what you write. For real answers, add a provider under "
    "`upstreams` in a settings file and start with `tierway serve --config FILE`."
)
_MOST_CHOICES = 8
_MOST_TOOLS = 128
"""Tools looked at in one request: the most functions that OpenAI's API reference has allowed."""
_MOST_TOKENS = 32_768
"""Tokens in one choice when the caller sets no limit; longer answers end with `length`, as a model's do."""
_CHARACTERS_A_TOKEN = 4
_TOKENS_A_MESSAGE = 4
_COMPLETION_DETAILS = ("reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens")

_WORD = re.compile(r"\S{1,24}\s{0,24}|\s{1,24}")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_ATTACHMENTS = {"image_url": "image", "input_audio": "audio clip", "file": "file"}


@dataclass(frozen=True, slots=True)
class _Call:
    """One tool call; the pieces together are its arguments (`function`) or its input (`custom`)."""

    seed: str
    kind: str
    name: str
    pieces: tuple[str, ...]

    def id_in(self, choice: int) -> str:
        """Return the id, which differs between choices, turns and calls."""
        digest = hashlib.sha256(f"{choice} {self.seed}".encode()).hexdigest()
        return f"call_{digest[:24]}"

    def payload(self, text: str, **first: str) -> dict[str, Any]:
        """Wrap a part of the arguments or the input the way the kind of tool wants it."""
        return {self.kind: {**first, ("arguments" if self.kind == "function" else "input"): text}}

    def whole(self, choice: int) -> dict[str, Any]:
        """Return the call as it stands in a plain answer."""
        return {"id": self.id_in(choice), "type": self.kind, **self.payload("".join(self.pieces), name=self.name)}

    def deltas(self, choice: int) -> Iterator[dict[str, Any]]:
        """Yield the call the way it is streamed: identity first, then the text alone.

        A custom call goes without its type: the published chunk allows `function` only (openai-openapi issue
        576), and the stream helper of openai-python 3.52 raises AttributeError when it reads `custom` there.
        """
        kind = {"type": self.kind} if self.kind == "function" else {}
        yield {"id": self.id_in(choice), **kind, **self.payload("", name=self.name)}
        yield from map(self.payload, self.pieces)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One answer: tool calls, or else text in word-sized pieces."""

    index: int
    pieces: tuple[str, ...]
    calls: tuple[_Call, ...]
    finish_reason: str

    @property
    def completion_tokens(self) -> int:
        """One a piece, and one for each tool's name."""
        return len(self.pieces) + sum(1 + len(call.pieces) for call in self.calls)


def complete(request: dict[str, Any], model: str, *, answer_id: str, created: int) -> dict[str, Any]:
    """Answer `request` in one piece.

    Args:
        request: The decoded body of a chat request; fields that make no sense are taken as absent.
        model: The model that is said to have answered.
        answer_id: The `id` of the answer.
        created: Unix time in seconds.

    Returns:
        A `chat.completion` object; it fits `max_completion_tokens` (or `max_tokens`) for each choice.
    """
    choices = _choices(request, model)
    return {
        **_envelope("chat.completion", model, answer_id, created),
        "choices": [_rendered(choice, request) for choice in choices],
        "usage": _usage(request, choices),
    }


def stream(request: dict[str, Any], model: str, *, answer_id: str, created: int) -> Iterator[dict[str, Any]]:
    """Answer `request` in `chat.completion.chunk` objects that add up to what `complete` returns.

    Takes the arguments of `complete`. The closing `[DONE]` is the caller's to send.
    """
    choices = _choices(request, model)
    frame = _envelope("chat.completion.chunk", model, answer_id, created)
    wants_usage = _dict(request.get("stream_options")).get("include_usage") is True
    open_usage = {"usage": None} if wants_usage else {}
    for choice in choices:
        for part in _parts(choice, request):
            yield {**frame, "choices": [part], **open_usage}
    if wants_usage:
        yield {**frame, "choices": [], "usage": _usage(request, choices)}


def _envelope(kind: str, model: str, answer_id: str, created: int) -> dict[str, Any]:
    named = {"id": _whole(answer_id), "object": kind, "created": created, "model": _whole(model)}
    return {**named, "system_fingerprint": "fp_echo"}


def _rendered(choice: _Choice, request: dict[str, Any]) -> dict[str, Any]:
    """Return one entry of `choices` in a plain answer."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    logprobs = None
    if choice.calls:
        message["tool_calls"] = [call.whole(choice.index) for call in choice.calls]
    else:
        message["content"], logprobs = "".join(choice.pieces), _logprobs(choice.pieces, request)
    return {"index": choice.index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish_reason}


def _parts(choice: _Choice, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one choice as stream parts: the role, the pieces, the finish."""
    opening = {"role": "assistant", "content": None if choice.calls else "", "refusal": None}
    yield _part(choice, opening, None if choice.calls else _logprobs((), request))
    for piece in choice.pieces:
        yield _part(choice, {"content": piece}, _logprobs((piece,), request))
    for position, call in enumerate(choice.calls):
        for delta in call.deltas(choice.index):
            yield _part(choice, {"tool_calls": [{"index": position, **delta}]}, None)
    yield {**_part(choice, {}, None), "finish_reason": choice.finish_reason}


def _part(choice: _Choice, delta: dict[str, Any], logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


def _logprobs(pieces: tuple[str, ...], request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the certainty of each token if it was asked for; an echo is nearly sure of all of them."""
    if request.get("logprobs") is not True:
        return None
    alternatives = _positive(request.get("top_logprobs"))
    tokens = [{"token": p, "logprob": -0.01, "bytes": list(p.encode())} for p in pieces]
    content = [{**token, "top_logprobs": [token] if alternatives else []} for token in tokens]
    return {"content": content, "refusal": None}


def _usage(request: dict[str, Any], choices: list[_Choice]) -> dict[str, Any]:
    """Count tokens: a prompt has one for every four characters and four for each message."""
    lengths = [len(_text(message.get("content"))) for message in _messages(request)]
    prompt = sum(_TOKENS_A_MESSAGE + -(-length // _CHARACTERS_A_TOKEN) for length in lengths)
    completion = sum(choice.completion_tokens for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": dict.fromkeys(_COMPLETION_DETAILS, 0),
    }


def _choices(request: dict[str, Any], model: str) -> list[_Choice]:
    """Decide the answer once for each of the `n` choices; only the ids of tool calls differ."""
    wanted = min(_positive(request.get("n")) or 1, _MOST_CHOICES)
    limit = _positive(request.get("max_completion_tokens")) or _positive(request.get("max_tokens"))
    limit = min(limit or _MOST_TOKENS, _MOST_TOKENS)
    if tools := _called_tools(request):
        calls, finish_reason = _called(request, tools, limit)
        return [_Choice(index, (), calls, finish_reason) for index in range(wanted)]
    pieces, finish_reason = _spoken(request, model, limit)
    return [_Choice(index, pieces, (), finish_reason) for index in range(wanted)]


def _spoken(request: dict[str, Any], model: str, limit: int) -> tuple[tuple[str, ...], str]:
    """Return the pieces of a text answer and why it ends."""
    text = _before_stop(_reply(request, model), request.get("stop"))
    pieces = tuple(islice((found.group() for found in _WORD.finditer(text)), limit + 1))
    return pieces[:limit], "length" if len(pieces) > limit else "stop"


def _before_stop(text: str, stop: object) -> str:
    """Return `text` up to the first of the stop sequences, of which OpenAI takes four."""
    sequences = [stop] if isinstance(stop, str) else _list(stop)[:4]
    ends = [text.find(_whole(s)) for s in sequences if isinstance(s, str) and s]
    return text[: min((end for end in ends if end >= 0), default=len(text))]


def _reply(request: dict[str, Any], model: str) -> str:
    """Write the answer in the form `response_format` asks for."""
    said = _said(request)
    wanted = _dict(request.get("response_format"))
    schema = _dict(wanted.get("json_schema")).get("schema")
    if wanted.get("type") == "json_schema" and isinstance(schema, dict | bool):
        return _json(example(schema))
    if wanted.get("type") in ("json_schema", "json_object"):
        return _json({"echo": said})
    return _whole(f"[{model}] {said}")


def _said(request: dict[str, Any]) -> str:
    """Return what the answer repeats: tool results that just came in, else the last user message."""
    messages = _messages(request)
    results = _latest_results(messages)
    if results:
        return "The tools answered: " + "; ".join(json.dumps(r, ensure_ascii=False) for r in results)
    return _last_user_text(messages) or _GREETING


def _latest_results(messages: list[dict[str, Any]]) -> list[str]:
    """Return the texts of the tool messages at the end of the conversation."""
    latest = takewhile(lambda message: message.get("role") == "tool", reversed(messages))
    return [_text(message.get("content")) for message in latest][::-1]


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    """Return the words of the last user message and a mention of what else it carried."""
    content = next((m.get("content") for m in reversed(messages) if m.get("role") == "user"), None)
    kinds = [_dict(part).get("type") for part in _list(content)]
    counts = {word: kinds.count(kind) for kind, word in _ATTACHMENTS.items()}
    mentions = [f"({count} {word}{'s' * (count > 1)})" for word, count in counts.items() if count]
    text = _text(content)
    return " ".join([*([text] if text.strip() else []), *mentions])


def _text(content: object) -> str:
    """Return the text of a message's content, whole or in parts; odd content says nothing."""
    if isinstance(content, str):
        return content
    texts = (_dict(part).get("text") for part in _list(content) if _dict(part).get("type") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def _called_tools(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tools this answer calls, none for a text answer."""
    choice = request.get("tool_choice")
    offered, mode = _offered(request), choice
    if isinstance(choice, dict):
        offered, mode = _narrowed(offered, choice)
    messages = _messages(request)
    if not offered or mode == "none" or (mode != "required" and _latest_results(messages)):
        return []
    called = _mentioned(offered, _last_user_text(messages)) or (offered[:1] if mode == "required" else [])
    return called[:1] if request.get("parallel_tool_calls") is False else called


def _offered(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tools that have a known type and a name, each name once."""
    tools = [tool for tool in _list(request.get("tools"))[:_MOST_TOOLS] if _tool_key(tool)]
    return list({_tool_key(tool): tool for tool in reversed(tools)}.values())[::-1]


def _tool_key(tool: object) -> tuple[str, str] | None:
    """Return the type and the name in a tool or a reference to one, nothing if either is missing."""
    kind = _dict(tool).get("type")
    if kind not in ("function", "custom"):
        return None
    name = _dict(_dict(tool).get(kind)).get("name")
    return (kind, name) if isinstance(name, str) and name else None


def _narrowed(offered: list[dict[str, Any]], choice: dict[str, Any]) -> tuple[list[dict[str, Any]], object]:
    """Return the tools that a `tool_choice` object leaves, and the mode it sets."""
    if choice.get("type") == "allowed_tools":
        allowed = _dict(choice.get("allowed_tools"))
        keys = {_tool_key(tool) for tool in _list(allowed.get("tools"))}
        return [tool for tool in offered if _tool_key(tool) in keys], allowed.get("mode")
    named = _tool_key(choice)
    return [tool for tool in offered if _tool_key(tool) == named], "required"


def _mentioned(tools: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Return the tools whose name stands in `text` as a word of its own: `get` is not in `get_time`."""
    words = set(_TOOL_NAME.findall(text))
    names = (tool[tool["type"]]["name"] for tool in tools)
    return [t for t, n in zip(tools, names, strict=True) if n in (words if _TOOL_NAME.fullmatch(n) else text)]


def _called(request: dict[str, Any], tools: list[dict[str, Any]], limit: int) -> tuple[tuple[_Call, ...], str]:
    """Return calls of `tools`, broken off where `limit` tokens are used up, and why the answer ends.

    Arguments of functions are made up, all within the nodes of one example; custom tools get the user's words.
    """
    messages = _messages(request)
    said = _whole(_last_user_text(messages))
    calls: list[_Call] = []
    for position, tool in enumerate(tools):
        if limit <= 0:
            return tuple(calls), "length"
        kind, name = tool["type"], _whole(tool[tool["type"]]["name"])
        text = _arguments(tool, NODES // len(tools)) if kind == "function" else said
        seed = f"{len(messages)} {position} {kind} {name} {text[:256]}"
        pieces = tuple(islice(_slices(text), limit))
        calls.append(_Call(seed, kind, name, pieces[: limit - 1]))
        limit -= 1 + len(pieces)
    return tuple(calls), "length" if limit < 0 else "tool_calls"


def _arguments(tool: dict[str, Any], nodes: int) -> str:
    """Return example arguments for a function as compact JSON; one without parameters takes none."""
    value = example(tool["function"].get("parameters"), nodes=nodes)
    return _json(value if isinstance(value, dict) else {}, separators=(",", ":"))


def _slices(text: str) -> Iterator[str]:
    """Cut arguments into pieces of up to eight characters, and at least two pieces where that can be."""
    size = min(8, -(-len(text) // 2)) or 1
    return (text[at : at + size] for at in range(0, len(text), size))


def _json(value: object, separators: tuple[str, str] = (", ", ": ")) -> str:
    return _whole(json.dumps(value, ensure_ascii=False, separators=separators))


def _whole(text: str) -> str:
    """Return `text` with halves of surrogate pairs replaced, so that it can be encoded as UTF-8."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    return [message for message in _list(request.get("messages")) if isinstance(message, dict)]


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
