"""A gateway that limits its callers before a scripted upstream, and what journeys about that say again and again."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.support.live import UNASSISTED, UPSTREAM_KEY, LiveGateway
from tests.support.mixed import message
from tests.support.scripted_upstream import Answer as Scripted
from tests.support.scripted_upstream import chunk, completion, events, plain, stream
from tests.support.wire import Answer, WireClient, chat

CI: Final = "key-of-search-called-ci-0123456789"
CD: Final = "key-of-search-called-cd-0123456789"
OTHER: Final = "key-of-another-team-0123456789abcd"

CHAT: Final = "/v1/chat/completions"
MESSAGES: Final = "/v1/messages"

TIER_OF: Final = {"large": "complex", "mid": "medium", "small": "simple"}
"""The models that belong to tiers; `loose` belongs to none, and `unpriced` has no price."""

TOO_LITTLE: Final = 100
"""Micro-dollars that are less than any request here may cost. YAML reads amounts below as words: they have an `e`."""

COST: Final = 15
"""Micro-dollars of an answer of 9 and 3 tokens, which is what the upstream reports unless told otherwise."""


def governed(upstream_url: str, organisation: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Return settings with three teams' keys, under an organisation's rules; every model costs 1 and 2 USD a million.

    Args:
        upstream_url: of the scripted upstream, which is asked in every shape.
        organisation: the section; `team` and `key` in it are what the team `search` and its key `ci` say.
        sections: settings that replace these.
    """
    rules = dict(organisation)
    ci = {"name": "ci", "secret": CI, **rules.pop("key", {})}
    search = {"keys": [ci, {"name": "cd", "secret": CD}], **rules.pop("team", {})}
    models: dict[str, Any] = {
        name: {"upstream": "scripted", "price": {"input": 1.0, "output": 2.0}} for name in (*TIER_OF, "loose")
    }
    models["unpriced"] = {"upstream": "scripted", "model": "nobody-sells-this"}
    features = ["chat", "responses", "messages", "embeddings", "completions"]
    return {
        "upstreams": {
            "scripted": {"kind": "openai", "base_url": upstream_url, "api_key": UPSTREAM_KEY, "features": features}
        },
        "models": models,
        "router": {
            **UNASSISTED,
            "tiers": {tier: [name] for name, tier in TIER_OF.items()},
            "default_tier": "complex",
        },
        "organisation": {
            "name": "acme",
            "teams": {"search": search, "other": {"keys": [{"name": "k", "secret": OTHER}]}},
            **rules,
        },
        **sections,
    }


def ask(
    gateway: LiveGateway,
    document: dict[str, Any] | None = None,
    *headers: tuple[str, str],
    key: str = CI,
    path: str = CHAT,
    method: str = "POST",
) -> Answer:
    """Send one request on a connection of its own, a short chat unless told otherwise, and return its answer."""
    with WireClient(gateway.address) as client:
        body = None if method == "GET" else brief() if document is None else document
        client.send(message(method, path, body, *headers, key=key))
        return client.answer()


def brief(content: str = "Say hello to me, please, and no more", model: str = "loose", **fields: Any) -> dict[str, Any]:
    """Return a chat request whose answer has three tokens at most."""
    return chat(model, content, **{"max_tokens": 3, **fields})


def ceiling(document: dict[str, Any] | None = None) -> int:
    """Return what is held for a chat request, in micro-dollars."""
    asked = brief() if document is None else document
    return len(json.dumps(asked).encode()) + 2 * int(asked["max_tokens"])


def budget(microusd: int, window: str = "total", **fields: Any) -> dict[str, Any]:
    return {"usd": microusd / 1_000_000, "window": window, **fields}


def left(answer: Answer) -> int:
    """Return what an answer says is left of the tightest budget, in micro-dollars."""
    return round(float(answer.headers["x-tierway-budget"].split(";")[2]) * 1_000_000)


def charged(gateway: LiveGateway, key: str = CI) -> int:
    """Return what a budget counts besides the request that asks, in micro-dollars.

    Counting tokens costs nothing and holds nothing but a request.
    """
    answer = ask(gateway, {"model": "loose", "input": "Hi"}, key=key, path="/v1/responses/input_tokens")
    assert "x-tierway-budget" in answer.headers, answer.body
    return BUDGET - left(answer)


BUDGET: Final = 1_000_000
"""Micro-dollars of the budget that `charged` reads."""


def costing(prompt_tokens: int, completion_tokens: int = 0) -> Scripted:
    """Return an answer whose provider reports so many tokens."""
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return plain({**completion(), "usage": usage})


def streamed(*before_the_end: Any) -> Scripted:
    """Return a streamed answer of 9 and 3 tokens, with steps before its usage and its end."""
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    return stream(
        *events(chunk("Hello.")),
        *before_the_end,
        *events(chunk(finish="stop"), {**chunk(), "choices": [], "usage": usage}, b"[DONE]"),
    )
