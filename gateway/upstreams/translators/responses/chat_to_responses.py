"""A caller of chat completions served by an upstream that has Responses only.

What is decided here, besides what `output` says of the answer:

- Chat keeps nothing unless told to and Responses the other way round, so `store` is always sent.
- A function without `strict` is sent with `strict: false`: chat's default is not that of Responses.
- `system` and `developer` messages stay where they are and keep their role.
- What the assistant thought goes back only if it is the upstream's own, sealed in a thinking block: an OpenAI upstream
  refuses reasoning it did not encrypt itself.
- Of `max_completion_tokens` and `max_tokens` the smaller bound is sent; Responses refuses bounds below 16.
- `stop` has no counterpart and would let the answer run on: it is refused.
- A member that neither shape defines is dropped: it may be an order the gateway has not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

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
    wrong_type,
)
from gateway.upstreams.translators.responses.history import History
from gateway.upstreams.translators.responses.output import ChatChunks, as_completion

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
    "parallel_tool_calls": as_flag,
    "stream": as_flag,
}
"""Members of the same name and meaning in both shapes."""

_REFUSED: Final[Mapping[str, str]] = {
    "audio": "is not something this model can answer with",
    "functions": "is not available for this model; send `tools`",
    "function_call": "is not available for this model; send `tool_choice`",
    "web_search_options": "is not available for this model",
    "moderation": "is not available for this model",
}

_READ: Final = frozenset(
    {"model", "messages", "max_completion_tokens", "max_tokens", "tools", "tool_choice", "response_format", "verbosity"}
    | {"reasoning_effort", "logprobs", "top_logprobs", "stream_options", "store", "stop", "n", "modalities"}
)
_KNOWN: Final = _READ | frozenset(_SAME) | frozenset(_REFUSED)
_MODES: Final = frozenset({"none", "auto", "required"})


class ChatToResponses:
    """Translates chat requests to Responses, and Responses answers to chat."""

    def request(self, document: Document, *, max_output_tokens: int) -> Translated:
        """Return the request for Responses, which demands no bound, so that `max_output_tokens` is not used.

        Raises:
            InvalidRequestError: a member is of the wrong type, or its meaning cannot be kept.
        """
        del max_output_tokens
        given = present(document)
        _refuse_foreign(given)
        dropped = others(given, _KNOWN)
        asked: Document = {"model": as_text(given["model"], "model")} if "model" in given else {}
        asked["input"] = _input(given, dropped)
        asked |= {name: reader(given[name], name) for name, reader in _SAME.items() if name in given}
        asked["store"] = as_flag(given.get("store", False), "store")
        bounds = [as_whole(given[name], name) for name in ("max_completion_tokens", "max_tokens") if name in given]
        if bounds:
            asked["max_output_tokens"] = min(bounds)
        asked |= _tool_members(given, dropped)
        asked |= _text_member(given, dropped)
        asked |= _reasoning_member(given)
        asked |= _included(given, dropped)
        asked |= _stream_member(given, dropped)
        return Translated(asked, tuple(dropped))

    def answer(self, call: Call, answer: Document) -> Document:
        """Return a Response as a chat completion.

        Raises:
            UpstreamGarbledError: it lacks what an answer must have.
            UpstreamRefusedError: it says that the upstream failed.
        """
        return as_completion(call, answer)

    def stream(self, call: Call) -> StreamTranslator:
        """Start translating events to chunks."""
        return ChatChunks(call)


def _refuse_foreign(given: Document) -> None:
    """Refuse what changes the answer and has no counterpart in Responses."""
    for name, why in _REFUSED.items():
        if name in given:
            refuse(name, why)
    if as_whole(given.get("n", 1), "n") != 1:
        refuse("n", "must be 1 for this model")
    for index, modality in enumerate(as_list(given.get("modalities"), "modalities")):
        if as_text(modality, f"modalities[{index}]") != "text":
            refuse(f"modalities[{index}]", "must be 'text' for this model")
    if given.get("stop", []) != []:
        refuse("stop", "is not available for this model")


def _input(given: Document, dropped: list[str]) -> list[Document]:
    if not isinstance(given.get("messages"), list):
        raise wrong_type("messages", "an array of messages")
    history = History()
    for path, message in as_objects(given["messages"], "messages"):
        history.add(present(message), path)
    dropped += history.dropped
    return history.items


def _tool_members(given: Document, dropped: list[str]) -> Document:
    members: Document = {}
    if tools := [_tool(tool, path, dropped) for path, tool in as_objects(given.get("tools"), "tools")]:
        members["tools"] = tools
    if "tool_choice" in given:
        members["tool_choice"] = _tool_choice(given["tool_choice"], dropped)
    return members


def _tool(tool: Document, path: str, dropped: list[str]) -> Document:
    kind = as_text(tool.get("type"), f"{path}.type")
    if kind not in ("function", "custom"):
        refuse(f"{path}.type", "is a type of tool that is not available for this model")
    dropped += others(tool, ("type", kind), path)
    described, where = present(as_object(tool.get(kind), f"{path}.{kind}")), f"{path}.{kind}"
    flat: Document = {"type": kind, "name": as_text(described.get("name"), f"{where}.name")}
    if "description" in described:
        flat["description"] = as_text(described["description"], f"{where}.description")
    if kind == "custom":
        dropped += others(described, ("name", "description", "format"), where)
        return flat | _custom_format(described, where)
    dropped += others(described, ("name", "description", "parameters", "strict"), where)
    flat["parameters"] = (
        as_object(described["parameters"], f"{where}.parameters") if "parameters" in described else None
    )
    flat["strict"] = as_flag(described.get("strict", False), f"{where}.strict")
    return flat


def _custom_format(described: Document, path: str) -> Document:
    if "format" not in described:
        return {}
    where = f"{path}.format"
    form = as_object(described["format"], where)
    kind = as_text(form.get("type"), f"{where}.type")
    if kind == "text":
        return {"format": {"type": "text"}}
    if kind != "grammar":
        refuse(f"{where}.type", "is a format that is not available for this model")
    grammar = as_object(form.get("grammar"), f"{where}.grammar")
    told = {name: as_text(grammar.get(name), f"{where}.grammar.{name}") for name in ("definition", "syntax")}
    return {"format": {"type": "grammar", **told}}


def _tool_choice(value: Any, dropped: list[str]) -> str | Document:
    if isinstance(value, str) and value in _MODES:
        return value
    if not isinstance(value, dict):
        raise wrong_type("tool_choice", "'none', 'auto', 'required' or an object")
    if value.get("type") != "allowed_tools":
        return _named(value, "tool_choice", dropped)
    dropped += others(value, ("type", "allowed_tools"), "tool_choice")
    allowed, where = as_object(value.get("allowed_tools"), "tool_choice.allowed_tools"), "tool_choice.allowed_tools"
    dropped += others(allowed, ("mode", "tools"), where)
    tools = [_named(tool, path, dropped) for path, tool in as_objects(allowed.get("tools"), f"{where}.tools")]
    return {"type": "allowed_tools", "mode": as_text(allowed.get("mode"), f"{where}.mode"), "tools": tools}


def _named(tool: Document, path: str, dropped: list[str]) -> Document:
    kind = as_text(tool.get("type"), f"{path}.type")
    if kind not in ("function", "custom"):
        refuse(f"{path}.type", "is a type of tool that is not available for this model")
    dropped += others(tool, ("type", kind), path)
    named = as_object(tool.get(kind), f"{path}.{kind}")
    return {"type": kind, "name": as_text(named.get("name"), f"{path}.{kind}.name")}


def _text_member(given: Document, dropped: list[str]) -> Document:
    text: Document = {}
    if "response_format" in given:
        text["format"] = _format(present(as_object(given["response_format"], "response_format")), dropped)
    if "verbosity" in given:
        text["verbosity"] = as_text(given["verbosity"], "verbosity")
    return {"text": text} if text else {}


def _format(form: Document, dropped: list[str]) -> Document:
    kind = as_text(form.get("type"), "response_format.type")
    if kind in ("text", "json_object"):
        dropped += others(form, ("type",), "response_format")
        return {"type": kind}
    if kind != "json_schema":
        refuse("response_format.type", "is a format that is not available for this model")
    where = "response_format.json_schema"
    schema = present(as_object(form.get("json_schema"), where))
    dropped += others(form, ("type", "json_schema"), "response_format")
    dropped += others(schema, ("name", "schema", "strict", "description"), where)
    flat: Document = {"type": "json_schema", "name": as_text(schema.get("name"), f"{where}.name")}
    flat["schema"] = as_object(schema.get("schema"), f"{where}.schema")
    if "description" in schema:
        flat["description"] = as_text(schema["description"], f"{where}.description")
    if "strict" in schema:
        flat["strict"] = as_flag(schema["strict"], f"{where}.strict")
    return flat


def _reasoning_member(given: Document) -> Document:
    if "reasoning_effort" not in given:
        return {}
    return {"reasoning": {"effort": as_text(given["reasoning_effort"], "reasoning_effort")}}


def _included(given: Document, dropped: list[str]) -> Document:
    """Return what else the answer shall hold.

    Reasoning that can be sent back is asked for only beside an effort: models that do not reason refuse the wish.
    `top_logprobs` means nothing in chat without `logprobs`.
    """
    members: Document = {}
    included = ["reasoning.encrypted_content"] if given.get("reasoning_effort", "none") != "none" else []
    alternatives = as_whole(given.get("top_logprobs", 0), "top_logprobs")
    if as_flag(given.get("logprobs", False), "logprobs"):
        included.append("message.output_text.logprobs")
        members["top_logprobs"] = alternatives
    elif "top_logprobs" in given:
        dropped.append("top_logprobs")
    return members | ({"include": included} if included else {})


def _stream_member(given: Document, dropped: list[str]) -> Document:
    """Return `stream_options`; `include_usage` is kept by this side, since a Response always ends with its usage."""
    options = present(as_object(given.get("stream_options"), "stream_options"))
    as_flag(options.get("include_usage", False), "stream_options.include_usage")
    if given.get("stream") is not True:
        dropped += others(options, (), "stream_options")
        return {}
    dropped += others(options, ("include_usage", "include_obfuscation"), "stream_options")
    if "include_obfuscation" not in options:
        return {}
    name = "include_obfuscation"
    return {"stream_options": {name: as_flag(options[name], f"stream_options.{name}")}}
