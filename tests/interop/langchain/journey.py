"""LangChain: ChatOpenAI over chat and responses, ChatAnthropic, OpenAIEmbeddings."""

# The client is in an environment of its own, which the type checker does not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.interop.steps import IMAGE_URL, Journey, equals, marker, raises, says, told_cut

journey = Journey()


class City(BaseModel):
    """A city."""

    name: str
    population: int


@tool
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"18 degrees in {city}"


@tool
def get_time(city: str) -> str:
    """Tell the time."""
    return f"noon in {city}"


TOOLS: Any = {"get_weather": get_weather, "get_time": get_time}


def over_openai(*, responses: bool, **more: Any) -> Any:
    given = {"model": journey.model, "base_url": journey.api, "api_key": SecretStr(journey.key), "max_retries": 0}
    return ChatOpenAI(**{**given, "use_responses_api": responses, **more})


def over_anthropic(**more: Any) -> Any:
    given = {"model": journey.model, "base_url": journey.origin, "api_key": SecretStr(journey.key), "max_retries": 0}
    return ChatAnthropic(**{**given, "max_tokens": 2000, **more})


def plain(make: Any) -> None:
    answer = make().invoke([SystemMessage("Be brief."), HumanMessage("Hello Ünïcode 🦊")])
    says(answer.text, "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1")
    assert answer.usage_metadata["total_tokens"] > 0


def stream(make: Any) -> None:
    chunks = list(make(stream_usage=True).stream("Hello 🦊"))
    says("".join(chunk.text for chunk in chunks), "heard: Hello 🦊")
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.usage_metadata["output_tokens"] > 0, whole.usage_metadata


def tools(make: Any) -> None:
    model = make().bind_tools(list(TOOLS.values()))
    messages: list[Any] = [HumanMessage("Use get_weather and get_time for Oslo.")]
    first = model.invoke(messages)
    equals(
        [(call["name"], call["args"]) for call in first.tool_calls],
        [("get_weather", {"city": "Oslo"}), ("get_time", {"city": "Oslo"})],
    )
    results = [TOOLS[call["name"]].invoke(call) for call in first.tool_calls]
    says(model.invoke([*messages, first, *results]).text, "results: 18 degrees in Oslo; noon in Oslo")


def streamed_tools(make: Any) -> None:
    model = make().bind_tools(list(TOOLS.values()))
    messages: list[Any] = [HumanMessage("Use get_weather for Paris.")]
    chunks = list(model.stream(messages))
    first = chunks[0]
    for chunk in chunks[1:]:
        first += chunk
    [call] = first.tool_calls
    equals((call["name"], call["args"]), ("get_weather", {"city": "Paris"}))
    answer = model.invoke([*messages, first, ToolMessage("mild", tool_call_id=call["id"])])
    says(answer.text, "results: mild")


def structured(make: Any, **method: Any) -> None:
    equals(
        make().with_structured_output(City, **method).invoke("Describe the city for Oslo."),
        City(name="Oslo", population=7),
    )


def image(make: Any) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
    says(make().invoke([HumanMessage(content=parts)]).text, "heard: What is this?", "images: 1")


def turns(make: Any) -> None:
    answer = make().invoke([HumanMessage("First"), AIMessage("Middle words"), HumanMessage("Last")])
    says(answer.text, "heard: Last", "turns: 2", "previous: Middle words")


def cancel(make: Any) -> None:
    name = marker()
    chunks = make().stream(f"Go slowly, {name}.")
    while not next(chunks).text:
        pass
    chunks.close()
    told_cut(name, lambda words: str(make().invoke(words).text))


def errors(make: Any, library: Any) -> None:
    raises(library.NotFoundError, lambda: make(model="no-such-model").invoke("Hi"))
    raises(library.AuthenticationError, lambda: make(api_key=SecretStr("wrong-key-0000000000")).invoke("Hi"))


WAYS: dict[str, tuple[Any, Any]] = {
    "chat": (partial(over_openai, responses=False), openai),
    "responses": (partial(over_openai, responses=True), openai),
    "messages": (over_anthropic, anthropic),
}
for _route, (_make, _library) in WAYS.items():
    for _name, _body in {
        "plain, with a system prompt": plain,
        "stream": stream,
        "parallel tools and their results": tools,
        "one tool in a stream, and its result": streamed_tools,
        "structured output": structured,
        "image": image,
        "multi-turn": turns,
        "leaving a stream stops the upstream": cancel,
    }.items():
        journey.step(_name, _route)(partial(_body, _make))
    journey.step("unknown model and wrong key", _route)(partial(errors, _make, _library))
    journey.step("structured output through a tool", _route)(partial(structured, _make, method="function_calling"))


@journey.step("reasoning", "chat")
def _() -> None:
    answer = over_openai(responses=False, reasoning_effort="low").invoke("Think about rain.")
    assert answer.usage_metadata["output_token_details"]["reasoning"] > 0, answer.usage_metadata


@journey.step("reasoning with a tool, sealed and sent back", "responses")
def _() -> None:
    more: Any = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    model = over_openai(responses=True, store=False, **more).bind_tools([get_weather])
    messages: list[Any] = [HumanMessage("Use get_weather for Rome.")]
    first = model.invoke(messages)
    says(str(first.content), "I consider: Rome")
    results = [get_weather.invoke(call) for call in first.tool_calls]
    says(model.invoke([*messages, first, *results]).text, "results: 18 degrees in Rome")


@journey.step("previous response", "responses")
def _() -> None:
    model = over_openai(responses=True, use_previous_response_id=True)
    first = model.invoke("First words")
    second = model.invoke([HumanMessage("First words"), first, HumanMessage("Second words")])
    says(second.text, "heard: Second words", "turns: 2", "previous: heard: First words")


@journey.step("thinking with a tool, signed and sent back", "messages")
def _() -> None:
    model = over_anthropic(thinking={"type": "enabled", "budget_tokens": 1024}).bind_tools([get_weather])
    messages: list[Any] = [HumanMessage("Use get_weather for Rome.")]
    first = model.invoke(messages)
    results = [get_weather.invoke(call) for call in first.tool_calls]
    says(model.invoke([*messages, first, *results]).text, "results: 18 degrees in Rome")


@journey.step("documents and a query", "embeddings")
def _() -> None:
    embeddings = OpenAIEmbeddings(
        model=journey.embeddings_model,
        base_url=journey.api,
        api_key=SecretStr(journey.key),
        check_embedding_ctx_length=False,
    )
    rows = embeddings.embed_documents(["hello", "world"])
    equals([len(row) for row in rows], [8, 8])
    equals(embeddings.embed_query("hello"), rows[0])


if __name__ == "__main__":
    sys.exit(journey.run())
