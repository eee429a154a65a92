"""One gateway for all tests of a file, relaying to an upstream that each test scripts anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.live import LiveGateway, relay_settings
from tests.support.mixed import Mixed
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.wire import WireClient


@pytest.fixture(scope="module")
def _relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveGateway, ScriptedUpstream]]:
    with ScriptedUpstream() as upstream:
        settings = relay_settings(upstream.url, aliases={"nick/name": "relayed"})
        with LiveGateway(tmp_path_factory.mktemp("relay"), settings) as gateway:
            yield gateway, upstream


@pytest.fixture
def relay(_relay: tuple[LiveGateway, ScriptedUpstream]) -> LiveGateway:
    """The gateway in front of `scripted`; its model is `relayed`."""
    gateway, upstream = _relay
    upstream.reset()
    return gateway


@pytest.fixture
def scripted(_relay: tuple[LiveGateway, ScriptedUpstream], relay: LiveGateway) -> ScriptedUpstream:
    """The upstream of `relay`, with nothing scripted."""
    return _relay[1]


@pytest.fixture
def wire(relay: LiveGateway) -> Iterator[WireClient]:
    """A raw connection to `relay`."""
    with WireClient(relay.address) as client:
        yield client


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """A gateway without a settings file."""
    with LiveGateway(tmp_path_factory.mktemp("echo")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def _mixed() -> Iterator[Mixed]:
    with Mixed() as started:
        yield started


@pytest.fixture
def mixed(_mixed: Mixed) -> Mixed:
    """A gateway before upstreams of every kind, with nothing scripted."""
    _mixed.reset()
    return _mixed
