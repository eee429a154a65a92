"""A caller of Responses served by an upstream that has chat completions only.

What is decided here, besides what `input` says of the input:

- `instructions` become a `system` message, the role that every chat server knows; `developer` messages stay.
- `max_output_tokens` becomes `max_completion_tokens`, the only name OpenAI's newer models take.
- A function without `strict` is sent without: Responses then makes the schema strict where that is possible, and chat
  has no such middle way, only a refusal of schemas that are not ready for it.
- `truncation: disabled` is what chat does anyway; `auto` is dropped.
- `store` and `previous_response_id` are the gateway's own business. They are neither sent nor called dropped.
- `include`: reasoning always comes with its `encrypted_content`, log probabilities when asked for.
- A member that neither shape defines is dropped: it may be an order the gateway has not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    reading_answer,
    refuse,
    wrong_type,
)
from gateway.upstreams.translators.responses.events import ResponseEvents
from gateway.upstreams.translators.responses.input import Conversation

_SAME: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "temperature": as_number,
    "top_p": as_number,
    "metadata": as_object,
    "user": as_text,
    "safety_identifier": as_text,
    "prompt_cache_key": as_text,
    "prompt_cache_retention": as_text,
    "prompt_cache_options": as_object,
    "service_tier": as_text,
    "stream": as_flag,
}
"""Members of the same name and meaning in both shapes."""

_REFUSED: Final[Mapping[str, str]] = {
    "conversation": "is not kept for this model; send the items as `input`",
    "prompt": "is not something this model can be sent; send its text as `instructions`",
    "moderation": "is not available for this model",
}

_OURS: Final = frozenset({"store", "previous_response_id", "truncation", "background", "max_tool_calls"})
_READ: Final = frozenset(
    {"model", "input", "instructions", "max_output_tokens", "tools", "tool_choice", "parallel_tool_calls"}
    | {"text", "reasoning", "include", "top_logprobs", "stream_options"}
)
_KNOWN: Final = _READ | _OURS | frozenset(_SAME) | frozenset(_REFUSED)
_MODES: Final = frozenset({"none", "auto", "required"})


class ResponsesToChat:
    """Translates Responses requests to chat, and chat answers to Responses."""

    def request(self, document: Document, *, max_output_tokens: int) -> Translated:
        """Return the request for chat. Chat demands no bound, so `max_output_tokens` is not used.

        Raises:
            InvalidRequestError: a member is of the wrong type, or its meaning cannot be kept.
        """
        del max_output_tokens
        given = present(document)
        _refuse_foreign(given)
        dropped = [*others(given, _KNOWN), *_without_counterpart(given)]
        chat: Document = {"model": as_text(given["model"], "model")} if "model" in given else {}
        chat["messages"] = _messages(given, dropped)
        chat |= {name: reader(given[name], name) for name, reader in _SAME.items() if name in given}
        for name in given.get("metadata", ()):
            as_text(given["metadata"][name], f"metadata.{name}")
        if "max_output_tokens" in given:
            chat["max_completion_tokens"] = as_whole(given["max_output_tokens"], "max_output_tokens")
        chat |= _tool_members(given, dropped)
        chat |= _text_members(given, dropped)
        chat |= _reasoning_members(given, dropped)
        chat |= _logprob_members(given, dropped)
        chat |= _stream_members(given, dropped)
        return Translated(chat, tuple(dropped))

    def answer(self, call: Call, answer: Document) -> Document:
        """Return a chat completion as a Response: what the stream of the same content would end with.

        Raises:
            UpstreamGarbledError: it lacks what an answer must have.
            UpstreamRefusedError: it says that the upstream failed.
        """
        events = ResponseEvents(call)
        events.feed(_as_chunk(answer))
        response: Document = events.finish()[-1]["response"]
        return response

    def stream(self, call: Call) -> StreamTranslator:
        """Start translating chunks to events; the last event carries the whole Response."""
        return ResponseEvents(call)


def _refuse_foreign(given: Document) -> None:
    """Refuse what changes the answer and has no counterpart in chat."""
    for name, why in _REFUSED.items():
        if name in given:
            refuse(name, why)
    if as_flag(given.get("background", False), "background"):
        refuse("background", "is not available for this model")


def _without_counterpart(given: Document) -> list[str]:
    """Return what is dropped of the members that are not sent; they are checked, since the Response echoes them."""
    as_flag(given.get("store", True), "store")
    as_text(given.get("previous_response_id", ""), "previous_response_id")
    dropped = []
    if as_text(given.get("truncation", "disabled"), "truncation") != "disabled":
        dropped.append("truncation")
    if "max_tool_calls" in given:
        as_whole(given["max_tool_calls"], "max_tool_calls")
        dropped.append("max_tool_calls")
    return dropped


def _messages(given: Document, dropped: list[str]) -> list[Document]:
    conversation = Conversation()
    if "instructions" in given:
        conversation.say("system", as_text(given["instructions"], "instructions"))
    if "input" not in given:
        message = "Missing required field 'input'."
        raise InvalidRequestError(message, param="input", code="missing_required_parameter")
    if isinstance(given["input"], str):
        conversation.say("user", given["input"])
    else:
        if not isinstance(given["input"], list):
            raise wrong_type("input", "a string or an array of items")
        for path, item in as_objects(given["input"], "input"):
            conversation.add(item, path)
    messages = conversation.finish()
    if not messages:
        raise InvalidRequestError("'input' must not be empty.", param="input")
    dropped += conversation.dropped
    return messages


def _tool_members(given: Document, dropped: list[str]) -> Document:
    """Return the members about tools. Chat servers take the others only beside `tools`, where alone they mean much."""
    tools = [_tool(tool, path, dropped) for path, tool in as_objects(given.get("tools"), "tools")]
    members: Document = {"tools": tools} if tools else {}
    if "tool_choice" in given:
        choice = _tool_choice(given["tool_choice"], dropped)
        if tools or choice not in ("auto", "none"):
            members["tool_choice"] = choice
        else:
            dropped.append("tool_choice")
    if "parallel_tool_calls" in given:
        parallel = as_flag(given["parallel_tool_calls"], "parallel_tool_calls")
        if tools:
            members["parallel_tool_calls"] = parallel
        else:
            dropped.append("parallel_tool_calls")
    return members


def _tool(tool: Document, path: str, dropped: list[str]) -> Document:
    kind = as_text(tool.get("type"), f"{path}.type")
    if kind == "function":
        readers: Mapping[str, Callable[[Any, str], Any]] = {
            "name": as_text,
            "description": as_text,
            "parameters": as_object,
            "strict": as_flag,
        }
    elif kind == "custom":
        readers = {"name": as_text, "description": as_text, "format": _custom_format}
    else:
        refuse(f"{path}.type", "is a type of tool that is not available for this model")
    dropped += others(tool, {"type", *readers}, path)
    as_text(tool.get("name"), f"{path}.name")
    given = present(tool)
    return {
        "type": kind,
        kind: {name: read(given[name], f"{path}.{name}") for name, read in readers.items() if name in given},
    }


def _custom_format(value: Any, path: str) -> Document:
    form = present(as_object(value, path))
    kind = as_text(form.get("type"), f"{path}.type")
    if kind == "text":
        return {"type": "text"}
    if kind != "grammar":
        refuse(f"{path}.type", "is a format that is not available for this model")
    grammar = {name: as_text(form.get(name), f"{path}.{name}") for name in ("definition", "syntax")}
    return {"type": "grammar", "grammar": grammar}


def _tool_choice(value: Any, dropped: list[str]) -> str | Document:
    if isinstance(value, str) and value in _MODES:
        return value
    if not isinstance(value, dict):
        raise wrong_type("tool_choice", "'none', 'auto', 'required' or an object")
    if value.get("type") != "allowed_tools":
        return _named(value, "tool_choice", dropped)
    dropped += others(value, ("type", "mode", "tools"), "tool_choice")
    mode = as_text(value.get("mode"), "tool_choice.mode")
    tools = [_named(tool, path, dropped) for path, tool in as_objects(value.get("tools"), "tool_choice.tools")]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def _named(tool: Document, path: str, dropped: list[str]) -> Document:
    kind = as_text(tool.get("type"), f"{path}.type")
    if kind not in ("function", "custom"):
        refuse(f"{path}.type", "is a type of tool that is not available for this model")
    dropped += others(tool, ("type", "name"), path)
    return {"type": kind, kind: {"name": as_text(tool.get("name"), f"{path}.name")}}


def _text_members(given: Document, dropped: list[str]) -> Document:
    text = as_object(given.get("text"), "text")
    dropped += others(text, ("format", "verbosity"), "text")
    members: Document = {}
    if text.get("verbosity") is not None:
        members["verbosity"] = as_text(text["verbosity"], "text.verbosity")
    if text.get("format") is not None:
        members |= _format_member(present(as_object(text["format"], "text.format")), dropped)
    return members


def _format_member(form: Document, dropped: list[str]) -> Document:
    """Return `response_format`, unless it is plain text, which chat gives unasked."""
    kind = as_text(form.get("type"), "text.format.type")
    if kind in ("text", "json_object"):
        dropped += others(form, ("type",), "text.format")
        return {"response_format": {"type": kind}} if kind == "json_object" else {}
    if kind != "json_schema":
        refuse("text.format.type", "is a format that is not available for this model")
    dropped += others(form, ("type", "name", "schema", "strict", "description"), "text.format")
    if "schema" not in form:
        raise wrong_type("text.format.schema", "an object")
    schema: Document = {"name": as_text(form.get("name"), "text.format.name")}
    if "description" in form:
        schema["description"] = as_text(form["description"], "text.format.description")
    schema["schema"] = as_object(form["schema"], "text.format.schema")
    if "strict" in form:
        schema["strict"] = as_flag(form["strict"], "text.format.strict")
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _reasoning_members(given: Document, dropped: list[str]) -> Document:
    reasoning = present(as_object(given.get("reasoning"), "reasoning"))
    dropped += others(reasoning, ("effort",), "reasoning")
    for name in ("summary", "generate_summary"):
        as_text(reasoning.get(name, ""), f"reasoning.{name}")
    if "effort" not in reasoning:
        return {}
    return {"reasoning_effort": as_text(reasoning["effort"], "reasoning.effort")}


def _logprob_members(given: Document, dropped: list[str]) -> Document:
    members: Document = {}
    for index, entry in enumerate(as_list(given.get("include"), "include")):
        wanted = as_text(entry, f"include[{index}]")
        if wanted == "message.output_text.logprobs":
            members["logprobs"] = True
        elif wanted != "reasoning.encrypted_content":
            dropped.append(f"include[{index}]")
    if as_whole(given.get("top_logprobs", 0), "top_logprobs"):
        members |= {"logprobs": True, "top_logprobs": given["top_logprobs"]}
    return members


def _stream_members(given: Document, dropped: list[str]) -> Document:
    options = present(as_object(given.get("stream_options"), "stream_options"))
    if given.get("stream") is not True:
        dropped += others(options, (), "stream_options")
        return {}
    dropped += others(options, ("include_obfuscation",), "stream_options")
    wanted: Document = {"include_usage": True}
    if "include_obfuscation" in options:
        wanted["include_obfuscation"] = as_flag(options["include_obfuscation"], "stream_options.include_obfuscation")
    return {"stream_options": wanted}


def _as_chunk(answer: Document) -> Document:
    """Return a chat completion as the one chunk of its stream."""
    with reading_answer():
        choices = as_objects(answer.get("choices"), "choices")
        if not choices and answer.get("error") is None:
            raise wrong_type("choices", "an array with one entry")
        return {**answer, "choices": [_as_chunk_choice(choice, path) for path, choice in choices[:1]]}


def _as_chunk_choice(choice: Document, path: str) -> Document:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise wrong_type(f"{path}.message", "an object")
    calls = as_objects(message.get("tool_calls"), f"{path}.message.tool_calls")
    numbered = [{**call, "index": index} for index, (_, call) in enumerate(calls)]
    return {**choice, "index": 0, "delta": {**message, "tool_calls": numbered}}
