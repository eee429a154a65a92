from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.domain.caller import Caller
from gateway.domain.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    RequestTooLargeError,
    UnsupportedMediaError,
)
from gateway.edge.answer import EXCHANGE
from gateway.edge.feedback import FeedbackRoute
from gateway.edge.wire import SCOPE_KEY
from gateway.exchange import Exchange
from gateway.experiments.feedback import Recollection, Remembered
from gateway.settings import ServerSettings
from tests.support.build import caller, exchange

GOOD = {"request_id": "req-1", "score": 0.5}


class Door:
    """A pipeline that knows one key."""

    def authenticate(self, asked: Exchange) -> Caller:
        if asked.headers.get(b"authorization") != b"Bearer good":
            raise NotAuthenticatedError("The key is missing or wrong.")
        return caller(team="search")


class Edge:
    """The route, and what it sent."""

    def __init__(self, **server: Any) -> None:
        settings = SimpleNamespace(server=ServerSettings(**server))
        current: Any = SimpleNamespace(version=SimpleNamespace(pipeline=Door(), settings=settings))
        self.memory = Recollection()
        self.route = FeedbackRoute(current, self.memory)
        self.sent: list[Any] = []

    async def ask(self, body: Any = GOOD, *, method: str = "POST", key: str = "good", **headers: str) -> Any:
        """Return the document that is answered."""
        named = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
        raw = {name.replace("_", "-").encode(): value.encode() for name, value in named.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        scope: Any = {
            "type": "http",
            "method": method,
            EXCHANGE: exchange(raw),
            SCOPE_KEY: SimpleNamespace(take_body=lambda: content),
        }
        await self.route(scope, self._receive, self._send)
        return json.loads(self.sent[-1]["body"] or b"null")

    async def _receive(self) -> Any:
        raise AssertionError

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


def edge(**server: Any) -> Edge:
    """Return the route, with one request remembered."""
    made = Edge(**server)
    made.memory.remember("req-1", Remembered(organisation="acme", team="search", key="search/ci", routed_model="gpt-5"))
    return made


async def test_feedback_is_accepted() -> None:
    assert await edge().ask() == {
        "object": "feedback",
        "request_id": "req-1",
        "accepted": True,
        "score": 0.5,
        "replaced": False,
        "comment": None,
    }


async def test_a_later_word_says_that_it_replaced_one() -> None:
    asked = edge()
    await asked.ask()

    answer = await asked.ask({"request_id": "req-1", "rating": "good"})

    assert (answer["score"], answer["replaced"]) == (1.0, True)


async def test_a_comment_is_told_to_be_ignored_and_not_repeated() -> None:
    asked = edge()

    answer = await asked.ask({**GOOD, "comment": "Ann said so"})

    assert answer["comment"] == "ignored"
    assert b"Ann" not in asked.sent[-1]["body"]


async def test_a_stranger_is_refused_before_the_body_is_read() -> None:
    with pytest.raises(NotAuthenticatedError):
        await edge().ask(b"{", key="wrong")


async def test_a_request_that_nobody_knows_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        await edge().ask({**GOOD, "request_id": "req-2"})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", {**GOOD, "extra": 1}, {**GOOD, "score": 2}])
async def test_what_is_no_feedback_is_refused(body: Any) -> None:
    with pytest.raises(InvalidRequestError):
        await edge().ask(body)


async def test_a_long_body_is_refused_however_long_others_may_be() -> None:
    with pytest.raises(RequestTooLargeError):
        await edge(body_limit_mb=32).ask({**GOOD, "comment": "x" * 70_000})


async def test_a_smaller_bound_of_the_settings_holds_too() -> None:
    with pytest.raises(RequestTooLargeError):
        await edge(body_limit_mb=0.001).ask({**GOOD, "comment": "x" * 2_000})


async def test_another_content_type_is_refused() -> None:
    with pytest.raises(UnsupportedMediaError):
        await edge().ask(content_type="text/plain")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods_are_refused(method: str) -> None:
    with pytest.raises(MethodNotAllowedError) as caught:
        await edge().ask(method=method)

    assert caught.value.allow == "POST, OPTIONS"


async def test_options_are_answered_without_a_key() -> None:
    asked = edge()

    await asked.ask(method="OPTIONS", key="wrong")

    assert asked.sent[0]["status"] == 204
