from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openai import OpenAI

from tests.support.live import LiveGateway

Start = Callable[..., LiveGateway]

SETTINGS: dict[str, Any] = {
    "upstreams": {"offline": {"kind": "echo"}},
    "models": {"m": {"upstream": "offline", "price": {"input": 1.0, "output": 2.0}}},
    "cache": {"exact": True, "scope": "team"},
    "server": {"admin_key": "admin-key-of-the-cache-tests"},
    "organisation": {
        "name": "acme",
        "teams": {
            "red": {
                "keys": [
                    {"name": "one", "secret": "key-of-red-one-01234"},
                    {"name": "two", "secret": "key-of-red-two-01234"},
                ]
            },
            "blue": {"keys": [{"name": "one", "secret": "key-of-blue-one-01234"}]},
        },
    },
}


def told_of(headers: Any) -> tuple[str, str]:
    return headers["x-tierway-cache"], headers["x-tierway-model"]


@pytest.fixture
def ask(start_gateway: Start) -> Callable[..., tuple[str, str, str]]:
    """Ask through OpenAI's client; return the answer's text, what the cache says of it, and its model."""
    gateway = start_gateway(SETTINGS)

    def asked(
        key: str = "red-one", *, stream: bool = False, text: str = "Hello there", **headers: str
    ) -> tuple[str, str, str]:
        client = OpenAI(base_url=f"{gateway.url}/v1", api_key=f"key-of-{key}-01234", max_retries=0)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        messages: Any = [{"role": "user", "content": text}]
        if not stream:
            plain = client.chat.completions.with_raw_response.create(model="m", messages=messages, extra_headers=sent)
            return plain.parse().choices[0].message.content or "", *told_of(plain.headers)
        streamed = client.chat.completions.with_raw_response.create(
            model="m", messages=messages, stream=True, extra_headers=sent
        )
        told = "".join(chunk.choices[0].delta.content or "" for chunk in streamed.parse() if chunk.choices)
        return told, *told_of(streamed.headers)

    return asked


def test_streams_and_plain_answers_serve_each_other_within_a_team(ask: Callable[..., tuple[str, str, str]]) -> None:
    first = ask(stream=True)
    plain = ask("red-two")
    streamed = ask("red-two", stream=True)
    other_team = ask("blue-one")
    other_text = ask(text="Hello here")

    assert first[:2] == ("[m] Hello there", "miss;miss")
    assert plain[2] == streamed[2] == first[2] == "m"
    assert [answer for answer, *_ in (plain, streamed)] == ["[m] Hello there"] * 2
    assert [told.split(";age=")[0] for _, told, _ in (plain, streamed)] == ["exact;1.00"] * 2
    assert other_team[1] == other_text[1] == "miss;miss"


def test_a_request_may_want_an_answer_of_its_own(ask: Callable[..., tuple[str, str, str]]) -> None:
    ask()

    assert ask(x_tierway_cache_control="no-cache")[1] == "miss;bypassed"
    assert ask(x_tierway_cache_control="max-age=60")[1].startswith("exact;1.00;age=0;entry=")
