"""Chat to Responses and back: a random conversation comes through, or the translators say what did not."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.responses.chat_to_responses import ChatToResponses
from gateway.upstreams.translators.responses.responses_to_chat import ResponsesToChat
from gateway.upstreams.translators.responses.seal import seal_item
from tests.support.conversations import Conversations

PARTS = 10
CONVERSATIONS = 1_000
"""A part; together 10,000."""

CARRIED = frozenset(
    {"model", "messages", "temperature", "top_p", "user", "metadata", "service_tier", "prompt_cache_key", "verbosity"}
    | {"reasoning_effort", "response_format", "tools", "tool_choice", "parallel_tool_calls", "max_completion_tokens"}
    | {"stream", "stream_options"}
)


@pytest.mark.parametrize("seed", range(PARTS))
def test_a_conversation_survives_the_way_there_and_back(seed: int) -> None:
    conversations = Conversations(seed)
    for _ in range(CONVERSATIONS):
        request = without_stop(own_thoughts(conversations.request(), seed))
        sent = copy.deepcopy(request)

        there = ChatToResponses().request(request, max_output_tokens=1)
        back = ResponsesToChat().request(there.document, max_output_tokens=1)

        assert request == sent, "the caller's document was changed"
        expected = kept(request, there.dropped)
        assert back.document["messages"] == expected["messages"]
        assert {**back.document, "messages": []} == {**expected, "messages": []}
        assert set(back.dropped) <= needless(there.document) | own_reasoning(there.document)
        assert set(there.dropped) <= set(paths(request))
        assert unaccounted_thoughts(request, there.document, there.dropped) == 0


def test_losing_any_text_is_noticed() -> None:
    conversations = Conversations(99)
    for _ in range(200):
        request = without_stop(conversations.request())

        there = ChatToResponses().request(request, max_output_tokens=1)
        back = ResponsesToChat().request(there.document, max_output_tokens=1)

        gone = marks(request) - marks(back.document)
        assert gone == marks([value for path, value in paths(request).items() if path in there.dropped]) - marks(
            back.document
        )


def test_stop_sequences_are_refused() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ChatToResponses().request({"messages": [], "stop": "x"}, max_output_tokens=1)

    assert (caught.value.param, caught.value.code) == ("stop", "unsupported_parameter")


def without_stop(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != "stop"}


def own_thoughts(request: dict[str, Any], seed: int) -> dict[str, Any]:
    """Let some of the thinking be what a Responses upstream sealed."""
    chance = random.Random(f"{seed} {len(request['messages'])}")  # noqa: S311  # a test wants the same numbers again
    for message in request["messages"]:
        if message.get("thinking_blocks") and chance.random() < 0.5:
            text = message["reasoning_content"]
            item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text}]}
            message["thinking_blocks"] = [seal_item({**item, "encrypted_content": "gAAAA"}, text)]
    return request


def unaccounted_thoughts(request: dict[str, Any], asked: dict[str, Any], dropped: tuple[str, ...]) -> int:
    """Return how many messages' thinking is neither among the items nor named as dropped."""
    thinking = [i for i, message in enumerate(request["messages"]) if "reasoning_content" in message]
    named = [i for i in thinking if f"messages[{i}].reasoning_content" in dropped]
    return len(thinking) - len(named) - len(own_reasoning(asked))


def needless(asked: dict[str, Any]) -> set[str]:
    """Return what means nothing without tools, and is therefore left out on the way back."""
    return set() if asked.get("tools") else {"tool_choice", "parallel_tool_calls"}


def own_reasoning(asked: dict[str, Any]) -> set[str]:
    """Return the paths of reasoning that only its own upstream can read, which a chat upstream is not."""
    return {f"input[{index}]" for index, item in enumerate(asked["input"]) if item["type"] == "reasoning"}


def kept(request: dict[str, Any], dropped: tuple[str, ...]) -> dict[str, Any]:
    """Return the request as it must come back: the carried members, in the form the way back gives them."""
    expected = {name: value for name, value in request.items() if name in CARRIED and name not in dropped}
    assert set(request) - set(expected) - set(dropped) <= {"max_tokens", "store"}
    bounds = [request[name] for name in ("max_tokens", "max_completion_tokens") if name in request]
    if bounds:
        expected["max_completion_tokens"] = min(bounds)
    if expected.get("response_format") == {"type": "text"}:
        del expected["response_format"]
    if not expected.get("tools"):
        expected.pop("parallel_tool_calls", None)
        if expected.get("tool_choice") in ("auto", "none"):
            del expected["tool_choice"]
    if expected.get("stream"):
        expected["stream_options"] = {"include_usage": True}
    expected["tools"] = [with_strict(tool) for tool in request.get("tools", ())]
    if not expected["tools"]:
        del expected["tools"]
    messages = [message_back(m, f"messages[{i}]") for i, m in enumerate(request["messages"])]
    return {**expected, "messages": [message for message in messages if message is not None]}


def with_strict(tool: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {**tool["function"], "strict": tool["function"].get("strict", False)}}


def message_back(message: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return a message as it comes back: refusals together, a lone text as a string, no thoughts and no labels."""
    names = ("role", "content", "refusal", "tool_calls", "tool_call_id")
    back = {name: message[name] for name in names if name in message}
    if isinstance(back["content"], list):
        parts = [part_back(part) for part in back["content"]]
        refusals = [part["refusal"] for part in parts if part["type"] == "refusal"]
        refusals += [back["refusal"]] if "refusal" in back else []
        if refusals:
            back["refusal"] = "".join(refusals)
        parts = [part for part in parts if part["type"] != "refusal"]
        back["content"] = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts
    return back


def part_back(part: dict[str, Any]) -> dict[str, Any]:
    part = {name: value for name, value in part.items() if name != "cache_control"}
    if part["type"] == "image_url":
        part["image_url"] = {"detail": "auto", **part["image_url"]}
    return part


def paths(value: Any, path: str = "") -> dict[str, Any]:
    """Return every member of a document by its path."""
    found = {}
    for name, member in walked(value, path):
        found[name] = member
        found |= paths(member, name)
    return found


def walked(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{path}.{name}" if path else name, member) for name, member in value.items())
    elif isinstance(value, list):
        yield from ((f"{path}[{index}]", member) for index, member in enumerate(value))


def marks(value: Any) -> set[str]:
    """Return the numbers that the generator gave each text, `<1>`."""
    return set(re.findall(r"<\d+>", json.dumps(value)))
