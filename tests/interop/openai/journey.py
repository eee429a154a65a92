"""The OpenAI client for Python: chat, responses, embeddings, completions, models."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.interop.steps import IMAGE_URL, WEATHER_SCHEMA, Journey, equals, marker, raises, says, told_cut

journey = Journey()
client: Any = OpenAI(base_url=journey.api, api_key=journey.key, max_retries=0)
MODEL = journey.model


class City(BaseModel):
    """What a structured answer holds."""

    name: str
    population: int


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": WEATHER_SCHEMA, "strict": True}}


def flat_function(name: str) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": WEATHER_SCHEMA, "strict": True}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def ask_chat(text: str) -> str | None:
    answer: str | None = client.chat.completions.create(model=MODEL, messages=[user(text)]).choices[0].message.content
    return answer


def ask_responses(text: str) -> str:
    answer: str = client.responses.create(model=MODEL, input=text).output_text
    return answer


# ---------------------------------------------------------------- chat


@journey.step("plain, with a system prompt", "chat")
def _() -> None:
    messages = [{"role": "system", "content": "Be brief."}, user("Hello Ünïcode 🦊")]
    answer = client.chat.completions.create(model=MODEL, messages=messages, max_completion_tokens=500)
    says(answer.choices[0].message.content, "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1")
    equals(answer.choices[0].finish_reason, "stop")
    equals(answer.object, "chat.completion")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@journey.step("developer message", "chat")
def _() -> None:
    messages = [{"role": "developer", "content": "Be a developer."}, user("Hello")]
    answer = client.chat.completions.create(model=MODEL, messages=messages)
    says(answer.choices[0].message.content, "system: Be a developer.")


@journey.step("stream adds up to the plain answer", "chat")
def _() -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=[user("Hello 🦊")], stream=True))
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks]
    equals("".join(texts), ask_chat("Hello 🦊"))
    assert len([text for text in texts if text]) > 2, texts
    equals(chunks[0].choices[0].delta.role, "assistant")
    equals([chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason], ["stop"])
    equals(len({chunk.id for chunk in chunks}), 1)
    assert all(chunk.usage is None for chunk in chunks), "usage that nobody asked for"


@journey.step("usage at the end of a stream", "chat")
def _() -> None:
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=[user("Hi")], stream=True, stream_options=options)
    )
    equals(chunks[-1].choices, [])
    assert chunks[-1].usage.prompt_tokens > 0 < chunks[-1].usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


@journey.step("one tool and its result", "chat")
def _() -> None:
    tools = [function("get_weather"), function("get_time")]
    messages: list[Any] = [user("Use get_weather for Paris.")]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    equals(first.choices[0].finish_reason, "tool_calls")
    [call] = first.choices[0].message.tool_calls
    equals((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}))
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    says(second.choices[0].message.content, "results: 18 degrees")


@journey.step("parallel tools in a stream, and their results", "chat")
def _() -> None:
    tools = [function("get_weather"), function("get_time")]
    messages: list[Any] = [user("Use get_weather and get_time for Oslo.")]
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=tools) as stream:
        for _event in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    equals([call.function.name for call in message.tool_calls], ["get_weather", "get_time"])
    equals([json.loads(call.function.arguments) for call in message.tool_calls], [{"city": "Oslo"}] * 2)
    assert message.tool_calls[0].id != message.tool_calls[1].id
    messages.append({"role": "assistant", "tool_calls": [call.to_dict() for call in message.tool_calls]})
    for call in message.tool_calls:
        call_result = {"role": "tool", "tool_call_id": call.id, "content": f"result of {call.function.name}"}
        messages.append({**call_result})
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    says(answer.choices[0].message.content, "results: result of get_weather; result of get_time")


@journey.step("tool choice: none, required, named, one at a time", "chat")
def _() -> None:
    def names(text: str, **options: Any) -> list[str]:
        tools = [function("get_weather"), function("get_time")]
        answer = client.chat.completions.create(model=MODEL, messages=[user(text)], tools=tools, **options)
        return [call.function.name for call in answer.choices[0].message.tool_calls or ()]

    equals(names("Use get_weather for Rome.", tool_choice="none"), [])
    equals(names("Anything for Rome.", tool_choice="required"), ["get_time"])
    named = {"type": "function", "function": {"name": "get_weather"}}
    equals(names("Anything for Rome.", tool_choice=named), ["get_weather"])
    equals(names("Use get_weather and get_time for Rome.", parallel_tool_calls=False), ["get_weather"])


@journey.step("structured output", "chat")
def _() -> None:
    answer = client.chat.completions.parse(
        model=MODEL, messages=[user("Describe the city for Oslo.")], response_format=City
    )
    equals(answer.choices[0].message.parsed, City(name="Oslo", population=7))


@journey.step("structured output in a stream", "chat")
def _() -> None:
    asked = [user("Describe the city for Bergen.")]
    with client.chat.completions.stream(model=MODEL, messages=asked, response_format=City) as stream:
        answer = stream.get_final_completion()
    equals(answer.choices[0].message.parsed, City(name="Bergen", population=7))


@journey.step("image", "chat")
def _() -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    says(answer.choices[0].message.content, "heard: What is this?", "images: 1")


@journey.step("multi-turn", "chat")
def _() -> None:
    messages = [user("First"), {"role": "assistant", "content": "Middle words"}, user("Last")]
    answer = client.chat.completions.create(model=MODEL, messages=messages)
    says(answer.choices[0].message.content, "heard: Last", "turns: 2", "previous: Middle words")


@journey.step("reasoning is asked for and counted", "chat")
def _() -> None:
    answer = client.chat.completions.create(model=MODEL, messages=[user("Think about rain.")], reasoning_effort="low")
    says(answer.choices[0].message.content, "heard: Think about rain.")
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0


@journey.step("unknown model", "chat")
def _() -> None:
    error = raises(
        openai.NotFoundError, lambda: client.chat.completions.create(model="no-such-model", messages=[user("Hi")])
    )
    equals(error.code, "model_not_found")


@journey.step("wrong key", "chat")
def _() -> None:
    stranger: Any = OpenAI(base_url=journey.api, api_key="wrong-key-0000000000", max_retries=0)
    raises(openai.AuthenticationError, lambda: stranger.chat.completions.create(model=MODEL, messages=[user("Hi")]))


@journey.step("a wrong request is a BadRequestError", "chat")
def _() -> None:
    raises(openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=[]))


@journey.step("leaving a stream stops the upstream", "chat")
def _() -> None:
    name = marker()
    with client.chat.completions.create(model=MODEL, messages=[user(f"Go slowly, {name}.")], stream=True) as chunks:
        next(iter(chunks))
    told_cut(name, ask_chat)


@journey.step("async: ten at once, each its own answer", "chat")
async def _() -> None:
    async with AsyncOpenAI(base_url=journey.api, api_key=journey.key, max_retries=0) as asked:

        async def ask(number: int) -> str:
            messages: Any = [user(f"number-{number}!")]
            answer = await asked.chat.completions.create(model=MODEL, messages=messages)
            return answer.choices[0].message.content or ""

        answers = await asyncio.gather(*(ask(number) for number in range(10)))
    for number, answer in enumerate(answers):
        says(answer, f"number-{number}!")


@journey.step("list and retrieve", "models")
def _() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    equals(client.models.retrieve(MODEL).id, MODEL)


# ---------------------------------------------------------------- responses


@journey.step("plain, with instructions", "responses")
def _() -> None:
    answer = client.responses.create(model=MODEL, input="Hello Ünïcode 🦊", instructions="Be brief.")
    says(answer.output_text, "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1")
    equals(answer.status, "completed")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


@journey.step("stream tells every event in order", "responses")
def _() -> None:
    events = list(client.responses.create(model=MODEL, input="Hello", stream=True))
    kinds = [event.type for event in events]
    for kind in ("response.created", "response.output_item.added", "response.content_part.added"):
        assert kinds.count(kind) == 1, kinds
    equals(kinds[-4:][0:3], ["response.output_text.done", "response.content_part.done", "response.output_item.done"])
    equals(kinds[-1], "response.completed")
    equals([event.sequence_number for event in events], list(range(len(events))))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    says(text, "heard: Hello")
    equals(events[-1].response.output_text, text)


@journey.step("parallel tools in a stream, their results through the input", "responses")
def _() -> None:
    tools = [flat_function("get_weather"), flat_function("get_time")]
    items: list[Any] = [user("Use get_weather and get_time for Oslo.")]
    with client.responses.stream(model=MODEL, input=items, tools=tools) as stream:
        for _event in stream:
            pass
        first = stream.get_final_response()
    calls = [item for item in first.output if item.type == "function_call"]
    equals(
        [(call.name, json.loads(call.arguments)["city"]) for call in calls],
        [("get_weather", "Oslo"), ("get_time", "Oslo")],
    )
    items += [item.to_dict(exclude_none=True) for item in first.output]
    items = [{name: value for name, value in item.items() if name != "parsed_arguments"} for item in items]
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": f"by {call.name}"} for call in calls]
    answer = client.responses.create(model=MODEL, input=items, tools=tools)
    says(answer.output_text, "results: by get_weather; by get_time")


@journey.step("one tool, its result through previous_response_id", "responses")
def _() -> None:
    tools = [flat_function("get_weather")]
    first = client.responses.create(model=MODEL, input="Use get_weather for Paris.", tools=tools)
    [call] = [item for item in first.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    answer = client.responses.create(model=MODEL, input=[result], previous_response_id=first.id, tools=tools)
    says(answer.output_text, "heard: Use get_weather for Paris.", "results: 18 degrees")


@journey.step("previous_response_id keeps the conversation, not the instructions", "responses")
def _() -> None:
    first = client.responses.create(model=MODEL, input="First words", instructions="Be brief.")
    second = client.responses.create(model=MODEL, input="Second words", previous_response_id=first.id)
    says(second.output_text, "heard: Second words", "turns: 2", "previous: heard: First words")
    assert "system:" not in second.output_text.partition("previous:")[0], second.output_text
    equals(second.previous_response_id, first.id)


@journey.step("unknown previous_response_id", "responses")
def _() -> None:
    error = raises(
        openai.BadRequestError,
        lambda: client.responses.create(model=MODEL, input="Hi", previous_response_id="resp_0123456789abcdef"),
    )
    equals(error.code, "previous_response_not_found")


@journey.step("structured output", "responses")
def _() -> None:
    answer = client.responses.parse(model=MODEL, input="Describe the city for Oslo.", text_format=City)
    equals(answer.output_parsed, City(name="Oslo", population=7))


@journey.step("image", "responses")
def _() -> None:
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": IMAGE_URL}]
    answer = client.responses.create(model=MODEL, input=[{"role": "user", "content": parts}])
    says(answer.output_text, "heard: What is this?", "images: 1")


@journey.step("reasoning, sealed and sent back without being stored", "responses")
def _() -> None:
    tools = [flat_function("get_weather")]
    options = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    items: list[Any] = [user("Use get_weather for Rome.")]
    first = client.responses.create(model=MODEL, input=items, tools=tools, store=False, **options)
    equals([item.type for item in first.output], ["reasoning", "function_call"])
    says(first.output[0].summary[0].text, "I consider: Rome")
    assert first.output[0].encrypted_content
    assert first.usage.output_tokens_details.reasoning_tokens > 0
    items += [item.to_dict(exclude_none=True) for item in first.output]
    items.append({"type": "function_call_output", "call_id": first.output[1].call_id, "output": "hot"})
    second = client.responses.create(model=MODEL, input=items, tools=tools, store=False, **options)
    says(second.output_text, "results: hot")


@journey.step("reasoning in a stream", "responses")
def _() -> None:
    options = {"reasoning": {"effort": "low", "summary": "auto"}}
    events = list(client.responses.create(model=MODEL, input="Think about rain.", stream=True, **options))
    thought = "".join(event.delta for event in events if event.type == "response.reasoning_summary_text.delta")
    equals(thought, "I consider: rain")


@journey.step("retrieve, input items, delete", "responses")
def _() -> None:
    made = client.responses.create(model=MODEL, input="Keep this")
    equals(client.responses.retrieve(made.id).output_text, made.output_text)
    [item] = list(client.responses.input_items.list(made.id))
    equals(item.content if isinstance(item.content, str) else item.content[0].text, "Keep this")
    client.responses.delete(made.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(made.id))


@journey.step("not stored when asked not to", "responses")
def _() -> None:
    made = client.responses.create(model=MODEL, input="Forget this", store=False)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(made.id))


@journey.step("cancel is for background responses", "responses")
def _() -> None:
    made = client.responses.create(model=MODEL, input="Done already")
    raises(openai.BadRequestError, lambda: client.responses.cancel(made.id))


@journey.step("unknown model and wrong key", "responses")
def _() -> None:
    raises(openai.NotFoundError, lambda: client.responses.create(model="no-such-model", input="Hi"))
    stranger: Any = OpenAI(base_url=journey.api, api_key="wrong-key-0000000000", max_retries=0)
    raises(openai.AuthenticationError, lambda: stranger.responses.create(model=MODEL, input="Hi"))


@journey.step("leaving a stream stops the upstream", "responses")
def _() -> None:
    name = marker()
    with client.responses.create(model=MODEL, input=f"Go slowly, {name}.", stream=True) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                break
    told_cut(name, ask_responses)


# ---------------------------------------------------------------- embeddings, completions


@journey.step("four forms of input, two encodings, fewer dimensions", "embeddings")
def _() -> None:
    name = journey.embeddings_model
    one = client.embeddings.create(model=name, input="hello")
    equals(len(one.data[0].embedding), 8)
    several = client.embeddings.create(model=name, input=["hello", "world"])
    equals([row.index for row in several.data], [0, 1])
    equals(several.data[0].embedding, one.data[0].embedding)
    equals(len(client.embeddings.create(model=name, input=[1, 2, 3]).data), 1)
    equals(len(client.embeddings.create(model=name, input=[[1, 2], [3]]).data), 2)
    floats = client.embeddings.create(model=name, input="hello", encoding_format="float")
    assert all(abs(a - b) < 1e-6 for a, b in zip(floats.data[0].embedding, one.data[0].embedding, strict=True))
    equals(len(client.embeddings.create(model=name, input="hello", dimensions=4).data[0].embedding), 4)
    assert one.usage.total_tokens == one.usage.prompt_tokens > 0


@journey.step("unknown model", "embeddings")
def _() -> None:
    raises(openai.NotFoundError, lambda: client.embeddings.create(model="no-such-model", input="Hi"))


@journey.step("plain and stream", "completions")
def _() -> None:
    name = journey.embeddings_model
    answer = client.completions.create(model=name, prompt="Once upon")
    says(answer.choices[0].text, "heard: Once upon")
    chunks = list(client.completions.create(model=name, prompt="Once upon", stream=True))
    equals("".join(chunk.choices[0].text for chunk in chunks), answer.choices[0].text)


if __name__ == "__main__":
    sys.exit(journey.run())
