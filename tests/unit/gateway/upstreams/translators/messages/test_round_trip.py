"""Chat to Messages and back: a random conversation comes through, or the translators say what did not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.upstreams.translators.messages.chat_to_messages import JSON_ONLY, ChatToMessages
from gateway.upstreams.translators.messages.json_schema import closed
from gateway.upstreams.translators.messages.messages_to_chat import MessagesToChat
from tests.support.anthropic_checks import check_message_request
from tests.support.conversations import Conversations

DEFAULT_LIMIT = 512
PARTS = 10
CONVERSATIONS = 1_000
"""A part; together 10,000."""


@pytest.mark.parametrize("seed", range(PARTS))
def test_a_conversation_survives_the_way_there_and_back(seed: int) -> None:
    conversations = Conversations(seed)
    for number in range(CONVERSATIONS):
        request = conversations.request()
        sent = json.dumps(request)

        there = ChatToMessages().request(request, max_output_tokens=DEFAULT_LIMIT)
        back = MessagesToChat().request(there.document, max_output_tokens=DEFAULT_LIMIT)

        assert json.dumps(request) == sent, "the caller's document was changed"
        assert said(back.document["messages"]) == said(request["messages"], JSON_ONLY if wants_json(request) else "")
        assert options(back.document) == expected_options(request)
        assert lost(request, back.document, there.dropped) == []
        assert set(there.dropped) == expected_drops(request)
        assert_cache_marks_are_kept(request, there.document, there.dropped)
        assert set(back.dropped) <= set(paths_of("cache_control", there.document))
        if number % 20 == 0:
            check_message_request(there.document)


def test_losing_any_one_message_or_part_is_noticed() -> None:
    conversations = Conversations(99, cached=False)
    for _ in range(100):
        request = conversations.request()
        back = there_and_back(request)
        for message in back["messages"]:
            kept = [other for other in back["messages"] if other is not message]
            assert said(kept) != said(back["messages"])
            if isinstance(message["content"], list):
                for part in message["content"]:
                    assert said([{**message, "content": [p for p in message["content"] if p is not part]}]) != said(
                        [message]
                    )


def test_the_same_seed_gives_the_same_conversations() -> None:
    first, second = Conversations(5), Conversations(5)

    assert [first.request() for _ in range(50)] == [second.request() for _ in range(50)]


def there_and_back(request: dict[str, Any]) -> dict[str, Any]:
    there = ChatToMessages().request(request, max_output_tokens=DEFAULT_LIMIT)
    return MessagesToChat().request(there.document, max_output_tokens=DEFAULT_LIMIT).document


def wants_json(request: dict[str, Any]) -> bool:
    return bool(request.get("response_format") == {"type": "json_object"})


def said(messages: list[dict[str, Any]], instruction: str = "") -> list[Any]:
    """Return what a conversation says, however it is cut into messages and parts of text."""
    system = [text for message in messages if message["role"] in ("system", "developer") for text in texts(message)]
    turns: list[Any] = []
    for message in messages:
        if message["role"] not in ("system", "developer"):
            role, content = message["role"], spoken(message)
            if turns and turns[-1][0] == role and role != "tool":
                turns[-1][1] += content
            else:
                turns.append([role, content])
    system += [instruction] if instruction else []
    if not turns:
        return [["user", [("text", text) for text in system]]]
    return ["\n\n".join(system), *(as_one(turn) for turn in turns)]


def as_one(turn: list[Any]) -> list[Any]:
    """Join an assistant's texts, which are one however they are cut; put its thinking before them."""
    if turn[0] != "assistant":
        return turn
    kinds = ("thinking", "text", "call")
    thinking, text, calls = ([value for kind, value in turn[1] if kind == wanted] for wanted in kinds)
    return ["assistant", thinking, "".join(text), calls]


def spoken(message: dict[str, Any]) -> list[tuple[str, Any]]:
    if message["role"] == "user":
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        return [attached(part) for part in parts]
    if message["role"] == "tool":
        return [("result", (message["tool_call_id"], "\n".join(texts(message))))]
    blocks = message.get("thinking_blocks", [])
    if blocks:
        assert message["reasoning_content"] == "".join(block.get("thinking", "") for block in blocks)
    calls = [
        (call["id"], call["type"], call["function"]["name"], argued(call["function"]["arguments"]))
        for call in message.get("tool_calls", [])
    ]
    thinking = [("thinking", json.dumps(block, sort_keys=True)) for block in blocks]
    return [*thinking, *(("text", text) for text in texts(message)), *(("call", call) for call in calls)]


def attached(part: dict[str, Any]) -> tuple[str, Any]:
    if part["type"] == "image_url":
        return ("image", part["image_url"]["url"])
    if part["type"] == "file":
        return ("file", json.dumps(part["file"], sort_keys=True))
    return ("text", part["text"])


def texts(message: dict[str, Any]) -> list[str]:
    content = message["content"]
    parts = [{"text": content}] if isinstance(content, str) else content or []
    found = [part.get("text", part.get("refusal")) for part in parts]
    return [text for text in [*found, message.get("refusal")] if text]


def argued(arguments: str) -> Any:
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except ValueError:
        return arguments


def options(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "messages"}


def expected_options(request: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"model": "m"}
    made["max_completion_tokens"] = request.get("max_completion_tokens", request.get("max_tokens", DEFAULT_LIMIT))
    made |= {name: request[name] for name in ("top_p", "user", "stream") if name in request}
    if "temperature" in request:
        made["temperature"] = min(request["temperature"], 1)
    if request.get("stream"):
        made["stream_options"] = {"include_usage": True}
    if "stop" in request:
        stop = request["stop"]
        made["stop"] = [entry for entry in ([stop] if isinstance(stop, str) else stop) if entry.strip()]
    if "reasoning_effort" in request:
        made["reasoning_effort"] = request["reasoning_effort"].replace("minimal", "low")
    if request.get("response_format", {}).get("type") == "json_schema":
        schema = {**request["response_format"]["json_schema"], "name": "answer"}
        schema["schema"] = closed(schema["schema"])
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
    return made | expected_tools(request)


def expected_tools(request: dict[str, Any]) -> dict[str, Any]:
    if "tools" not in request:
        return {}
    empty = {"parameters": {"type": "object"}}
    tools = [{"type": "function", "function": {**empty, **tool["function"]}} for tool in request["tools"]]
    made: dict[str, Any] = {"tools": tools}
    choice, parallel = request.get("tool_choice"), request.get("parallel_tool_calls")
    if choice is not None:
        made["tool_choice"] = choice
    if parallel is not None and choice != "none":
        made |= {"tool_choice": choice or "auto", "parallel_tool_calls": parallel}
    return made


def expected_drops(request: dict[str, Any]) -> set[str]:
    """Return every path that the translator has to name."""
    labels = "seed presence_penalty frequency_penalty logit_bias store metadata service_tier verbosity"
    dropped = {*f"{labels} prompt_cache_key prediction a_vendors_own".split()} & set(request)
    dropped |= {"temperature"} if request.get("temperature", 0) > 1 else set()
    dropped |= {"max_tokens"} if {"max_tokens", "max_completion_tokens"} <= set(request) else set()
    dropped |= {"stop[0]"} if isinstance(request.get("stop"), list) and not request["stop"][0].strip() else set()
    dropped |= {"response_format"} if wants_json(request) else set()
    if request.get("response_format", {}).get("type") == "json_schema":
        dropped.add("response_format.json_schema.name")
    if "parallel_tool_calls" in request and request.get("tool_choice") == "none":
        dropped.add("parallel_tool_calls")
    for index, message in enumerate(request["messages"]):
        dropped |= expected_drops_of(message, f"messages[{index}]")
    return dropped


def expected_drops_of(message: dict[str, Any], path: str) -> set[str]:
    dropped = {f"{path}.name"} if "name" in message else set()
    if "reasoning_content" in message and "thinking_blocks" not in message:
        dropped.add(f"{path}.reasoning_content")
    for index, part in enumerate(message["content"] if isinstance(message["content"], list) else []):
        if "detail" in part.get("image_url", {}):
            dropped.add(f"{path}.content[{index}].image_url.detail")
    return dropped


def lost(request: dict[str, Any], back: dict[str, Any], dropped: tuple[str, ...]) -> list[str]:
    """Return the paths of texts that are neither anywhere on the other side nor named as dropped."""
    everything = "\0".join(value for _, value in strings(back))
    # Arguments are JSON inside JSON, written anew; roles and types differ by design; both are compared elsewhere.
    return [
        path
        for path, value in strings(request)
        if not path.endswith((".arguments", ".role", ".type", "tool_choice", "reasoning_effort", ".ttl"))
        and value.strip()
        and value not in everything
        and not any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in dropped)
    ]


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from strings(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from strings(entry, f"{path}[{index}]")


def assert_cache_marks_are_kept(request: dict[str, Any], there: dict[str, Any], dropped: tuple[str, ...]) -> None:
    wanted = [path for path in paths_of("cache_control", request) if path not in dropped]
    kept = list(paths_of("cache_control", there))
    # A message's mark and that of its last part are one mark.
    marked = [message["content"] for message in request["messages"] if "cache_control" in message]
    doubled = sum(isinstance(content, list) and "cache_control" in content[-1] for content in marked)
    assert len(kept) == len(wanted) - doubled


def paths_of(name: str, value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            where = f"{path}.{key}" if path else key
            if key == name:
                yield where
            else:
                yield from paths_of(name, member, where)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from paths_of(name, entry, f"{path}[{index}]")
