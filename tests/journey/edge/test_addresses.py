"""What each address and method answers, and what the ids and deadlines of requests do."""

from __future__ import annotations

import re

import pytest

from tests.support.edge import (
    GOOD,
    assert_openai_error,
    assert_still_answers,
    authorised,
    post,
)
from tests.support.live import LiveGateway
from tests.support.wire import WireClient


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/chat/completions", "/v1/chat/completions/", "/chat/completions/"]
)
def test_chat_is_answered_at(client: WireClient, path: str) -> None:
    assert client.request("POST", path, authorised(), GOOD).status == 200


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions?api-version=1", "/v1/chat%2Fcompletions", "/v1/%63hat/completions"]
)
def test_chat_is_answered_with_a_query_and_with_escapes(client: WireClient, path: str) -> None:
    assert client.request("POST", path, authorised(), GOOD).status == 200


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/", "/models/"])
def test_models_are_listed_at(client: WireClient, path: str) -> None:
    answer = client.request("GET", path, authorised())

    assert [model["id"] for model in answer.json()["data"]] == ["small", "big"]


@pytest.mark.parametrize("path", ["/v1/models/small", "/models/small", "/v1/models/small/"])
def test_model_is_shown_at(client: WireClient, path: str) -> None:
    assert client.request("GET", path, authorised()).json()["id"] == "small"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1", "/v1/", "/v2/chat/completions", "/v1/modelsX", "/v1/chat", "/v1/chat/completions/x",
        "/v1/models/none", "/v1/models/small/x", "/v1/models/%00", "/v1/models/..%2fsmall", "/%ff", "//",
        "/v1/complete", "/favicon.ico", "/docs", "/schema/swagger",
    ],
)  # fmt: skip
def test_other_address_is_a_404(client: WireClient, path: str) -> None:
    answer = client.request("GET", path, authorised())

    assert_openai_error(answer, 404)
    assert_still_answers(client)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "PROPFIND"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions/"])
def test_chat_answers_no_other_method(client: WireClient, method: str, path: str) -> None:
    answer = client.request(method, path, authorised())

    assert answer.status == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        assert_openai_error(answer, 405, "method_not_allowed")
    assert_still_answers(client)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/small", "/livez", "/readyz", "/metrics", "/schema"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_reading_address_answers_no_writing_method(client: WireClient, path: str, method: str) -> None:
    answer = client.request(method, path, authorised(), b"{}")

    assert_openai_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert_still_answers(client)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/small", "/livez", "/readyz", "/metrics", "/schema"])
def test_head_is_get_without_the_body(client: WireClient, path: str) -> None:
    full = client.request("GET", path, authorised())

    bare = client.request("HEAD", path, authorised())

    assert bare.status == full.status == 200
    assert bare.headers["content-type"] == full.headers["content-type"]
    assert_still_answers(client)


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/v1/chat/completions", "POST, OPTIONS"), ("/v1/models", "GET, HEAD, OPTIONS"), ("/livez", "GET, HEAD, OPTIONS")],
)
def test_options_names_the_methods(client: WireClient, path: str, allow: str) -> None:
    answer = client.request("OPTIONS", path)

    assert answer.status == 204
    assert answer.headers["allow"] == allow
    assert_still_answers(client)


@pytest.mark.parametrize("sent", ["mine", "A-1_b.c:9", "x" * 128, "0b1f6c5e-4d6a-4b8e-9d0e-1f2a3b4c5d6e"])
@pytest.mark.parametrize("body", [GOOD, b"["], ids=["answer", "error"])
def test_sane_request_id_is_echoed(client: WireClient, gateway: LiveGateway, sent: str, body: bytes) -> None:
    answer = post(client, body, ("x-request-id", sent))

    assert answer.headers["x-request-id"] == sent
    assert gateway.wait_for_log(request_id=sent)


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\tb", '{"a":1}', "<script>", "é", "a,b", "../x"])
def test_other_request_id_is_replaced(client: WireClient, sent: str) -> None:
    answer = post(client, GOOD, ("x-request-id", sent))

    assert answer.headers["x-request-id"] != sent
    assert re.fullmatch(r"req-[0-9a-f-]{12,}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/schema"),
        ("GET", "/v1/models"),
        ("GET", "/none"),
        ("OPTIONS", "/v1/models"),
        ("DELETE", "/v1/models"),
        ("GET", "/admin/keys"),
    ],
)
def test_every_answer_carries_a_request_id_once(client: WireClient, method: str, path: str) -> None:
    answer = client.request(method, path, [*authorised(), ("x-request-id", "everywhere")])

    assert [value for name, value in answer.header_lines if name == "x-request-id"] == ["everywhere"]


def test_made_request_ids_differ(client: WireClient) -> None:
    ids = {post(client, GOOD).headers["x-request-id"] for _ in range(20)}

    assert len(ids) == 20


@pytest.mark.parametrize("value", ["soon", "0", "-1", "", "inf", "nan", "1e999"])
def test_deadline_that_is_no_duration_is_a_400(client: WireClient, value: str) -> None:
    answer = post(client, GOOD, ("x-tierway-timeout-ms", value))

    assert_openai_error(answer, 400)
    assert_still_answers(client)


@pytest.mark.parametrize("value", ["5", "600.5", "rubbish"])
def test_read_timeout_of_an_sdk_never_refuses_a_request(client: WireClient, value: str) -> None:
    assert post(client, GOOD, ("x-stainless-read-timeout", value)).status == 200
