"""The OpenAI SDK against the gateway: a plain answer, a stream, and a tool call.

    make run                                                  # in another terminal
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=any .venv/bin/python examples/chat.py

The base URL is the only line that differs from a program that talks to OpenAI.
"""

from __future__ import annotations

import json

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

MODEL = "auto"

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def plain(client: OpenAI) -> None:
    """Ask once, and read from the headers what the gateway decided."""
    answer = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "Translate 'good morning' into French."}]
    )
    print("plain:", answer.parse().choices[0].message.content)
    print("answered by:", answer.headers["x-tierway-model"], "tier:", answer.headers["x-tierway-tier"])


def stream(client: OpenAI) -> None:
    """Print an answer as it comes, and the usage at its end."""
    chunks = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Write a haiku about rain."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    print("stream:", end=" ")
    for chunk in chunks:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f"\nusage: {chunk.usage.prompt_tokens} in, {chunk.usage.completion_tokens} out")


def tools(client: OpenAI) -> None:
    """Let the model call a function, and answer with its result."""
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Use get_weather for Rome."}]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], tool_choice="required")
    message = first.choices[0].message
    messages.append(message.model_dump(exclude_none=True))  # type: ignore[arg-type]  # what was received is sent back
    for call in message.tool_calls or []:
        if call.type != "function":
            continue
        print("tool:", call.function.name, json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "Sunny, 24 degrees."})
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    print("after the tool:", second.choices[0].message.content)


if __name__ == "__main__":
    with OpenAI() as openai:  # OPENAI_BASE_URL and OPENAI_API_KEY are read from the environment
        plain(openai)
        stream(openai)
        tools(openai)
