"""Embeddings and legacy completions: forwarded as they are, billed, and refused clearly where nobody has them."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.live import LiveGateway
from tests.support.mixed import PRICE, RED, Mixed, message
from tests.support.scripted_upstream import CLOSE, Answer, error, events, plain, stream
from tests.support.wire import WireClient

EMBEDDINGS = "/v1/embeddings"
COMPLETIONS = "/v1/completions"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


@pytest.fixture
def client(mixed: Mixed) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as made:
        yield made


def embedded(*vectors: Any) -> Answer:
    """Answer with these embeddings."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    return plain({"object": "list", "data": data, "model": "one-model", "usage": usage})


# ---------------------------------------------------------------- embeddings

FORMS = {
    "text": b'"caf\\u00e9"',
    "texts": b'["a","\\ud83d"]',
    "token ids": b"[1,2,3]",
    "lists of token ids": b"[[1,2],[3]]",
}


@pytest.mark.parametrize("given", FORMS.values(), ids=FORMS)
def test_every_form_of_input_is_sent_as_it_is(mixed: Mixed, given: bytes) -> None:
    mixed["one"].script(embedded([0.5]))
    body = b'{"zeta":1.0e0,"model":"one-more","input":%b,"dimensions":2,"new":null}' % given

    answer = mixed.post(EMBEDDINGS, body)

    assert answer.status == 200
    assert mixed["one"].last.body == body
    assert mixed["one"].last.target == "/v1/embeddings"


NO_FORMS = [
    "[]",
    '""',
    "null",
    "1",
    "{}",
    "[true]",
    '["a",1]',
    "[[]]",
    "[[1],[]]",
    '[["a"]]',
    "[null]",
    "[1.5]",
    "[[1.0]]",
]


@pytest.mark.parametrize("given", NO_FORMS)
def test_input_of_no_form_is_refused(mixed: Mixed, given: str) -> None:
    answer = mixed.post(EMBEDDINGS, b'{"model":"one","input":%b}' % given.encode())

    assert (answer.status, answer.json()["error"]["param"]) == (400, "input")
    assert mixed["one"].requests == []


def test_answer_comes_back_byte_for_byte_and_is_billed(mixed: Mixed) -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.25, -0.5)).decode()
    mixed["one"].script(embedded(packed))
    sent = mixed["one"]._answers[0][-1]
    assert isinstance(sent, bytes)

    request = {"model": "one", "input": "x", "encoding_format": "base64"}
    answer = mixed.post(EMBEDDINGS, request, ("x-request-id", "embedded"))

    assert answer.body == sent.partition(b"\r\n\r\n")[2]
    line = mixed.gateway.wait_for_log(request_id="embedded")
    assert line["route"] == "embeddings"
    assert line["usage"] == {"input_tokens": 9}
    assert line["cost_microusd"] == 9 * PRICE["input"]


def test_openai_client_reads_packed_vectors(mixed: Mixed, client: openai.OpenAI) -> None:
    mixed["one"].script(embedded(base64.b64encode(struct.pack("<2f", 0.25, -0.5)).decode()))

    made = client.embeddings.create(model="one", input=["x"], dimensions=2)

    assert mixed["one"].last.json()["encoding_format"] == "base64"
    assert mixed["one"].last.json()["dimensions"] == 2
    assert made.data[0].embedding == [0.25, -0.5]


def test_usage_is_estimated_where_none_is_told(mixed: Mixed) -> None:
    mixed["one"].script(plain({"object": "list", "data": [], "model": "one-model"}))

    mixed.post(EMBEDDINGS, {"model": "one", "input": "x" * 400}, ("x-request-id", "untold"))

    usage = mixed.gateway.wait_for_log(request_id="untold")["usage"]
    assert usage["provenance"] == "estimated"
    assert usage["input_tokens"] > 50
    assert "output_tokens" not in usage


@pytest.mark.parametrize("model", ["two", "chat", "only", "claude"])
def test_upstream_without_embeddings_is_named_as_the_reason(mixed: Mixed, model: str) -> None:
    answer = mixed.post(EMBEDDINGS, {"model": model, "input": "x"})

    told = answer.json()["error"]
    assert (answer.status, told["code"], told["param"]) == (400, "unsupported_endpoint", "model")
    assert "embeddings" in told["message"]
    assert mixed[model].requests == []


def test_tier_finds_the_model_that_has_embeddings(mixed: Mixed) -> None:
    mixed["one"].script(embedded([0.5]))

    answer = mixed.post(EMBEDDINGS, {"model": "auto/medium", "input": "x"})

    assert answer.status == 200
    assert answer.headers["x-tierway-model"] == "one"


def test_large_batch_passes(mixed: Mixed) -> None:
    mixed["one"].script(embedded([0.5]))
    texts = ["x" * 1024] * 2048

    answer = mixed.post(EMBEDDINGS, {"model": "one", "input": texts})

    assert answer.status == 200
    assert mixed["one"].last.json()["input"] == texts


def test_stream_makes_no_difference(mixed: Mixed) -> None:
    mixed["one"].script(embedded([0.5]))

    answer = mixed.post(EMBEDDINGS, {"model": "one", "input": "x", "stream": True})

    assert answer.status == 200
    assert mixed["one"].last.headers["accept"] == "application/json"


def test_error_of_the_upstream_keeps_its_words(mixed: Mixed) -> None:
    mixed["one"].script(plain(error("Too long.", "context_length_exceeded", param="input"), 400))

    answer = mixed.post(EMBEDDINGS, {"model": "one", "input": "x"})

    assert answer.status == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_offline_upstream_embeds(echo: LiveGateway) -> None:
    with openai.OpenAI(base_url=echo.api, api_key="any", max_retries=0) as client:
        made = client.embeddings.create(model="auto", input=["the cat sat", "the cat sat", "stars"], dimensions=64)

    vectors = [item.embedding for item in made.data]
    assert [len(vector) for vector in vectors] == [64] * 3
    assert vectors[0] == vectors[1]
    assert vectors[0] != vectors[2]


@pytest.mark.parametrize("member", ["dimensions", "input", "user", "x"])
@pytest.mark.parametrize("digits", [20, 400, 4000])
@pytest.mark.parametrize("model", ["one", "auto"])
def test_huge_integers_never_break_the_gateway(
    mixed: Mixed, echo: LiveGateway, member: str, digits: int, model: str
) -> None:
    number = b"[1%b]" % (b"0" * digits) if member == "input" else b"1" + b"0" * digits
    rest = b"" if member == "input" else b'"input":"x",'
    body = b'{"model":"%b",%b"%b":%b}' % (model.encode(), rest, member.encode(), number)

    if model == "auto":
        with WireClient(echo.address) as wire:
            wire.send(message("POST", EMBEDDINGS, body, key=None))
            assert wire.answer().status < 500
    else:
        assert mixed.post(EMBEDDINGS, body).status != 500


# ---------------------------------------------------------------- completions


def continued(text: str = " world", finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a completion or a chunk of one."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "one-model",
        "choices": [choice],
        **fields,
    }


def continued_stream() -> Answer:
    pieces = [continued(" wor"), continued("ld"), continued("", "stop"), continued(choices=[], usage=USAGE)]
    return stream(*events(*pieces, b"[DONE]"))


def test_completion_passes_as_it_is(mixed: Mixed) -> None:
    answered = json.dumps(continued(finish="stop", usage=USAGE, new=[1.0]), indent=1).encode()
    mixed["one"].script(plain(answered))
    body = b'{"a":1.0e0,"model":"one-more","prompt":["Hello",[1,2]],"suffix":"\\ud83d","max_tokens":5,"echo":null}'

    answer = mixed.post(COMPLETIONS, body, ("x-request-id", "continued"))

    assert answer.body == answered
    assert mixed["one"].last.body == body
    assert mixed["one"].last.target == "/v1/completions"
    line = mixed.gateway.wait_for_log(request_id="continued")
    assert line["route"] == "completions"
    assert line["cost_microusd"] == 9 * PRICE["input"] + 3 * PRICE["output"]


def test_stream_is_billed_and_its_usage_taken_out(mixed: Mixed) -> None:
    mixed["one"].script(continued_stream())

    answer = mixed.post(
        COMPLETIONS, {"model": "one", "prompt": "Hello", "stream": True}, ("x-request-id", "cmpl-stream")
    )

    *chunks, done = answer.payloads()
    assert done == b"[DONE]"
    assert "".join(json.loads(piece)["choices"][0]["text"] for piece in chunks) == " world"
    assert b'"usage"' not in answer.body
    assert mixed["one"].last.json()["stream_options"] == {"include_usage": True}
    assert mixed.gateway.wait_for_log(request_id="cmpl-stream")["usage"] == {"input_tokens": 9, "output_tokens": 3}


def test_usage_is_left_in_for_those_who_asked(mixed: Mixed) -> None:
    mixed["one"].script(continued_stream())
    body = json.dumps(
        {"model": "one-more", "prompt": "Hello", "stream": True, "stream_options": {"include_usage": True}}
    ).encode()

    answer = mixed.post(COMPLETIONS, body)

    assert mixed["one"].last.body == body
    assert json.loads(answer.payloads()[-2])["usage"] == USAGE


@pytest.mark.parametrize("end", ["last chunk", CLOSE])
def test_stream_cut_by_the_upstream_is_a_failure(mixed: Mixed, end: str) -> None:
    begun = events(continued(" wor"))
    mixed["one"].script(stream(*begun) if end != CLOSE else [*stream(*begun, ends=False), CLOSE])

    answer = mixed.post(COMPLETIONS, {"model": "one", "prompt": "Hello", "stream": True})

    assert not answer.ended_well
    assert "error" in json.loads(answer.payloads()[-1])


def test_openai_client_continues_a_text(mixed: Mixed, client: openai.OpenAI) -> None:
    mixed["one"].script(plain(continued(finish="stop", usage=USAGE)), continued_stream())

    made = client.completions.create(model="one", prompt="Hello")
    chunks = list(client.completions.create(model="one", prompt="Hello", stream=True))

    assert made.choices[0].text == " world"
    assert "".join(piece.choices[0].text for piece in chunks) == " world"


@pytest.mark.parametrize("model", ["two", "chat", "only", "claude"])
def test_upstream_without_completions_is_named_as_the_reason(mixed: Mixed, model: str) -> None:
    answer = mixed.post(COMPLETIONS, {"model": model, "prompt": "x"})

    assert (answer.status, answer.json()["error"]["code"]) == (400, "unsupported_endpoint")
    assert mixed[model].requests == []


@pytest.mark.parametrize("streamed", [False, True])
def test_offline_upstream_continues(echo: LiveGateway, *, streamed: bool) -> None:
    document = {"model": "auto", "prompt": ["one two", "three"], "stream": streamed}
    with WireClient(echo.address) as wire:
        wire.send(message("POST", COMPLETIONS, document, key=None))
        answer = wire.answer()

    assert answer.status == 200
    pieces = [json.loads(piece) for piece in answer.payloads()[:-1]] if streamed else [answer.json()]
    assert [choice["text"] for piece in pieces for choice in piece["choices"]] == ["one two", "three"]


HOSTILE = [
    b'{"model":"auto","prompt":null}',
    b'{"model":"auto"}',
    b'{"model":"auto","prompt":[]}',
    b'{"model":"auto","prompt":[[1]]}',
    b'{"model":"auto","prompt":[{}]}',
    b'{"model":"auto","prompt":"x","suffix":""}',
    b'{"model":"auto","prompt":"x","n":0}',
    b'{"model":"auto","prompt":"x","max_tokens":1%b}' % (b"0" * 400),
    b'{"model":"auto","prompt":"x","n":1%b}' % (b"0" * 400),
    b'{"model":"auto","prompt":"x","stream":true,"stream_options":{"a":1%b}}' % (b"0" * 400),
    b'{"model":"auto","prompt":"x","stream_options":[]}',
    b'{"model":"auto","prompt":{}}',
    b'{"model":[],"prompt":"x"}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_documents_never_break_the_gateway(mixed: Mixed, echo: LiveGateway, body: bytes) -> None:
    with WireClient(echo.address) as wire:
        wire.send(message("POST", COMPLETIONS, body, key=None))
        assert wire.answer().status < 500

    assert mixed.post(COMPLETIONS, body.replace(b'"auto"', b'"one"')).status != 500
