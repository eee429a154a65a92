"""pydantic-ai: chat, responses and Anthropic models, with tools and typed outputs."""

# The client is in an environment of its own, which the type checker does not see.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.messages import ModelResponse, ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIResponsesModel,
    OpenAIResponsesModelSettings,
)
from pydantic_ai.profiles.anthropic import AnthropicModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.interop.steps import IMAGE, Journey, equals, marker, says, told_cut_async

journey = Journey()
SCHEMAS = AnthropicModelProfile(supports_json_schema_output=True)
THINKING: dict[str, Any] = {
    "chat": OpenAIChatModelSettings(openai_reasoning_effort="low"),
    "responses": OpenAIResponsesModelSettings(openai_reasoning_effort="low", openai_reasoning_summary="auto"),
    "messages": AnthropicModelSettings(max_tokens=2000, anthropic_thinking={"type": "enabled", "budget_tokens": 1024}),
}


class City(BaseModel):
    """A city."""

    name: str
    population: int


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"18 degrees in {city}"


def get_time(city: str) -> str:
    """Tell the time."""
    return f"noon in {city}"


def agent(route: str, name: str = journey.model, key: str = journey.key, **more: Any) -> Any:
    if route == "messages":
        anthropic = AsyncAnthropic(base_url=journey.origin, api_key=key, max_retries=0)
        provider = AnthropicProvider(anthropic_client=anthropic)
        return Agent(AnthropicModel(name, provider=provider, profile=SCHEMAS), **more)
    openai = AsyncOpenAI(base_url=journey.api, api_key=key, max_retries=0)
    kind: Any = {"chat": OpenAIChatModel, "responses": OpenAIResponsesModel}[route]
    return Agent(kind(name, provider=OpenAIProvider(openai_client=openai)), **more)


async def plain(route: str) -> None:
    result = await agent(route, instructions="Be brief.").run("Hello Ünïcode 🦊")
    says(result.output, "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1")
    assert result.usage.output_tokens > 0


async def streamed(route: str) -> None:
    async with agent(route).run_stream("Hello 🦊") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 2, pieces
    says("".join(pieces), "heard: Hello 🦊")


async def tools(route: str) -> None:
    guide = agent(route, tools=[get_weather, get_time])
    result = await guide.run("Use get_weather and get_time for Oslo.")
    says(result.output, "results: 18 degrees in Oslo; noon in Oslo")


async def streamed_tools(route: str) -> None:
    async with agent(route, tools=[get_weather]).run_stream("Use get_weather for Paris.") as result:
        says(await result.get_output(), "results: 18 degrees in Paris")


async def structured(route: str, *, way: Any) -> None:
    result = await agent(route, output_type=way(City)).run("Describe the city for Oslo.")
    equals(result.output, City(name="Oslo", population=7))


async def tool_then_structured(route: str) -> None:
    guide = agent(route, tools=[get_weather], output_type=ToolOutput(City))
    result = await guide.run("Use get_weather for Oslo.")
    equals(result.output, City(name="Oslo", population=7))


async def image(route: str) -> None:
    picture = BinaryContent.from_data_uri(f"data:image/png;base64,{IMAGE}")
    says((await agent(route).run(["What is this?", picture])).output, "heard: What is this?", "images: 1")


async def turns(route: str) -> None:
    guide = agent(route, tools=[get_weather])
    first = await guide.run("Use get_weather for Rome.")
    second = await guide.run("Second words", message_history=first.all_messages())
    says(second.output, "heard: Second words", "turns: 2", "previous: heard: Use get_weather for Rome.")


async def reasoning(route: str) -> None:
    guide = agent(route, tools=[get_weather], model_settings=THINKING[route])
    result = await guide.run("Think, then use get_weather for Rome.")
    says(result.output, "results: 18 degrees in Rome")
    responses = [message for message in result.all_messages() if isinstance(message, ModelResponse)]
    thought = [part.content for part in responses[0].parts if isinstance(part, ThinkingPart)]
    if journey.upstream != "full" or route == "responses":
        equals(thought, ["I consider: Rome"])


async def cancel(route: str) -> None:
    name = marker()
    async with agent(route).run_stream(f"Go slowly, {name}.") as result:
        async for _piece in result.stream_text(delta=True, debounce_by=None):
            break

    async def ask(words: str) -> str:
        return str((await agent(route).run(words)).output)

    await told_cut_async(name, ask)


async def errors(route: str) -> None:
    for wrong, status in (({"name": "no-such-model"}, 404), ({"key": "wrong-key-0000000000"}, 401)):
        try:
            await agent(route, **wrong).run("Hi")
        except ModelHTTPError as error:
            equals(error.status_code, status)
            continue
        raise AssertionError(f"no error of status {status}")


STEPS: dict[str, Any] = {
    "plain, with instructions": plain,
    "stream": streamed,
    "parallel tools and their results": tools,
    "a tool in a stream": streamed_tools,
    "structured output through a tool": partial(structured, way=ToolOutput),
    "structured output by schema": partial(structured, way=NativeOutput),
    "a tool, then structured output": tool_then_structured,
    "image": image,
    "multi-turn": turns,
    "reasoning with a tool": reasoning,
    "leaving a stream stops the upstream": cancel,
    "unknown model and wrong key": errors,
}
for _route in ("chat", "responses", "messages"):
    for _name, _body in STEPS.items():
        journey.step(_name, _route)(partial(_body, _route))


if __name__ == "__main__":
    sys.exit(journey.run())
