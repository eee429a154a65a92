"""Fixtures for every folder: a gateway and an upstream on real sockets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.confidential import LeakWatch
from tests.support.live import LiveGateway
from tests.support.scripted_upstream import ScriptedUpstream

StartGateway = Callable[..., LiveGateway]

# Machines that run tests are busy: how long an example takes says nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
_WATCH = LeakWatch()


def pytest_configure() -> None:
    """Look at everything that is logged from now on."""
    logging.getLogger().addHandler(_WATCH)


@pytest.fixture(autouse=True)
def _no_secret_is_logged() -> Iterator[None]:
    """Fail the test that logged one of the suite's well-known secrets."""
    yield
    assert _WATCH.take() == [], "a secret was logged"


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways in the test's own folder; arguments as for `LiveGateway`, without the folder."""
    with ExitStack() as stack:

        def start(*arguments: Any, **options: Any) -> LiveGateway:
            return stack.enter_context(LiveGateway(tmp_path, *arguments, **options))

        yield start


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """Run an upstream for one test."""
    with ScriptedUpstream() as started:
        yield started
