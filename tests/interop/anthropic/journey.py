"""The Anthropic client for Python: messages, counting tokens."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

from tests.interop.steps import IMAGE, WEATHER_SCHEMA, Journey, equals, marker, raises, says, told_cut

journey = Journey()
client: Any = Anthropic(base_url=journey.origin, api_key=journey.key, max_retries=0)
MODEL = journey.model
COMMON: dict[str, Any] = {"model": MODEL, "max_tokens": 2000}
THINKING: dict[str, Any] = {"type": "enabled", "budget_tokens": 1024}


class City(BaseModel):
    """What a structured answer holds."""

    name: str
    population: int


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"Answers {name}.", "input_schema": WEATHER_SCHEMA}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def told(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def ask(words: str) -> str:
    return told(client.messages.create(**COMMON, messages=[user(words)]))


def result(call: Any, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call.id, "content": content, **more}


@journey.step("plain, with a system prompt", "messages")
def _() -> None:
    answer = client.messages.create(**COMMON, system="Be brief.", messages=[user("Hello Ünïcode 🦊")])
    says(told(answer), "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1")
    equals((answer.type, answer.role, answer.stop_reason), ("message", "assistant", "end_turn"))
    assert answer.usage.input_tokens > 0 < answer.usage.output_tokens


@journey.step("request id on answers and errors", "messages")
def _() -> None:
    assert client.messages.create(**COMMON, messages=[user("Hello")])._request_id
    error = raises(
        anthropic.NotFoundError, lambda: client.messages.create(**{**COMMON, "model": "no"}, messages=[user("Hi")])
    )
    assert error.request_id


@journey.step("stream adds up to the plain answer", "messages")
def _() -> None:
    with client.messages.stream(**COMMON, messages=[user("Hello 🦊")]) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 2, pieces
    equals("".join(pieces), ask("Hello 🦊"))
    equals((told(final), final.stop_reason), ("".join(pieces), "end_turn"))
    assert final.usage.output_tokens > 1


@journey.step("raw events in order", "messages")
def _() -> None:
    events = list(client.messages.create(**COMMON, messages=[user("Hello")], stream=True))
    kinds = [event.type for event in events if event.type not in {"ping", "content_block_delta"}]
    wanted = ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
    equals(kinds, wanted)
    equals(events[0].message.content, [])
    equals(events[-2].delta.stop_reason, "end_turn")


@journey.step("one tool and its result, one that is an error", "messages")
def _() -> None:
    tools = [tool("get_weather"), tool("get_time")]
    messages: list[Any] = [user("Use get_weather for Paris.")]
    first = client.messages.create(**COMMON, messages=messages, tools=tools)
    equals(first.stop_reason, "tool_use")
    [call] = [block for block in first.content if block.type == "tool_use"]
    equals((call.name, call.input), ("get_weather", {"city": "Paris"}))
    messages += [{"role": "assistant", "content": first.content}, user(result(call, "18 degrees"))]
    says(told(client.messages.create(**COMMON, messages=messages, tools=tools)), "results: 18 degrees")
    messages[-1] = user(result(call, [text("no such city")], is_error=True))
    says(told(client.messages.create(**COMMON, messages=messages, tools=tools)), "no such city")


@journey.step("parallel tools in a stream, and their results with words after them", "messages")
def _() -> None:
    tools = [tool("get_weather"), tool("get_time")]
    messages: list[Any] = [user("Use get_weather and get_time for Oslo.")]
    with client.messages.stream(**COMMON, messages=messages, tools=tools) as stream:
        first = stream.get_final_message()
    calls = [block for block in first.content if block.type == "tool_use"]
    equals(
        [(call.name, call.input) for call in calls], [("get_weather", {"city": "Oslo"}), ("get_time", {"city": "Oslo"})]
    )
    assert calls[0].id != calls[1].id
    results = [result(call, f"by {call.name}") for call in calls]
    messages.append({"role": "assistant", "content": first.content})
    answer = client.messages.create(**COMMON, messages=[*messages, user(*results)], tools=tools)
    says(told(answer), "results: by get_weather; by get_time")
    answer = client.messages.create(**COMMON, messages=[*messages, user(*results, text("And now?"))], tools=tools)
    says(told(answer), "heard: And now?", "turns: 2")


@journey.step("tool choice: none, any, named, one at a time", "messages")
def _() -> None:
    def names(words: str, **choice: Any) -> list[str]:
        tools = [tool("get_weather"), tool("get_time")]
        answer = client.messages.create(**COMMON, messages=[user(words)], tools=tools, tool_choice=choice)
        return [block.name for block in answer.content if block.type == "tool_use"]

    equals(names("Use get_weather for Rome.", type="none"), [])
    equals(names("Anything for Rome.", type="any"), ["get_time"])
    equals(names("Anything for Rome.", type="tool", name="get_weather"), ["get_weather"])
    one = names("Use get_weather and get_time for Rome.", type="auto", disable_parallel_tool_use=True)
    equals(one, ["get_weather"])


@journey.step("structured output", "messages")
def _() -> None:
    answer = client.messages.parse(**COMMON, messages=[user("Describe the city for Oslo.")], output_format=City)
    equals(answer.parsed_output, City(name="Oslo", population=7))


@journey.step("image", "messages")
def _() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
    answer = client.messages.create(**COMMON, messages=[user(image, text("What is this?"))])
    says(told(answer), "heard: What is this?", "images: 1")


@journey.step("multi-turn", "messages")
def _() -> None:
    messages = [user("First"), {"role": "assistant", "content": "Middle words"}, user("Last")]
    answer = client.messages.create(**COMMON, messages=messages)
    says(told(answer), "heard: Last", "turns: 2", "previous: Middle words")


@journey.step("cache marks are taken, and counted where there is a cache", "messages")
def _() -> None:
    system = [text("A long handbook.", cache_control={"type": "ephemeral"})]
    answers = [client.messages.create(**COMMON, system=system, messages=[user("Hello cache")]) for _ in range(2)]
    says(told(answers[1]), "system: A long handbook.")
    if journey.upstream == "claude":
        assert answers[1].usage.cache_read_input_tokens > 0, answers[1].usage


@journey.step("thinking, sent back with a tool's result", "messages")
def _() -> None:
    tools = [tool("get_weather")]
    messages: list[Any] = [user("Think, then use get_weather for Rome.")]
    first = client.messages.create(**COMMON, messages=messages, tools=tools, thinking=THINKING)
    if journey.upstream != "full":
        equals(first.content[0].type, "thinking")
        equals(first.content[0].thinking, "I consider: Rome")
    [call] = [block for block in first.content if block.type == "tool_use"]
    messages += [{"role": "assistant", "content": first.content}, user(result(call, "hot"))]
    second = client.messages.create(**COMMON, messages=messages, tools=tools, thinking=THINKING)
    says(told(second), "results: hot")


@journey.step("thinking in a stream", "messages")
def _() -> None:
    with client.messages.stream(**COMMON, messages=[user("Think about rain.")], thinking=THINKING) as stream:
        final = stream.get_final_message()
    says(told(final), "heard: Think about rain.")
    if journey.upstream != "full":
        equals(final.content[0].thinking, "I consider: rain")
    if journey.upstream == "claude":
        assert final.content[0].signature


@journey.step("count_tokens", "messages")
def _() -> None:
    few = client.messages.count_tokens(model=MODEL, messages=[user("Hello")]).input_tokens
    many = client.messages.count_tokens(model=MODEL, messages=[user("Hello " * 500)], tools=[tool("x")]).input_tokens
    assert 0 < few < many, (few, many)


@journey.step("unknown model and wrong key", "messages")
def _() -> None:
    error = raises(
        anthropic.NotFoundError,
        lambda: client.messages.create(model="no-such-model", max_tokens=5, messages=[user("Hi")]),
    )
    equals((error.body["type"], error.body["error"]["type"]), ("error", "not_found_error"))
    stranger: Any = Anthropic(base_url=journey.origin, api_key="wrong-key-0000000000", max_retries=0)
    error = raises(anthropic.AuthenticationError, lambda: stranger.messages.create(**COMMON, messages=[user("Hi")]))
    equals(error.body["error"]["type"], "authentication_error")


@journey.step("a wrong request is a BadRequestError", "messages")
def _() -> None:
    error = raises(anthropic.BadRequestError, lambda: client.messages.create(**COMMON, messages=[]))
    equals(error.body["error"]["type"], "invalid_request_error")


@journey.step("leaving a stream stops the upstream", "messages")
def _() -> None:
    name = marker()
    with client.messages.stream(**COMMON, messages=[user(f"Go slowly, {name}.")]) as stream:
        next(iter(stream.text_stream))
    told_cut(name, ask)


@journey.step("async: ten at once, each its own answer", "messages")
async def _() -> None:
    async with AsyncAnthropic(base_url=journey.origin, api_key=journey.key, max_retries=0) as asked:

        async def one(number: int) -> str:
            messages: Any = [user(f"number-{number}!")]
            return told(await asked.messages.create(**COMMON, messages=messages))

        answers = await asyncio.gather(*(one(number) for number in range(10)))
    for number, answer in enumerate(answers):
        says(answer, f"number-{number}!")


@journey.step("an overloaded upstream is a server error", "messages")
def _() -> None:
    error = raises(anthropic.InternalServerError, lambda: ask("overloaded"))
    assert error.body["error"]["type"] in {"overloaded_error", "api_error"}, error.body


if __name__ == "__main__":
    sys.exit(journey.run())
