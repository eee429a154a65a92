"""Serve callers of chat completions by an upstream that speaks the Messages API.

The request's members and their types are those of openai 3.52 and anthropic 2.11. Where the shapes differ in idea:

- `system` holds the text of every system and developer message, in order, also of those in mid-conversation:
  Claude models before Opus 4.8 refuse the role `system` among `messages`, and in a user's turn the words would lose
  their authority. A conversation of nothing else becomes one user turn.
- Messages of one role that follow each other become one turn, and tool results come first in it: the Messages API
  wants all results of a turn's calls at the start of the next. Texts without a visible character are left out and
  named, since the API refuses them.
- Arguments in the history that are no JSON object travel as `{"__raw__": text}`.
- `reasoning_effort` `minimal` is `low`, the least there is; `none` switches thinking off. A `thinking` or
  `output_config` of the caller's own goes before it.
- `json_object` becomes a sentence in `system`, and `response_format` is named as dropped: nothing enforces it.
- A schema gets `additionalProperties: false` on each object that says nothing of it, as the Messages API demands.
- `tool_choice: allowed_tools` leaves only these in `tools`.
- Members of the Messages API that a chat request carries on top of its own (`_PASSED`) travel as they are.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.base import Call, Document, StreamTranslator, Translated
from gateway.upstreams.translators.fields import (
    as_flag,
    as_list,
    as_number,
    as_object,
    as_objects,
    as_text,
    as_whole,
    others,
    present,
    refuse,
)
from gateway.upstreams.translators.messages.conversation import Conversation
from gateway.upstreams.translators.messages.json_schema import closed
from gateway.upstreams.translators.messages.message_to_completion import CompletionStream, completion

JSON_ONLY: Final = "Answer with a single JSON object and nothing else: no code fence, no words around it."

_PASSED: Final = (
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "output_config",
    "speed",
    "thinking",
    "top_k",
    "user_profile_id",
)
_REFUSED: Final = ("audio", "function_call", "functions", "mcp_servers", "web_search_options")
_READ: Final = frozenset(
    {
        *_PASSED,
        *_REFUSED,
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
    }
)
_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


class ChatToMessages:
    """Chat completions for the caller, Messages at the upstream."""

    def request(self, document: Document, *, max_output_tokens: int) -> Translated:
        """Return the request as one of the Messages API; see `Translator.request` and the module."""
        return _Request(document).translated(max_output_tokens)

    def answer(self, call: Call, answer: Document) -> Document:
        """Return a Message as a `chat.completion`; see `Translator.answer`."""
        return completion(call, answer)

    def stream(self, call: Call) -> StreamTranslator:
        """Start translating the events of a Message into `chat.completion.chunk` documents."""
        return CompletionStream(call)


class _Request:
    """One request while it is read; each method adds its members to `out` or their paths to `dropped`."""

    def __init__(self, document: Document) -> None:
        self._document = present(document)
        self._out: Document = {}
        self._dropped: list[str] = []

    def translated(self, max_output_tokens: int) -> Translated:
        """Return the request in the other shape."""
        self._refuse_what_has_no_words()
        conversation = Conversation()
        conversation.read(self._document.get("messages"))
        self._copy()
        self._limit(max_output_tokens)
        self._sample()
        self._identify()
        self._think()
        self._format(conversation)
        self._offer_tools()
        messages = conversation.members()
        self._dropped += others(self._document, _READ)
        return Translated({**self._out, **messages}, (*conversation.dropped, *self._dropped))

    def _refuse_what_has_no_words(self) -> None:
        document = self._document
        for name in _REFUSED:
            if document.get(name) not in (None, []):
                refuse(name, "is not supported by the upstream of this model")
        if "n" in document and as_whole(document["n"], "n") != 1:
            refuse("n", "must be 1 with the upstream of this model")
        if as_flag(document.get("logprobs", False), "logprobs"):
            refuse("logprobs", "is not supported by the upstream of this model")
        if as_whole(document.get("top_logprobs", 0), "top_logprobs"):
            refuse("top_logprobs", "is not supported by the upstream of this model")
        if any(kind != "text" for kind in as_list(document.get("modalities"), "modalities")):
            refuse("modalities", "may only name 'text' with the upstream of this model")

    def _copy(self) -> None:
        document = self._document
        self._out["model"] = as_text(document.get("model"), "model")
        self._out |= {name: document[name] for name in _PASSED if name in document}
        if "stream" in document:
            self._out["stream"] = as_flag(document["stream"], "stream")
        options = as_object(document.get("stream_options"), "stream_options")
        self._dropped += others(options, {"include_usage"}, "stream_options")

    def _limit(self, max_output_tokens: int) -> None:
        document = self._document
        limits = [name for name in ("max_completion_tokens", "max_tokens") if name in document]
        for name in limits:
            as_whole(document[name], name)
        self._out["max_tokens"] = document[limits[0]] if limits else max_output_tokens
        # Both are sent by clients that hedge; only a second opinion is worth naming.
        self._dropped += [name for name in limits[1:] if document[name] != self._out["max_tokens"]]

    def _sample(self) -> None:
        document = self._document
        if "temperature" in document:
            temperature = as_number(document["temperature"], "temperature")
            self._out["temperature"] = min(temperature, 1)
            self._dropped += ["temperature"] if temperature > 1 else []
        if "top_p" in document:
            self._out["top_p"] = as_number(document["top_p"], "top_p")
        self._stop(document.get("stop"))

    def _stop(self, stop: Any) -> None:
        """Pass the stop sequences on, but for the invisible ones, which the Messages API refuses."""
        alone = isinstance(stop, str)
        entries = [("stop", stop)] if alone else [(f"stop[{i}]", s) for i, s in enumerate(as_list(stop, "stop"))]
        kept = [sequence for path, sequence in entries if as_text(sequence, path).strip()]
        self._dropped += [path for path, sequence in entries if not sequence.strip()]
        if kept:
            self._out["stop_sequences"] = kept

    def _identify(self) -> None:
        names = [name for name in ("user", "safety_identifier") if name in self._document]
        for name in names:
            as_text(self._document[name], name)
        if names:
            self._out["metadata"] = {"user_id": self._document[names[0]]}
            self._dropped += [n for n in names[1:] if self._document[n] != self._document[names[0]]]

    def _think(self) -> None:
        if "reasoning_effort" not in self._document:
            return
        effort = as_text(self._document["reasoning_effort"], "reasoning_effort")
        own = as_object(self._out.get("output_config"), "output_config")
        if effort == "none" and "thinking" not in self._out:
            self._out["thinking"] = {"type": "disabled"}
        elif effort in _EFFORTS and own.get("effort") is None:
            self._out["output_config"] = {**own, "effort": _EFFORTS[effort]}
        else:
            self._dropped.append("reasoning_effort")

    def _format(self, conversation: Conversation) -> None:
        path = "response_format"
        wanted = as_object(self._document.get(path), path)
        kind = as_text(wanted.get("type", "text"), f"{path}.type")
        if kind == "json_schema":
            self._schema(as_object(wanted.get("json_schema"), f"{path}.json_schema"))
        elif kind == "json_object":
            conversation.instruct(JSON_ONLY)
            self._dropped.append(path)
        elif kind != "text":
            refuse(f"{path}.type", "names a format that the upstream of this model does not have")
        self._dropped += others(wanted, {"type", *({"json_schema"} if kind == "json_schema" else ())}, path)

    def _schema(self, wanted: Document) -> None:
        path = "response_format.json_schema"
        if not isinstance(wanted.get("schema"), dict):
            raise InvalidRequestError(f"'{path}.schema' must be an object.", param=f"{path}.schema")
        own = as_object(self._out.get("output_config"), "output_config")
        self._dropped += ["output_config.format"] if own.get("format") is not None else []
        self._out["output_config"] = {**own, "format": {"type": "json_schema", "schema": closed(wanted["schema"])}}
        strict = {"strict"} if wanted.get("strict") is True else set()
        self._dropped += others(wanted, {"schema", *strict}, path)

    def _offer_tools(self) -> None:
        tools = [self._tool(tool, path) for path, tool in as_objects(self._document.get("tools"), "tools")]
        choice = self._choice(tools)
        if tools:
            self._out["tools"] = tools
        parallel = self._document.get("parallel_tool_calls")
        if parallel is not None:
            disabled = not as_flag(parallel, "parallel_tool_calls")
            if tools and choice.get("type") != "none":
                choice = {"type": "auto", **choice, "disable_parallel_tool_use": disabled}
            else:
                self._dropped.append("parallel_tool_calls")
        if choice and tools:
            self._out["tool_choice"] = choice

    def _tool(self, tool: Document, path: str) -> Document:
        if as_text(tool.get("type"), f"{path}.type") != "function":
            refuse(f"{path}.type", "must be 'function' with the upstream of this model")
        where = f"{path}.function"
        function = present(as_object(tool.get("function"), where))
        schema = as_object(function.get("parameters"), f"{where}.parameters")
        made: Document = {
            "name": as_text(function.get("name"), f"{where}.name"),
            # A schema of no type is refused; a function without parameters takes an empty object.
            "input_schema": schema if schema.get("type") is not None else {**schema, "type": "object"},
        }
        if "description" in function:
            made["description"] = as_text(function["description"], f"{where}.description")
        if "strict" in function:
            made["strict"] = as_flag(function["strict"], f"{where}.strict")
        for holder, at in ((tool, path), (function, where)):
            if holder.get("cache_control") is not None:
                made["cache_control"] = as_object(holder["cache_control"], f"{at}.cache_control")
        self._dropped += others(tool, {"type", "function", "cache_control"}, path)
        self._dropped += others(function, {"name", "description", "parameters", "strict", "cache_control"}, where)
        return made

    def _choice(self, tools: list[Document]) -> Document:
        """Return the tool choice, empty for none; tools that it rules out are taken from `tools`."""
        choice = self._document.get("tool_choice")
        if choice is None:
            return {}
        if isinstance(choice, str):
            return self._mode(choice, tools, "tool_choice")
        kind = as_text(as_object(choice, "tool_choice").get("type"), "tool_choice.type")
        if kind == "allowed_tools":
            return self._allowed(as_object(choice.get(kind), f"tool_choice.{kind}"), tools)
        if kind != "function":
            refuse("tool_choice.type", "names a choice that the upstream of this model does not have")
        function = as_object(choice.get("function"), "tool_choice.function")
        self._dropped += others(choice, {"type", "function"}, "tool_choice")
        self._dropped += others(function, {"name"}, "tool_choice.function")
        name = as_text(function.get("name"), "tool_choice.function.name")
        if all(tool["name"] != name for tool in tools):
            raise InvalidRequestError("'tool_choice' names no tool in 'tools'.", param="tool_choice")
        return {"type": "tool", "name": name}

    def _mode(self, mode: str, tools: list[Document], path: str) -> Document:
        if mode not in _CHOICES:
            raise InvalidRequestError(f"'{path}' must be 'none', 'auto', 'required' or an object.", param=path)
        if tools:
            return {"type": _CHOICES[mode]}
        if mode == "required":
            raise InvalidRequestError(f"'{path}' needs 'tools' to choose from.", param=path)
        self._dropped.append(path)
        return {}

    def _allowed(self, allowed: Document, tools: list[Document]) -> Document:
        path = "tool_choice.allowed_tools"
        self._dropped += others(allowed, {"mode", "tools"}, path)
        names = set()
        for where, tool in as_objects(allowed.get("tools"), f"{path}.tools"):
            function = as_object(tool.get("function"), f"{where}.function")
            names.add(as_text(function.get("name"), f"{where}.function.name"))
        self._dropped += [f"tools[{index}]" for index, tool in enumerate(tools) if tool["name"] not in names]
        tools[:] = [tool for tool in tools if tool["name"] in names]
        return self._mode(as_text(allowed.get("mode", "auto"), f"{path}.mode"), tools, f"{path}.mode")
