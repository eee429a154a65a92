"""What a Redis user must be allowed: no more and no less than the operators' page says."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection, pack
from gateway.stored.base import Record
from gateway.stored.redis import RedisResponseStore
from policies.meters import Demand, Meter
from policies.stores.holds.base import Granted
from policies.stores.keys.base import KeyRecord
from policies.stores.keys.redis import RedisKeyStore
from policies.windows import SlidingWindow
from tests.support.redis_server import RedisServer
from tests.support.resilience import Replica, acquaint

PAGE = Path(__file__).parents[4] / "docs" / "operations.md"
METERS = (Meter("org|requests|60", "organisation", "requests", 5, SlidingWindow(60)),)


def line() -> str:
    found = re.search(r"^user tierway .*$", PAGE.read_text(), re.MULTILINE)
    assert found is not None
    return found[0].replace(">PASSWORD", ">secret")


async def use(url: str) -> None:
    keys = RedisKeyStore(parse_address(url), "acme")
    keys.add(KeyRecord(id="key_1", team="a", name="b", digest=b"c", created_at=1.0))
    assert keys.revoke("key_1", 5.0)
    assert len(keys.load()) == 1
    assert keys.version()
    keys.close()
    replica = Replica(url, command_timeout_s=1.0)
    await acquaint(replica)
    assert replica.replicas.count == 1
    for name in ("settled", "released", "raised", "left alone"):
        assert isinstance(await replica.store.reserve(name, METERS, (Demand(),), lease_s=5.0), Granted)
    assert (await replica.store.settle("settled", Demand())).was_known
    assert await replica.store.release("released")
    assert isinstance(await replica.store.exchange("raised", Demand(2)), Granted)
    assert await replica.store.extend("raised", 60.0)
    assert len(await replica.store.sweep(time.time() + 6.0)) == 1
    replica.debts.owe(METERS, time.time(), Demand())
    await replica.debts.pay()
    assert (await replica.store.standing(METERS))[0].used == 1 + 2 + 1 + 1
    assert await replica.store.outstanding() == 1
    await replica.replicas.close()
    await replica.close()


async def keep(url: str) -> None:
    store = RedisResponseStore(RedisConnection(parse_address(url)), "acme", max_bytes=2_000)
    for number in range(5):
        await store.put(Record(id=str(number), owner="a", upstream="", model="m", created_at=1.0, expires_at=1e10))
    assert store.failed == 0
    assert await store.get("4") is not None
    assert await store.delete("4")
    assert await store.sweep() == 0
    await store.close()


async def test_the_rights_on_the_page_are_enough() -> None:
    with RedisServer((line(),)) as server:
        url = f"redis://tierway:secret@127.0.0.1:{server.port}/1"

        await use(url)
        await keep(url)


@pytest.mark.parametrize("command", [("FLUSHALL",), ("KEYS", "*"), ("GET", "someone:else"), ("CONFIG", "GET", "*")])
async def test_they_are_no_more_than_that(command: tuple[str, ...]) -> None:
    with RedisServer((line(),)) as server:
        connection = RedisConnection(parse_address(f"redis://tierway:secret@127.0.0.1:{server.port}"))
        await connection.open()

        with pytest.raises(StageUnavailableError):
            await connection.call(pack(*command))

        await connection.close()


def test_every_right_is_used_by_what_is_in_the_code() -> None:
    folders = (PAGE.parents[1] / folder for folder in ("gateway", "policies"))
    texts = [path.read_text() for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".lua")]
    by_the_library = {"select", "client|setname"}

    rights = set(re.findall(r"\+([a-z|]+)", line())) - by_the_library
    named = {one: re.compile(rf"['\"]{one.partition('|')[0]}['\"]", re.IGNORECASE) for one in rights}
    unused = {one for one, pattern in named.items() if not any(pattern.search(text) for text in texts)}

    assert unused == set()
