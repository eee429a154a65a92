"""The OpenAI Agents SDK: a tool loop over responses and over chat, with sessions and structured answers."""

# The client is in an environment of its own, which the type checker does not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import openai
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel

from tests.interop.steps import IMAGE_URL, Journey, equals, marker, says, told_cut_async

journey = Journey()
set_tracing_disabled(disabled=True)
MODELS: dict[str, Any] = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}


class City(BaseModel):
    """A city."""

    name: str
    population: int


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"18 degrees in {city}"


@function_tool
def get_time(city: str) -> str:
    """Tell the time."""
    return f"noon in {city}"


def agent(route: str, name: str = journey.model, key: str = journey.key, **more: Any) -> Any:
    client = AsyncOpenAI(base_url=journey.api, api_key=key, max_retries=0)
    return Agent(name="Guide", model=MODELS[route](model=name, openai_client=client), **more)


async def plain(route: str) -> None:
    result = await Runner.run(agent(route, instructions="Be brief."), "Hello Ünïcode 🦊")
    says(result.final_output, "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1")
    assert result.context_wrapper.usage.total_tokens > 0


async def tools(route: str) -> None:
    guide = agent(route, tools=[get_weather, get_time])
    result = await Runner.run(guide, "Use get_weather and get_time for Oslo.")
    says(result.final_output, "results: 18 degrees in Oslo; noon in Oslo")


async def streamed(route: str) -> None:
    result = Runner.run_streamed(agent(route, tools=[get_weather]), "Use get_weather for Paris.")
    events = [event async for event in result.stream_events()]
    texts = [
        event.data.delta
        for event in events
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    equals("".join(texts), result.final_output)
    says(result.final_output, "results: 18 degrees in Paris")


async def structured(route: str) -> None:
    result = await Runner.run(agent(route, output_type=City), "Describe the city for Oslo.")
    equals(result.final_output, City(name="Oslo", population=7))


async def image(route: str) -> None:
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": IMAGE_URL, "detail": "auto"},
    ]
    asked: Any = [{"role": "user", "content": parts}]
    says((await Runner.run(agent(route), asked)).final_output, "heard: What is this?", "images: 1")


async def session(route: str) -> None:
    kept = SQLiteSession("interop")
    guide = agent(route, tools=[get_weather])
    await Runner.run(guide, "Use get_weather for Rome.", session=kept)
    second = await Runner.run(guide, "Second words", session=kept)
    says(second.final_output, "heard: Second words", "turns: 2", "previous: heard: Use get_weather for Rome.")
    kept.close()


async def handed_over(route: str) -> None:
    expert = agent(route, instructions="I am the expert.", handoff_description="Knows all.")
    expert.name = "Expert"
    first = agent(route, handoffs=[expert])
    result = await Runner.run(first, "Use transfer_to_expert please.")
    says(result.final_output, "system: I am the expert.")
    equals(result.last_agent.name, "Expert")


async def reasoning(route: str) -> None:
    settings = ModelSettings(reasoning=Reasoning(effort="low"))
    guide = agent(route, tools=[get_weather], model_settings=settings)
    says((await Runner.run(guide, "Use get_weather for Rome.")).final_output, "results: 18 degrees in Rome")


async def cancel(route: str) -> None:
    name = marker()
    result = Runner.run_streamed(agent(route), f"Go slowly, {name}.")
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            result.cancel()

    async def ask(words: str) -> str:
        return str((await Runner.run(agent(route), words)).final_output)

    await told_cut_async(name, ask)


async def errors(route: str) -> None:
    for wrong, kind in (
        ({"name": "no-such-model"}, openai.NotFoundError),
        ({"key": "wrong-key-0000000000"}, openai.AuthenticationError),
    ):
        try:
            await Runner.run(agent(route, **wrong), "Hi")
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")


for _route in MODELS:
    for _name, _body in {
        "plain, with instructions": plain,
        "parallel tools and their results": tools,
        "a tool in a stream": streamed,
        "structured output": structured,
        "image": image,
        "session": session,
        "handing over": handed_over,
        "reasoning with a tool": reasoning,
        "leaving a stream stops the upstream": cancel,
        "unknown model and wrong key": errors,
    }.items():
        journey.step(_name, _route)(partial(_body, _route))


@journey.step("previous_response_id", "responses")
async def _() -> None:
    guide = agent("responses", tools=[get_weather])
    first = await Runner.run(guide, "Use get_weather for Rome.", auto_previous_response_id=True)
    says(first.final_output, "results: 18 degrees in Rome")
    second = await Runner.run(guide, "Second words", previous_response_id=first.last_response_id)
    says(second.final_output, "heard: Second words", "turns: 2", "previous: heard: Use get_weather for Rome.")


@journey.step("reasoning sealed and sent back, not stored", "responses")
async def _() -> None:
    settings = ModelSettings(
        reasoning=Reasoning(effort="low", summary="auto"), store=False, response_include=["reasoning.encrypted_content"]
    )
    guide = agent("responses", tools=[get_weather], model_settings=settings)
    result = await Runner.run(guide, "Use get_weather for Rome.")
    says(result.final_output, "results: 18 degrees in Rome")
    assert any(item.type == "reasoning_item" for item in result.new_items), result.new_items


if __name__ == "__main__":
    sys.exit(journey.run())
