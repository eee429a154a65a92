"""A gateway that limits its callers, started with the rules of each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.governed import governed
from tests.support.live import LiveGateway
from tests.support.scripted_upstream import ScriptedUpstream

Govern = Callable[..., LiveGateway]


@pytest.fixture
def govern(start_gateway: StartGateway, upstream: ScriptedUpstream) -> Govern:
    """Start a gateway under an organisation's rules, before `upstream`; again after it was killed, on the same state.

    Arguments: the organisation's section, and other sections by name; see `governed`.
    """

    def start(organisation: dict[str, Any], **sections: Any) -> LiveGateway:
        return start_gateway(governed(upstream.url, organisation, **sections))

    return start
