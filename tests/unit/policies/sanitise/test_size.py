from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.errors import PromptRejectedError
from policies.sanitise.plan import SizeLimits
from policies.sanitise.size import check_size
from tests.support.build import chat_request

IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


def text(characters: int) -> dict[str, Any]:
    return {"type": "text", "text": "x" * characters}


def several(*contents: Any) -> ChatRequest:
    messages = [{"role": "user", "content": content} for content in contents]
    return read_chat(json.dumps({"model": "m", "messages": messages}).encode())


def refused(request: ChatRequest, **limits: int) -> str:
    with pytest.raises(PromptRejectedError) as caught:
        check_size(request, SizeLimits(**limits))
    assert (caught.value.code, caught.value.param, caught.value.status) == ("prompt_too_large", "messages", 400)
    return caught.value.message


def passes(request: ChatRequest, **limits: int) -> bool:
    check_size(request, SizeLimits(**limits))
    return True


def test_too_many_messages_are_refused() -> None:
    assert passes(several(*"abc"), messages=3)
    assert "3 messages" in refused(several(*"abc"), messages=2)


@pytest.mark.parametrize(
    "contents",
    [["x" * 100], ["x" * 60, "x" * 40], [[text(100)]], [[text(60)], [text(20), text(20)]], ["x" * 50, [text(50)]]],
)
def test_characters_of_all_messages_count_together(contents: list[Any]) -> None:
    assert passes(several(*contents), characters=100)
    assert "100 characters" in refused(several(*contents), characters=99)


def test_a_character_counts_once_however_many_bytes_it_has() -> None:
    assert passes(chat_request("😀" * 100), characters=100)
    assert refused(chat_request("😀" * 101), characters=100)


def test_half_a_surrogate_pair_is_a_character() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % (b"\\ud83d" * 100)

    assert passes(read_chat(body), characters=100)
    assert refused(read_chat(body), characters=99)


@pytest.mark.parametrize("kind", ["image_url", "input_image", "image"])
def test_too_many_images_are_refused(kind: str) -> None:
    request = several([IMAGE, {"type": kind}], [IMAGE])

    assert passes(request, images=3)
    assert "3 images" in refused(request, images=2)


def test_an_image_spelt_with_escapes_is_an_image() -> None:
    part = b'{"type":"im\\u0061ge_url","image_url":{"url":"x"}}'
    body = b'{"model":"m","messages":[{"role":"user","content":[%b,%b]}]}' % (part, part)

    assert refused(read_chat(body), images=1)


@pytest.mark.parametrize("content", [None, "", [], [{"type": "input_audio"}], [{"x": 1}]])
def test_a_message_without_text_has_no_characters(content: Any) -> None:
    assert passes(several(content), characters=1, images=1)


@pytest.mark.parametrize("kind", ["file", "input_file", "document", "input_audio"])
def test_too_many_attachments_are_refused(kind: str) -> None:
    request = several([{"type": kind}], [{"type": kind}])

    assert passes(request, attachments=2)
    assert "2 attachments" in refused(request, attachments=1)


def test_attachments_are_not_bounded_unless_a_policy_does() -> None:
    assert passes(several([{"type": "file"}] * 100))


@pytest.mark.parametrize(("said", "tokens"), [("x" * 400, 100), ("x" * 401, 101), ("é" * 200, 100)])
def test_a_token_is_four_bytes(said: str, tokens: int) -> None:
    request = several(said)

    assert passes(request, tokens=tokens)
    assert f"{tokens} tokens" in refused(request, tokens=tokens - 1)


def test_a_request_that_is_nested_too_deeply_is_refused() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":{"a":[[[]]]}}'

    check_size(read_chat(body), SizeLimits(depth=5))
    with pytest.raises(PromptRejectedError, match="more than 4 levels"):
        check_size(read_chat(body), SizeLimits(depth=4))
