from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.embeddings import EmbeddingsRequest, read_embeddings
from gateway.domain.errors import InvalidRequestError


def read(given: Any = "x", **fields: Any) -> EmbeddingsRequest:
    return read_embeddings(json.dumps({"model": "m", "input": given, **fields}).encode())


FORMS: dict[str, tuple[Any, int, list[str]]] = {
    "text": ("a", 1, ["a"]),
    "texts": (["a", "b"], 2, ["a", "b"]),
    "an empty text among others": (["a", ""], 2, ["a", ""]),
    "token ids": ([1, 2, 3], 1, []),
    "lists of token ids": ([[1, 2], [3]], 2, []),
}


@pytest.mark.parametrize(("given", "inputs", "texts"), FORMS.values(), ids=FORMS)
def test_every_form_is_read(given: Any, inputs: int, texts: list[str]) -> None:
    request = read(given)

    assert request.inputs == inputs
    assert request.messages == [{"role": "user", "content": text} for text in texts]


@pytest.mark.parametrize(
    "given", [1, True, {}, [True], ["a", 1], [[]], [[1], []], [["a"]], [[True]], [None], [1.5], [[1], "a"]]
)
def test_no_form_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(given)

    assert (caught.value.param, caught.value.code) == ("input", "invalid_type")


@pytest.mark.parametrize("given", ["", []])
def test_nothing_to_embed_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(given)

    assert caught.value.param == "input"


@pytest.mark.parametrize("fields", [{"dimensions": -1}, {"dimensions": 1.5}, {"encoding_format": 1}, {"user": []}])
def test_a_wrong_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(**fields)

    assert caught.value.param == next(iter(fields))


def test_nothing_is_generated_and_nothing_streamed() -> None:
    request = read(stream=True)

    assert request.max_output_tokens == 0
    assert not request.stream
    assert request.may_be_shared
