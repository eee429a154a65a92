"""Settings files with a policy, for tests of what comes of one."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.settings import Settings, parse

SECRET: Final = "sk-tw-0123456789abcdef"


def document_of(sections: dict[str, Any] | None = None, **organisation: Any) -> dict[str, Any]:
    """Return a settings file with a model a tier and the key `search/ci`, unless told otherwise.

    `small` costs 1 and 2 dollars a million tokens, `middle` 5 and 10, `big` 10 and 20. `auto` is `simple`.
    """
    prices = {"small": (1, 2), "middle": (5, 10), "big": (10, 20)}
    models = {
        name: {"upstream": "offline", "price": {"input": cost[0], "output": cost[1]}} for name, cost in prices.items()
    }
    tiers = {"simple": ["small"], "medium": ["middle"], "complex": ["big"]}
    return {
        "upstreams": {"offline": {"kind": "echo"}},
        "models": models,
        "router": {"strategy": "fixed", "tiers": tiers, "default_tier": "simple"},
        **(sections or {}),
        "organisation": {"teams": {"search": {"keys": [{"name": "ci", "secret": SECRET}]}}, **organisation},
    }


def settings_of(sections: dict[str, Any] | None = None, **organisation: Any) -> Settings:
    """Return what `document_of` says, loaded."""
    return parse(json.dumps(document_of(sections, **organisation)).encode(), {})
