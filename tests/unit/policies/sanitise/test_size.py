from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.errors import PromptRejectedError
from policies.sanitise.size import PromptSize
from policies.settings import PromptLimits
from tests.support.build import chat_request

IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


def text(characters: int) -> dict[str, Any]:
    return {"type": "text", "text": "x" * characters}


def several(*contents: Any) -> ChatRequest:
    messages = [{"role": "user", "content": content} for content in contents]
    return read_chat(json.dumps({"model": "m", "messages": messages}).encode())


def refused(request: ChatRequest, **limits: int) -> str:
    with pytest.raises(PromptRejectedError) as caught:
        PromptSize(PromptLimits(**limits)).check(request)
    assert (caught.value.code, caught.value.param, caught.value.status) == ("prompt_too_large", "messages", 400)
    return caught.value.message


def passes(request: ChatRequest, **limits: int) -> bool:
    PromptSize(PromptLimits(**limits)).check(request)
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
