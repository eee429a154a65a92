"""A gateway with two keys and small bounds, and what tests of its edge say again and again."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.support.wire import Answer, WireClient, chat

KEY: Final = "sk-a-key-for-everything-0001"
NARROW_KEY: Final = "sk-a-key-for-one-model-00001"
LIMIT: Final = 256 * 1024

SETTINGS: Final[dict[str, Any]] = {
    "server": {"body_limit_mb": 0.25, "body_timeout_s": 0.3},
    "upstreams": {"offline": {"kind": "echo"}},
    "models": {"small": {"upstream": "offline"}, "big": {"upstream": "offline"}},
    "organisation": {
        "teams": {
            "t": {
                "keys": [
                    {"name": "all", "secret": KEY},
                    {"name": "narrow", "secret": NARROW_KEY, "models": ["small"]},
                ]
            }
        }
    },
}

GOOD: Final = json.dumps(chat("small")).encode()
"""A body that is answered."""


def authorised(*headers: tuple[str, str]) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {KEY}"), ("content-type", "application/json"), *headers]


def post(client: WireClient, body: bytes | dict[str, Any], *headers: tuple[str, str]) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.request("POST", "/v1/chat/completions", authorised(*headers), content)


def assert_openai_error(answer: Answer, status: int, code: str | None = None, source: str = "gateway") -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert answer.ended_well
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "source"}
    assert error["message"]
    assert error["type"]
    assert error["source"] == source
    if code is not None:
        assert error["code"] == code


def assert_still_answers(client: WireClient) -> None:
    assert post(client, chat("small")).status == 200


def messages(value: Any) -> bytes:
    return json.dumps({"model": "small", "messages": value}).encode()


def with_field(name: str, value: Any) -> bytes:
    return json.dumps({**chat("small"), name: value}).encode()
