"""One gateway with small bounds for all tests of a file, and a connection to it for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.edge import SETTINGS
from tests.support.live import LiveGateway
from tests.support.wire import WireClient


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("wire"), SETTINGS) as started:
        yield started


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[WireClient]:
    with WireClient(gateway.address) as connected:
        yield connected
