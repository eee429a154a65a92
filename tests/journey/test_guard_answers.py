"""What a prompt's placeholders stand for reaches no upstream, and comes back to the caller; what blocks does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.support.guarded import AWS
from tests.support.live import UNASSISTED, UPSTREAM_KEY, LiveGateway
from tests.support.repeating_upstream import RepeatingUpstream

SAID = 'Write to ann.smith@firm.org, "please", and to bob@firm.org.'
KEY = "key-of-the-red-team-0123456789"
GUARD = {"input": {"pii": "redact"}, "output": {"secrets": "block"}, "tool_arguments": "flag"}


@pytest.fixture(scope="module")
def _started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveGateway, RepeatingUpstream]]:
    with RepeatingUpstream() as upstream:
        features = ["chat", "responses"]
        openai_like = {
            "kind": "openai",
            "base_url": f"{upstream.url}/v1",
            "api_key": UPSTREAM_KEY,
            "features": features,
        }
        settings = {
            "upstreams": {
                "gpt": openai_like,
                "claude": {"kind": "anthropic", "base_url": upstream.url, "api_key": UPSTREAM_KEY},
            },
            "models": {"gpt": {"upstream": "gpt"}, "claude": {"upstream": "claude"}},
            "router": UNASSISTED,
            "guard": GUARD,
            "organisation": {"teams": {"red": {"keys": [{"name": "ci", "secret": KEY}]}}},
        }
        with LiveGateway(tmp_path_factory.mktemp("guarded"), settings) as gateway:
            yield gateway, upstream


@pytest.fixture
def gateway(_started: tuple[LiveGateway, RepeatingUpstream]) -> LiveGateway:
    return _started[0]


@pytest.fixture
def upstream(_started: tuple[LiveGateway, RepeatingUpstream]) -> RepeatingUpstream:
    repeating = _started[1]
    repeating.seen.clear()
    repeating.calls_tools, repeating.adds = False, ""
    return repeating


@pytest.fixture
def gpt(gateway: LiveGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(gateway: LiveGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        yield client


Ask = Callable[[openai.OpenAI, anthropic.Anthropic, str], str]


def chat(gpt: openai.OpenAI, _: anthropic.Anthropic, said: str) -> str:
    answer = gpt.chat.completions.create(model="gpt", messages=[{"role": "user", "content": said}])
    return answer.choices[0].message.content or ""


def chat_streamed(gpt: openai.OpenAI, _: anthropic.Anthropic, said: str) -> str:
    stream = gpt.chat.completions.create(model="gpt", messages=[{"role": "user", "content": said}], stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def responses(gpt: openai.OpenAI, _: anthropic.Anthropic, said: str) -> str:
    return gpt.responses.create(model="gpt", input=said, store=False).output_text


def responses_streamed(gpt: openai.OpenAI, _: anthropic.Anthropic, said: str) -> str:
    pieces, whole = "", ""
    for event in gpt.responses.create(model="gpt", input=said, store=False, stream=True):
        if event.type == "response.output_text.delta":
            pieces += event.delta
        if event.type == "response.completed":
            whole = event.response.output_text
    assert pieces == whole
    return whole


def messages(_: openai.OpenAI, claude: anthropic.Anthropic, said: str) -> str:
    answer = claude.messages.create(model="claude", max_tokens=99, messages=[{"role": "user", "content": said}])
    return "".join(block.text for block in answer.content if block.type == "text")


def messages_streamed(_: openai.OpenAI, claude: anthropic.Anthropic, said: str) -> str:
    asked: Any = [{"role": "user", "content": said}]
    with claude.messages.stream(model="claude", max_tokens=99, messages=asked) as stream:
        return stream.get_final_text()


def translated(gpt: openai.OpenAI, _: anthropic.Anthropic, said: str) -> str:
    stream = gpt.chat.completions.create(model="claude", messages=[{"role": "user", "content": said}], stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


WAYS = [chat, chat_streamed, responses, responses_streamed, messages, messages_streamed, translated]


@pytest.mark.parametrize("ask", WAYS)
def test_addresses_reach_no_upstream_and_come_back(
    ask: Ask, gpt: openai.OpenAI, claude: anthropic.Anthropic, upstream: RepeatingUpstream
) -> None:
    answer = ask(gpt, claude, SAID)

    assert answer == SAID
    assert len(upstream.seen) == 1
    assert b"firm.org" not in upstream.seen[0]
    assert upstream.seen[0].count(b"[[EMAIL_") == 2


@pytest.mark.parametrize("ask", WAYS)
def test_what_blocks_reaches_no_caller(
    ask: Ask, gpt: openai.OpenAI, claude: anthropic.Anthropic, upstream: RepeatingUpstream
) -> None:
    upstream.adds = f" The key is {AWS}. " + "And so on. " * 50

    with pytest.raises((openai.APIError, anthropic.APIError)) as error:
        ask(gpt, claude, SAID)

    assert "aws_access" in str(error.value)
    assert AWS not in str(error.value)


def test_a_blocked_answer_says_that_asking_again_does_not_help(gpt: openai.OpenAI, upstream: RepeatingUpstream) -> None:
    upstream.adds = f" The key is {AWS}."

    with pytest.raises(openai.BadRequestError) as error:
        gpt.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "Hi"}])

    assert error.value.code == "content_policy"
    assert error.value.response.headers["x-should-retry"] == "false"
    assert "output.secrets=block" in error.value.response.headers["x-tierway-guard"]


@pytest.mark.parametrize("stream", [False, True])
def test_arguments_of_tools_are_restored(gpt: openai.OpenAI, upstream: RepeatingUpstream, *, stream: bool) -> None:
    upstream.calls_tools = True
    asked: Any = {"model": "gpt", "messages": [{"role": "user", "content": SAID}], "stream": stream}

    if stream:
        chunks = [chunk.choices[0].delta for chunk in gpt.chat.completions.create(**asked) if chunk.choices]
        calls = [delta.tool_calls[0].function.arguments for delta in chunks if delta.tool_calls]
        arguments = "".join(calls)
    else:
        arguments = gpt.chat.completions.create(**asked).choices[0].message.tool_calls[0].function.arguments

    assert json.loads(arguments) == {"about": SAID}


def test_a_plain_answer_tells_what_was_put_back(gpt: openai.OpenAI, upstream: RepeatingUpstream) -> None:
    answer = gpt.chat.completions.with_raw_response.create(model="gpt", messages=[{"role": "user", "content": SAID}])

    assert "restored=2;invented=0;unrestored=0" in answer.headers["x-tierway-guard"]


@pytest.mark.parametrize("model", ["gpt", "claude"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_keeps_its_placeholders(
    gpt: openai.OpenAI, upstream: RepeatingUpstream, model: str, *, stream: bool
) -> None:
    first: Any = gpt.responses.create(model=model, input=SAID, stream=stream)
    made = next(event.response for event in first if event.type == "response.completed") if stream else first

    second = gpt.responses.create(model=model, input=f"Once more: {SAID}", previous_response_id=made.id)

    assert second.output_text == f"Once more: {SAID}"
    marks = [set(re.findall(rb"\[\[EMAIL_[0-9]_[a-z0-9]{5}\]\]", body)) for body in upstream.seen]
    assert len(marks[0]) == 2
    assert marks[0] == marks[1]


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_a_response_that_is_fetched_is_restored(gpt: openai.OpenAI, upstream: RepeatingUpstream, model: str) -> None:
    made = gpt.responses.create(model=model, input=SAID)

    fetched = gpt.responses.retrieve(made.id)

    assert fetched.output_text == SAID


def test_a_response_is_fetched_whole_where_answers_are_looked_through(
    gpt: openai.OpenAI, upstream: RepeatingUpstream
) -> None:
    made = gpt.responses.create(model="gpt", input=SAID)

    with pytest.raises(openai.BadRequestError) as error:
        list(gpt.responses.retrieve(made.id, stream=True))

    assert error.value.param == "stream"


def test_input_items_are_restored(gpt: openai.OpenAI, upstream: RepeatingUpstream) -> None:
    made = gpt.responses.create(model="claude", input=SAID)

    items = gpt.responses.input_items.list(made.id).data

    assert items[0].content[0].text == SAID  # type: ignore[union-attr, index]


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_a_response_that_was_blocked_cannot_be_fetched(
    gpt: openai.OpenAI, upstream: RepeatingUpstream, model: str
) -> None:
    upstream.adds = f" The key is {AWS}. " + "And so on. " * 50
    stream = iter(gpt.responses.create(model=model, input="Hi", stream=True))
    begun: Any = next(stream)

    with pytest.raises(openai.APIError):
        list(stream)
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(begun.response.id)


@pytest.mark.parametrize("secret", [UPSTREAM_KEY, KEY])
def test_the_gateways_own_secrets_reach_no_caller(gpt: openai.OpenAI, upstream: RepeatingUpstream, secret: str) -> None:
    upstream.adds = f" I was called with {secret}!"

    with pytest.raises(openai.APIError) as error:
        chat(gpt, anthropic.Anthropic(api_key="none"), "Hi")

    assert "own_secret" in str(error.value)
    assert secret not in str(error.value)


def test_no_value_is_ever_logged(gateway: LiveGateway, gpt: openai.OpenAI, upstream: RepeatingUpstream) -> None:
    chat_streamed(gpt, anthropic.Anthropic(api_key="none"), SAID)
    gateway.wait_for_idle()

    assert "firm.org" not in json.dumps(gateway.log) + "".join(gateway.messages)
