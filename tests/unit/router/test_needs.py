from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.domain.chat import read_chat
from gateway.domain.completions import read_completions
from gateway.domain.embeddings import read_embeddings
from gateway.domain.messages import read_count_tokens, read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_compact, read_input_tokens, read_responses
from router.needs import FILE_TOKENS, IMAGE_TOKENS, TOOLS_TOKENS, Needs, medium_of, needs_of
from tests.support.build import chat_request

Read = Callable[[bytes], ModelRequest]

DATA = "A" * 100_000
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + DATA}}
TOOL = {"type": "function", "function": {"name": "look"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


def needs(read: Read, **document: Any) -> Needs:
    return needs_of(read(json.dumps({"model": "m", **document}).encode()))


def chat(content: Any = "Hello", **members: Any) -> Needs:
    return needs(read_chat, messages=[{"role": "user", "content": content}], **members)


def responses(given: Any = "Hello", read: Read = read_responses, **members: Any) -> Needs:
    return needs(read, input=given, **members)


def messages(content: Any = "Hello", read: Read = read_messages, **members: Any) -> Needs:
    return needs(read, messages=[{"role": "user", "content": content}], **{"max_tokens": 100, **members})


def said(part: Any) -> list[Any]:
    return [{"role": "user", "content": [part]}]


# ---------------------------------------------------------------- features


@pytest.mark.parametrize(
    ("found", "features"),
    [
        (chat(), set()),
        (chat([{"type": "text", "text": "Hello"}]), set()),
        (chat([IMAGE]), {"vision"}),
        (chat([{"type": "image_url", "image_url": "https://a/b.png"}]), {"vision"}),
        (chat([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]), {"audio"}),
        (chat([{"type": "file", "file": {"file_data": "AA"}}, IMAGE]), {"files", "vision"}),
        (chat(modalities=["text", "audio"]), {"audio"}),
        (chat(modalities=["text"]), set()),
        (chat(modalities="audio"), set()),
        (chat(tools=[TOOL]), {"tools"}),
        (chat(tools=[]), set()),
        (chat(tools=None), set()),
        (chat(functions=[{"name": "look"}]), {"tools"}),
        (chat(functions=7), set()),
        (chat(response_format=SCHEMA), {"structured_output"}),
        (chat(response_format={"type": "json_object"}), set()),
        (chat(response_format={"type": ["json_schema"]}), set()),
        (chat([{"text": "a part of no type"}]), set()),
        (chat([{"type": "hologram"}]), set()),
        (responses(said({"type": "input_image", "image_url": "https://a/b.png"})), {"vision"}),
        (responses(said({"type": "input_file", "file_id": "f"})), {"files"}),
        (responses(said({"type": "input_audio", "input_audio": {"data": "AA"}})), {"audio"}),
        (responses(text={"format": {"type": "json_schema", "name": "x"}}), {"structured_output"}),
        (responses(text={"format": {"type": "text"}}), set()),
        (responses(text={"verbosity": "low"}), set()),
        (responses(tools=[{"type": "web_search"}]), {"tools"}),
        (messages([{"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}]), {"vision"}),
        (messages([{"type": "document", "source": {"type": "base64", "data": "AA"}}]), {"files"}),
        (messages([{"type": "document", "source": {"type": "text", "data": "plain"}}]), set()),
        (messages(output_config={"format": {"type": "json_schema"}}), {"structured_output"}),
        (messages(output_config={"effort": "low"}), set()),
        (messages(output_config="odd"), set()),
        (messages(output_format={"type": "json_schema"}), {"structured_output"}),
        (messages(tools=[{"name": "look"}]), {"tools"}),
        (needs(read_embeddings, input="x", tools=[TOOL]), set()),
        (needs(read_completions, prompt="x", response_format=SCHEMA), set()),
    ],
)
def test_abilities_are_read_from_every_shape(found: Needs, features: set[str]) -> None:
    assert found.features == features


def test_an_image_that_a_tool_returned_takes_vision() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": DATA}}

    found = messages([{"type": "tool_result", "tool_use_id": "t", "content": [image]}])

    assert (found.features, found.images) == (frozenset({"vision"}), 1)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "data:" + DATA}},
        {"type": "image_generation_call", "id": "i", "result": DATA},
    ],
)
def test_pictures_outside_messages_are_seen_and_their_bytes_left_out(item: Any) -> None:
    found = responses([{"role": "user", "content": "Hello"}, item])

    assert (found.features, found.images) == (frozenset({"vision"}), 1)
    assert IMAGE_TOKENS < found.prompt_tokens < IMAGE_TOKENS + 200
    assert found.text_bytes < 1000


def test_the_result_of_a_tool_without_content_is_no_picture() -> None:
    assert messages([{"type": "tool_result", "tool_use_id": "t"}]).images == 0
    assert responses([{"type": "function_call_output", "call_id": "c", "output": "done"}]).images == 0


def test_an_answer_that_was_spoken_before_takes_hearing() -> None:
    spoken = {"role": "assistant", "content": None, "audio": {"id": "a"}}

    found = needs(read_chat, messages=[{"role": "user", "content": "Hi"}, spoken])

    assert found.features == {"audio"}
    assert not found.is_whole


# ---------------------------------------------------------------- sizes


def test_four_letters_are_about_a_token() -> None:
    assert 1000 <= chat("word" * 1000).prompt_tokens <= 1030


@pytest.mark.parametrize("content", ["数" * 3000, [{"type": "text", "text": "数" * 3000}]])
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_a_chinese_letter_is_about_a_token_however_it_is_written(content: Any, ensure_ascii: bool) -> None:  # noqa: FBT001
    document = {"model": "m", "messages": [{"role": "user", "content": content}]}

    found = needs_of(read_chat(json.dumps(document, ensure_ascii=ensure_ascii).encode()))

    assert 2800 <= found.prompt_tokens <= 4200


def test_escapes_of_plain_letters_cost_nothing_extra() -> None:
    plain = chat("a\n" * 1000)

    assert plain.prompt_tokens == len(chat_request("a\n" * 1000).body) // 4


def test_the_bytes_of_media_are_left_out() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}
    paper = {"type": "file", "file": {"file_data": DATA, "filename": "a.pdf"}}

    assert IMAGE_TOKENS <= chat([IMAGE]).prompt_tokens < IMAGE_TOKENS + 100
    assert FILE_TOKENS <= chat([paper]).prompt_tokens < FILE_TOKENS + 100
    assert len(DATA) // 512 <= chat([sound]).prompt_tokens < len(DATA) // 512 + 100


def test_a_document_that_is_written_out_is_text() -> None:
    found = messages([{"type": "document", "source": {"type": "text", "data": "word" * 1000}}])

    assert found.prompt_tokens > 1000
    assert found.is_whole


def test_the_bound_leaves_out_images_alone() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}

    assert chat([IMAGE]).text_bytes < 1000
    assert chat([sound]).text_bytes > len(DATA)


def test_tools_add_to_the_bound() -> None:
    request = chat_request(tools=[TOOL])

    assert needs_of(request).text_bytes == len(request.body) + TOOLS_TOKENS


@pytest.mark.parametrize(
    ("given", "tokens", "inputs"),
    [
        (["word" * 100, "word" * 1000, "word"], 1000, 3),
        ([7] * 50, 50, 1),
        ([[7] * 50, [7] * 60], 60, 2),
        ("word" * 1000, 1000, 1),
    ],
)
@pytest.mark.parametrize(("read", "member"), [(read_embeddings, "input"), (read_completions, "prompt")])
def test_each_of_several_prompts_has_a_window_of_its_own(
    read: Read, member: str, given: Any, tokens: int, inputs: int
) -> None:
    found = needs(read, **{member: given})

    assert tokens <= found.prompt_tokens <= tokens * 1.03 + 20
    assert found.inputs == inputs


@pytest.mark.parametrize("given", [[], [None], [{}], None])
def test_a_prompt_of_no_known_form_is_looked_at_all_the_same(given: Any) -> None:
    assert needs(read_completions, prompt=given).prompt_tokens >= 0


@pytest.mark.parametrize(
    ("found", "output"),
    [
        (chat(), None),
        (chat(max_tokens=5), 5),
        (chat(max_tokens=5, max_completion_tokens=9), 9),
        (responses(max_output_tokens=7), 7),
        (responses(read=read_compact), None),
        (responses(read=read_input_tokens), 0),
        (messages(max_tokens=3), 3),
        (messages(read=read_count_tokens), 0),
        (needs(read_embeddings, input="x"), 0),
        (needs(read_completions, prompt="x", max_tokens=4), 4),
    ],
)
def test_the_longest_answer_is_the_one_asked_for(found: Needs, output: int | None) -> None:
    assert found.output_tokens == output


def test_several_answers_are_counted() -> None:
    assert chat(n=3).choices == 3
    assert needs(read_completions, prompt=["a", "b"], n=2, best_of=5).choices == 10
    assert responses().choices == 1


@pytest.mark.parametrize(
    ("found", "is_whole"),
    [
        (chat(), True),
        (chat([IMAGE]), True),
        (chat(tools=[TOOL, {"type": "custom"}]), True),
        (chat(web_search_options={}), False),
        (chat([{"type": "file", "file": {"file_id": "f"}}]), False),
        (responses(previous_response_id="r"), False),
        (responses(conversation="c"), False),
        (responses(prompt={"id": "p"}), False),
        (responses(tools=[{"type": "file_search"}]), False),
        (responses(tools=[{"type": ["odd"]}, "odd"]), False),
        (responses([{"type": "item_reference", "id": "i"}]), False),
        (messages(mcp_servers=[]), False),
        (messages([{"type": "search_result", "source": "https://a"}]), False),
        (needs(read_completions, prompt="x"), True),
    ],
)
def test_what_the_body_does_not_hold_is_told(found: Needs, is_whole: bool) -> None:  # noqa: FBT001
    assert found.is_whole is is_whole


def test_messages_without_content_are_passed_over() -> None:
    calling = {"role": "assistant", "content": None, "tool_calls": [{"type": "function"}]}

    found = needs(read_chat, messages=[{"role": "user"}, calling, {"role": "user", "content": []}])

    assert (found.features, found.images, found.is_whole) == (frozenset(), 0, True)


def test_the_medium_of_a_part_is_its_address_or_its_bytes() -> None:
    assert medium_of(IMAGE) == ("vision", IMAGE["image_url"]["url"])  # type: ignore[index]
    assert medium_of({"type": "container_upload", "file_id": "f"}) == ("files", "f")
    assert medium_of({"type": "image", "source": 7}) == ("vision", "")
    assert medium_of({"type": "text", "text": "x"}) is None
