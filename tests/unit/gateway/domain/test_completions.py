from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.completions import CompletionsRequest, read_completions
from gateway.domain.errors import InvalidRequestError


def read(**fields: Any) -> CompletionsRequest:
    return read_completions(json.dumps({"model": "m", **fields}).encode())


def test_what_is_judged_is_read() -> None:
    request = read(prompt="x", stream=True, max_tokens=5, stream_options={"include_usage": True})

    assert (request.shape, request.stream, request.max_output_tokens, request.wants_usage) == (
        "completions",
        True,
        5,
        True,
    )


PROMPTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"prompt": None}, []),
    ({"prompt": "a"}, ["a"]),
    ({"prompt": ["a", "b"]}, ["a", "b"]),
    ({"prompt": [1, 2]}, []),
    ({"prompt": [[1], "a", {}, None]}, ["a"]),
    ({"prompt": "a", "suffix": "b"}, ["a", "b"]),
    ({"prompt": "a", "suffix": None}, ["a"]),
]


@pytest.mark.parametrize(("fields", "texts"), PROMPTS)
def test_every_text_of_the_prompt_is_shown(fields: dict[str, Any], texts: list[str]) -> None:
    assert [message["content"] for message in read(**fields).messages] == texts


WRONG: list[dict[str, Any]] = [
    {"prompt": 1}, {"prompt": {}}, {"suffix": 1}, {"stream": 1}, {"stream_options": []}, {"max_tokens": "5"}, {"n": -1},
    {"best_of": 1.5}, {"temperature": "x"}, {"user": 1}, {"model": 1},
]  # fmt: skip


@pytest.mark.parametrize("fields", WRONG)
def test_a_wrong_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(**fields)

    assert (caught.value.param, caught.value.code) == (next(iter(fields)), "invalid_type")


def test_the_model_is_demanded() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_completions(b'{"prompt":"x"}')

    assert caught.value.code == "missing_required_parameter"
