"""The real OpenAI client, pointed at the gateway by its base URL alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from pydantic import BaseModel

from tests.support.live import UPSTREAM_KEY, LiveGateway
from tests.support.moment import Moment
from tests.support.scripted_upstream import (
    ABORT,
    USAGE,
    ScriptedUpstream,
    Step,
    chunk,
    completion,
    error,
    events,
    plain,
    stream,
)

KEY = "sk-a-key-for-everything-0001"
NARROW_KEY = "sk-a-key-for-one-model-00001"
KEYED = {
    "server": {"body_limit_mb": 0.05},
    "upstreams": {"offline": {"kind": "echo"}},
    "models": {"small": {"upstream": "offline"}, "big": {"upstream": "offline"}},
    "organisation": {
        "teams": {
            "t": {
                "keys": [{"name": "all", "secret": KEY}, {"name": "narrow", "secret": NARROW_KEY, "models": ["small"]}]
            }
        }
    },
}

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi there"}]


def tool(name: str, *fields: str) -> ChatCompletionToolUnionParam:
    properties = {field: {"type": "string"} for field in fields}
    parameters: dict[str, object] = {"type": "object", "properties": properties, "required": [*fields]}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [tool("get_weather", "city"), tool("get_time", "zone"), tool("send_mail", "to")]
ASKS_FOR_TWO: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Use get_weather and get_time for Paris."}
]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("keyed"), KEYED) as gateway:
        yield gateway


@pytest.fixture
def offline(echo: LiveGateway) -> Iterator[OpenAI]:
    """A client of the built-in models, without a key of anyone's."""
    with OpenAI(base_url=echo.api, api_key="any", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def offline_async(echo: LiveGateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=echo.api, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def client(relay: LiveGateway) -> Iterator[OpenAI]:
    """A client of the scripted upstream, through the gateway."""
    with OpenAI(base_url=relay.api, api_key="any", max_retries=0) as started:
        yield started


@pytest_asyncio.fixture
async def client_async(relay: LiveGateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=relay.api, api_key="any", max_retries=0) as started:
        yield started


# ---------------------------------------------------------------- answers


def test_plain_answer(offline: OpenAI) -> None:
    answer = offline.chat.completions.create(model="gpt-4o-mini", messages=HI)

    assert "Hi there" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "echo-simple"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_plain_answer_async(offline_async: AsyncOpenAI) -> None:
    answer = await offline_async.chat.completions.create(model="auto/medium", messages=HI)

    assert "Hi there" in (answer.choices[0].message.content or "")
    assert answer.model == "echo-medium"


def test_stream_adds_up_to_the_plain_answer(offline: OpenAI) -> None:
    whole = offline.chat.completions.create(model="auto", messages=HI)

    with offline.chat.completions.create(model="auto", messages=HI, stream=True) as chunks:
        texts = [one.choices[0].delta.content or "" for one in chunks]

    assert len(texts) > 2
    assert "".join(texts) == whole.choices[0].message.content


async def test_stream_async_with_usage(offline_async: AsyncOpenAI) -> None:
    started = await offline_async.chat.completions.create(
        model="auto", messages=HI, stream=True, stream_options={"include_usage": True}
    )

    chunks = [one async for one in started]

    assert [bool(one.usage) for one in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []


def test_several_choices_are_streamed_apart(offline: OpenAI) -> None:
    with offline.chat.completions.create(model="auto", messages=HI, stream=True, n=2) as chunks:
        found = {choice.index for one in chunks for choice in one.choices}

    assert found == {0, 1}


def test_two_tools_are_called_at_once(offline: OpenAI) -> None:
    answer = offline.chat.completions.create(model="auto", messages=ASKS_FOR_TWO, tools=TOOLS)

    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ["get_weather", "get_time"]
    assert answer.choices[0].finish_reason == "tool_calls"


def test_parallel_calls_are_streamed_by_index(offline: OpenAI) -> None:
    with offline.chat.completions.stream(model="auto", messages=ASKS_FOR_TWO, tools=TOOLS) as events_:
        pieces = [event for event in events_ if event.type == "tool_calls.function.arguments.delta"]
        final = events_.get_final_completion()

    assert {piece.index for piece in pieces} == {0, 1}
    calls = final.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    assert all(call.function.arguments.startswith("{") for call in calls)


async def test_answer_to_a_tool_call_goes_on(offline_async: AsyncOpenAI) -> None:
    first = await offline_async.chat.completions.create(model="auto", messages=ASKS_FOR_TWO, tools=TOOLS)
    message = first.choices[0].message
    results: list[ChatCompletionMessageParam] = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls or []
    ]
    asked: Any = [*ASKS_FOR_TWO, message, *results]

    second = await offline_async.chat.completions.create(model="auto", messages=asked, tools=TOOLS)

    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


class City(BaseModel):
    name: str
    inhabitants: int
    twins: list[str]


def test_parse_returns_a_model(offline: OpenAI) -> None:
    answer = offline.chat.completions.parse(model="auto", messages=HI, response_format=City)

    assert isinstance(answer.choices[0].message.parsed, City)


async def test_parse_returns_a_model_async(offline_async: AsyncOpenAI) -> None:
    answer = await offline_async.chat.completions.parse(model="auto", messages=HI, response_format=City)

    assert isinstance(answer.choices[0].message.parsed, City)


def test_streamed_parse_returns_a_model(offline: OpenAI) -> None:
    with offline.chat.completions.stream(model="auto", messages=HI, response_format=City) as events_:
        final = events_.get_final_completion()

    assert isinstance(final.choices[0].message.parsed, City)


def test_models_are_listed(offline: OpenAI) -> None:
    names = [model.id for model in offline.models.list()]

    assert names[:3] == ["echo-simple", "echo-medium", "echo-complex"]
    assert {"auto", "auto/simple", "auto/medium", "auto/complex", "gpt-4o-mini"} <= set(names)


@pytest.mark.parametrize("name", ["echo-simple", "auto", "auto/simple", "gpt-4o-mini"])
def test_every_listed_model_is_retrieved(offline: OpenAI, name: str) -> None:
    model = offline.models.retrieve(name)

    assert (model.id, model.object) == (name, "model")


def test_models_of_a_key_are_those_it_may_use(keyed: LiveGateway) -> None:
    with OpenAI(base_url=keyed.api, api_key=NARROW_KEY, max_retries=0) as narrow:
        names = [model.id for model in narrow.models.list()]
        with pytest.raises(openai.NotFoundError):
            narrow.models.retrieve("big")

    assert names == ["small"]


def test_base_url_without_v1_answers_too(echo: LiveGateway) -> None:
    with OpenAI(base_url=echo.url, api_key="any", max_retries=0) as bare:
        answer = bare.chat.completions.create(model="auto", messages=HI)

    assert answer.choices[0].message.content


def test_relayed_stream_with_parallel_calls_is_assembled(client: OpenAI, scripted: ScriptedUpstream) -> None:
    def piece(index: int, arguments: str, **start: Any) -> dict[str, Any]:
        call = {"index": index, "function": {"arguments": arguments}, **start}
        if start:
            call["function"] = {"name": f"f{index}", "arguments": arguments}
        return {**chunk(), "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}

    scripted.script(
        stream(
            *events(
                {**chunk(), "choices": []},
                piece(0, "", id="call_a", type="function"),
                piece(1, "", id="call_b", type="function"),
                piece(0, '{"a":'),
                piece(1, '{"b":'),
                piece(0, "1}"),
                piece(1, "2}"),
                chunk(finish="tool_calls"),
                b"[DONE]",
            )
        )
    )

    with client.chat.completions.stream(model="relayed", messages=HI, tools=[tool("f0"), tool("f1")]) as events_:
        final = events_.get_final_completion()

    calls = final.choices[0].message.tool_calls or []
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("call_a", "f0", '{"a":1}'),
        ("call_b", "f1", '{"b":2}'),
    ]


def test_refusal_and_unknown_fields_reach_the_client(client: OpenAI, scripted: ScriptedUpstream) -> None:
    document = completion(None, refusal="I cannot.", reasoning_content="Because.")
    scripted.script(plain({**document, "provider_note": {"a": 1}}))

    answer = client.chat.completions.create(model="relayed", messages=HI)

    assert answer.choices[0].message.refusal == "I cannot."
    assert answer.choices[0].message.model_extra == {"reasoning_content": "Because."}
    assert answer.model_extra == {"provider_note": {"a": 1}}


def test_extra_body_reaches_the_upstream(client: OpenAI, scripted: ScriptedUpstream) -> None:
    client.chat.completions.create(model="relayed", messages=HI, extra_body={"top_k": 5, "nested": {"a": None}})

    assert scripted.last.json()["top_k"] == 5
    assert scripted.last.json()["nested"] == {"a": None}


# ---------------------------------------------------------------- errors


def test_bad_request(offline: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        offline.chat.completions.create(model="auto", messages=[])

    assert caught.value.param == "messages"
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_unknown_model(offline: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        offline.chat.completions.create(model="gpt-unheard-of", messages=HI)

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("name", ["gpt-unheard-of", "auto/none", "team/none"])
def test_unknown_model_is_not_retrieved(offline: OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError):
        offline.models.retrieve(name)


def test_unknown_route(offline: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        offline.get("/nowhere", cast_to=object)


def test_wrong_key(keyed: LiveGateway) -> None:
    with (
        OpenAI(base_url=keyed.api, api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.chat.completions.create(model="small", messages=HI)

    assert caught.value.code == "invalid_api_key"


def test_key_without_permission(keyed: LiveGateway) -> None:
    with (
        OpenAI(base_url=keyed.api, api_key=NARROW_KEY, max_retries=0) as narrow,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        narrow.chat.completions.create(model="big", messages=HI)

    assert caught.value.code == "model_not_allowed"


def test_body_too_large(keyed: LiveGateway) -> None:
    long: list[ChatCompletionMessageParam] = [{"role": "user", "content": "x" * 60_000}]
    with (
        OpenAI(base_url=keyed.api, api_key=KEY, max_retries=0) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(model="small", messages=long)

    assert caught.value.status_code == 413


def test_wrong_content_type(offline: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        offline.chat.completions.create(model="auto", messages=HI, extra_headers={"content-type": "text/plain"})

    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (502, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_error_of_the_provider_is_the_clients_own_class(
    client: OpenAI, scripted: ScriptedUpstream, status: int, kind: type[openai.APIStatusError], *, streamed: bool
) -> None:
    scripted.script(plain(error("Their words.", "their_code", "their_type", "their_param"), status))

    with pytest.raises(kind) as caught:
        client.chat.completions.create(model="relayed", messages=HI, stream=streamed)

    assert caught.value.status_code == status
    assert (caught.value.code, caught.value.param, caught.value.type) == ("their_code", "their_param", "their_type")
    assert "Their words." in caught.value.message
    assert caught.value.body is not None
    assert caught.value.body["source"] == "provider"  # type: ignore[index]  # it is the error object


def test_rate_limit_of_the_provider_says_when_to_come_back(client: OpenAI, scripted: ScriptedUpstream) -> None:
    scripted.script(plain(error("Slow down."), 429, [("retry-after", "7"), ("retry-after-ms", "7000")]))

    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="relayed", messages=HI)

    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["retry-after-ms"] == "7000"


def test_html_of_the_provider_is_an_api_error(client: OpenAI, scripted: ScriptedUpstream) -> None:
    scripted.script(plain(b"<html>Bad gateway</html>", 502, kind="text/html"))

    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="relayed", messages=HI)

    assert caught.value.status_code == 502
    assert "html" not in caught.value.message


BROKEN: dict[str, list[Step]] = {
    "an error event": [*events({"error": {"message": "Overloaded.", "code": "busy"}})],
    "a cut": [ABORT],
}


@pytest.mark.parametrize("end", BROKEN.values(), ids=BROKEN)
def test_broken_stream_is_raised_after_what_came(client: OpenAI, scripted: ScriptedUpstream, end: list[Step]) -> None:
    scripted.script(stream(*events(chunk("Hel")), *end, ends=False))
    chunks = client.chat.completions.create(model="relayed", messages=HI, stream=True)

    first = next(chunks)

    assert first.choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError):
        next(chunks)


@pytest.mark.parametrize("end", BROKEN.values(), ids=BROKEN)
async def test_broken_stream_is_raised_after_what_came_async(
    client_async: AsyncOpenAI, scripted: ScriptedUpstream, end: list[Step]
) -> None:
    scripted.script(stream(*events(chunk("Hel")), *end, ends=False))
    chunks = await client_async.chat.completions.create(model="relayed", messages=HI, stream=True)

    first = await anext(chunks)

    assert first.choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError):
        await anext(chunks)


def test_gateway_that_is_not_there(echo: LiveGateway) -> None:
    with (
        OpenAI(base_url="http://127.0.0.1:9/v1", api_key="any", max_retries=0) as lost,
        pytest.raises(openai.APIConnectionError),
    ):
        lost.chat.completions.create(model="auto", messages=HI)


def test_upstream_that_is_not_there_is_a_502(start_gateway: Any) -> None:
    settings = {
        "upstreams": {"nowhere": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}},
        "models": {"m": {"upstream": "nowhere"}},
    }
    gateway = start_gateway(settings)

    with (
        OpenAI(base_url=gateway.api, api_key="any", max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.chat.completions.create(model="m", messages=HI)

    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_unreachable"


# ---------------------------------------------------------------- retries, timeouts, leaving


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_client_tries_again_what_may_pass(client: OpenAI, scripted: ScriptedUpstream, status: int) -> None:
    scripted.script(plain(error("Not now."), status, [("retry-after-ms", "1")]))

    raw = client.with_options(max_retries=1).chat.completions.with_raw_response.create(model="relayed", messages=HI)

    assert raw.retries_taken == 1
    assert raw.parse().choices[0].message.content == "Hello."
    assert len(scripted.requests) == 2
    assert all("x-stainless-retry-count" not in received.headers for received in scripted.requests)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_client_does_not_try_again_what_cannot_pass(client: OpenAI, scripted: ScriptedUpstream, status: int) -> None:
    scripted.script(plain(error("Never."), status))

    with pytest.raises(openai.APIStatusError):
        client.with_options(max_retries=2).chat.completions.create(model="relayed", messages=HI)

    assert len(scripted.requests) == 1


def test_providers_wish_not_to_be_asked_again_is_passed_on(client: OpenAI, scripted: ScriptedUpstream) -> None:
    scripted.script(plain(error("Quota."), 429, [("x-should-retry", "false")]))

    with pytest.raises(openai.RateLimitError):
        client.with_options(max_retries=2).chat.completions.create(model="relayed", messages=HI)

    assert len(scripted.requests) == 1


def test_gateway_itself_asks_a_provider_once(client: OpenAI, scripted: ScriptedUpstream) -> None:
    scripted.script(plain(error("Not now."), 500))

    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="relayed", messages=HI)

    assert len(scripted.requests) == 1


def test_client_that_runs_out_of_time_stops_the_upstream(
    client: OpenAI, relay: LiveGateway, scripted: ScriptedUpstream
) -> None:
    never = Moment()
    scripted.script(plain(completion(), before=[never]))
    headers = {"x-stainless-read-timeout": "600", "x-request-id": "out-of-time"}

    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="relayed", messages=HI, timeout=0.2, extra_headers=headers)

    scripted.last.closed.wait(2.0)
    assert relay.wait_for_log(request_id="out-of-time")["status"] == 499
    never.happen()


@pytest.mark.parametrize("header", [("x-stainless-read-timeout", "0.2"), ("X-Tierway-Timeout-Ms", "200")])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_deadline_of_the_caller_is_the_gateways(
    client: OpenAI, scripted: ScriptedUpstream, header: tuple[str, str], *, streamed: bool
) -> None:
    never = Moment()
    scripted.script(plain(completion(), before=[never]))

    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(
            model="relayed", messages=HI, stream=streamed, timeout=30, extra_headers=dict([header])
        )

    assert caught.value.status_code == 504
    assert caught.value.code == "deadline_exceeded"
    scripted.last.closed.wait(2.0)
    never.happen()


def test_a_stream_under_way_may_outlast_the_clients_read_timeout(client: OpenAI, scripted: ScriptedUpstream) -> None:
    later = Moment()
    scripted.script(stream(*events(chunk("slow")), later, *events(chunk(" and steady", "stop"), b"[DONE]")))
    headers = {"x-stainless-read-timeout": "0.3"}
    chunks = client.chat.completions.create(
        model="relayed", messages=HI, stream=True, timeout=30, extra_headers=headers
    )

    first = next(chunks)
    threading.Timer(0.6, later.happen).start()
    rest = [piece.choices[0].delta.content for piece in chunks]

    assert first.choices[0].delta.content == "slow"
    assert rest == [" and steady"]


def test_closed_stream_stops_the_upstream(client: OpenAI, relay: LiveGateway, scripted: ScriptedUpstream) -> None:
    never = Moment()
    scripted.script(stream(*events(chunk("Hel")), never))

    with client.chat.completions.create(
        model="relayed", messages=HI, stream=True, extra_headers={"x-request-id": "closed-stream"}
    ) as chunks:
        assert next(iter(chunks)).choices[0].delta.content == "Hel"

    scripted.last.closed.wait(2.0)
    assert not scripted.last.answered.has_happened
    assert relay.wait_for_log(request_id="closed-stream")["status"] == 499
    never.happen()


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_cancelled_task_stops_the_upstream(
    client_async: AsyncOpenAI, relay: LiveGateway, scripted: ScriptedUpstream, *, streamed: bool
) -> None:
    never = Moment()
    request_id = f"cancelled-task-{streamed}"
    scripted.script(plain(completion(), before=[never]))
    call = client_async.chat.completions.create(
        model="relayed", messages=HI, stream=streamed, extra_headers={"x-request-id": request_id}
    )
    task = asyncio.ensure_future(call)
    received = await scripted.next_request()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await received.closed.reached(2.0)
    assert (await relay.logged(request_id=request_id))["status"] == 499
    never.happen()


async def test_many_callers_at_once_each_get_their_own_answer(offline_async: AsyncOpenAI) -> None:
    async def ask(number: int) -> str:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": f"number-{number}."}]
        answer = await offline_async.chat.completions.create(model="auto", messages=messages)
        return answer.choices[0].message.content or ""

    texts = await asyncio.gather(*(ask(number) for number in range(50)))

    assert all(f"number-{number}." in text for number, text in enumerate(texts))


# ---------------------------------------------------------------- headers


def test_raw_answer_carries_the_decisions(client: OpenAI, scripted: ScriptedUpstream) -> None:
    scripted.script(plain({**completion(), "usage": USAGE}, headers=[("openai-processing-ms", "12")]))

    raw = client.chat.completions.with_raw_response.create(
        model="nick/name", messages=HI, extra_headers={"x-request-id": "raw-1"}
    )

    assert raw.request_id == "raw-1"
    assert raw.headers["x-tierway-model"] == "relayed"
    assert raw.headers["x-tierway-tier"] == "none;1.00;pinned"
    assert float(raw.headers["x-tierway-cost"]) == pytest.approx((9 * 1 + 3 * 2) / 1e6)
    assert float(raw.headers["x-tierway-overhead-ms"]) > 0
    assert raw.headers["openai-processing-ms"] == "12"
    assert raw.headers["content-type"] == "application/json"
    assert UPSTREAM_KEY not in str(raw.headers)


def test_streamed_answer_carries_the_decisions(client: OpenAI, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi", "stop"), b"[DONE]")))

    with client.chat.completions.with_streaming_response.create(model="relayed", messages=HI, stream=True) as response:
        headers = response.headers
        response.read()

    assert headers["x-tierway-model"] == "relayed"
    assert headers["x-tierway-tier"] == "none;1.00;pinned"
    assert float(headers["x-tierway-overhead-ms"]) > 0
    assert "x-tierway-cost" not in headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache"
    assert headers["x-request-id"].startswith("req-")


def test_tier_of_a_virtual_model_is_told(offline: OpenAI) -> None:
    raw = offline.chat.completions.with_raw_response.create(model="auto/complex", messages=HI)

    assert raw.headers["x-tierway-model"] == "echo-complex"
    assert raw.headers["x-tierway-tier"] == "complex;1.00;named"


def test_explanation_comes_when_it_is_asked_for(offline: OpenAI) -> None:
    headers = {"X-Tierway-Explain": "full"}

    answer = offline.chat.completions.create(model="auto", messages=HI, extra_headers=headers)
    with offline.chat.completions.create(model="auto", messages=HI, stream=True, extra_headers=headers) as chunks:
        explained = [(one.model_extra or {}).get("tierway") for one in chunks]

    told = (answer.model_extra or {}).get("tierway")
    assert told is not None
    assert told["requested_model"] == "auto"
    assert explained[:-1] == [None] * (len(explained) - 1)
    assert explained[-1] is not None
    assert explained[-1]["tier"]["name"] == "simple"
    assert explained[-1]["usage"]["output_tokens"] > 0
