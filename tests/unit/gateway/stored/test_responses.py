from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.domain.secret import Secret
from gateway.sealing import Sealer
from gateway.stored.base import Record, ResponseStore
from gateway.stored.memory import MemoryResponseStore
from gateway.stored.responses import TTL_S, Bound, Kept, StoredResponses
from gateway.stored.sqlite import SqliteResponseStore
from tests.support.clock import Clock

DAY_S = 24 * 3600.0
KEY = Secret("correct horse battery staple, twice over")
OURS, THEIRS = "acme/search", "acme/billing"

OUTPUT: list[dict[str, Any]] = [
    {"id": "rs_ab12_0", "type": "reasoning", "summary": []},
    {"id": "msg_ab12_1", "type": "message", "content": [{"type": "output_text", "text": "ümlaut \U0001f600"}]},
    {"id": "fc_ab12_2", "type": "function_call", "arguments": "{}"},
    {"id": "ctc_ab12_3", "type": "custom_tool_call", "input": ""},
]
RESPONSE = json.dumps({"id": "resp_ab12", "output": OUTPUT}).encode()
ITEMS = b'[{"role":"user","content":"the prompt"}]'


class BrokenStore(MemoryResponseStore):
    """A store whose disk is gone."""

    async def get(self, record_id: str) -> Record | None:
        raise StageUnavailableError("no disk")

    async def delete(self, record_id: str) -> bool:
        raise StageUnavailableError("no disk")


class CountingStore(MemoryResponseStore):
    """Counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.sweeps = self.closes = 0

    async def sweep(self) -> int:
        self.sweeps += 1
        return 0

    async def close(self) -> None:
        self.closes += 1


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture(params=["memory", "memory and disk", "one disk"])
async def stored(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[StoredResponses]:
    disk, memory = SqliteResponseStore(tmp_path / "responses.db", clock), MemoryResponseStore(10_000_000, clock)
    bindings: ResponseStore = memory if request.param == "memory" else disk
    contents: ResponseStore = disk if request.param == "one disk" else memory
    made = StoredResponses(bindings, contents, Sealer(KEY), clock)
    yield made
    await made.close()


async def test_nothing_is_known_at_first(stored: StoredResponses) -> None:
    assert await stored.find("resp_1", OURS) is None
    assert await stored.find_item("msg_1_0", OURS) is None
    assert await stored.forget("resp_1", OURS) is False
    assert stored.failed == 0


async def test_what_is_bound_leads_to_its_upstream(stored: StoredResponses) -> None:
    await stored.bind("resp_1", OURS, "openai", "gpt-x")

    assert await stored.find("resp_1", OURS) == Bound("openai", "gpt-x")


async def test_a_later_binding_counts(stored: StoredResponses) -> None:
    await stored.bind("conv_1", OURS, "openai", "gpt-x")
    await stored.bind("conv_1", OURS, "azure", "gpt-y")

    assert await stored.find("conv_1", OURS) == Bound("azure", "gpt-y")


async def test_what_is_kept_comes_back_byte_for_byte(stored: StoredResponses) -> None:
    await stored.keep("resp_ab12", OURS, "gpt-x", RESPONSE, ITEMS)

    assert await stored.find("resp_ab12", OURS) == Kept("gpt-x", RESPONSE, ITEMS)


async def test_content_of_megabytes_is_kept_too(stored: StoredResponses) -> None:
    response, items = b'{"output":[]}' + b" " * 1_000_000, bytes(range(256)) * 8192

    await stored.keep("resp_1", OURS, "gpt-x", response, items)

    assert await stored.find("resp_1", OURS) == Kept("gpt-x", response, items)


async def test_another_owners_responses_are_like_none(stored: StoredResponses) -> None:
    await stored.keep("resp_ab12", OURS, "gpt-x", RESPONSE, ITEMS)
    await stored.bind("resp_2", OURS, "openai", "gpt-x")

    assert await stored.find("resp_ab12", THEIRS) is None
    assert await stored.find("resp_2", THEIRS) is None
    assert await stored.find_item("msg_ab12_1", THEIRS) is None
    assert await stored.forget("resp_ab12", THEIRS) is False
    assert await stored.forget("resp_2", THEIRS) is False
    assert await stored.find("resp_ab12", OURS) is not None
    assert await stored.find("resp_2", OURS) is not None


async def test_owners_do_not_meet_under_one_id(stored: StoredResponses) -> None:
    await stored.bind("resp_1", OURS, "openai", "gpt-x")
    await stored.bind("resp_1", THEIRS, "azure", "gpt-y")
    await stored.forget("resp_1", THEIRS)

    assert await stored.find("resp_1", OURS) == Bound("openai", "gpt-x")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("1", "a:b"), ("b:1", "a")),
        (("b/1", "a"), ("1", "a/b")),
        (("x", "a1"), ("1x", "a")),
        (("1", "a\0"), ("\x001", "a")),
    ],
)
async def test_an_owner_cannot_be_written_into_an_id(
    stored: StoredResponses, first: tuple[str, str], second: tuple[str, str]
) -> None:
    await stored.bind(*first, "openai", "gpt-x")

    assert await stored.find(*second) is None


async def test_an_empty_id_names_nothing(stored: StoredResponses) -> None:
    await stored.bind("", OURS, "openai", "gpt-x")
    await stored.keep("", OURS, "gpt-x", RESPONSE, ITEMS)

    assert await stored.find("", OURS) is None
    assert stored.failed == 0


async def test_what_is_forgotten_is_gone(stored: StoredResponses) -> None:
    await stored.keep("resp_ab12", OURS, "gpt-x", RESPONSE, ITEMS)
    await stored.bind("resp_2", OURS, "openai", "gpt-x")

    assert [await stored.forget(one, OURS) for one in ("resp_ab12", "resp_2")] == [True, True]
    assert [await stored.forget(one, OURS) for one in ("resp_ab12", "resp_2")] == [False, False]
    assert [await stored.find(one, OURS) for one in ("resp_ab12", "resp_2")] == [None, None]
    assert await stored.find_item("msg_ab12_1", OURS) is None


async def test_responses_are_kept_for_thirty_days(stored: StoredResponses, clock: Clock) -> None:
    await stored.keep("resp_ab12", OURS, "gpt-x", RESPONSE, ITEMS)
    await stored.bind("resp_2", OURS, "openai", "gpt-x")

    clock.now += 30 * DAY_S - 1
    before = [await stored.find(one, OURS) is not None for one in ("resp_ab12", "resp_2")]
    clock.now += 1

    assert before == [True, True]
    assert [await stored.find(one, OURS) for one in ("resp_ab12", "resp_2")] == [None, None]


async def test_conversations_stay_bound(stored: StoredResponses, clock: Clock) -> None:
    await stored.bind("conv_1", OURS, "openai", "gpt-x")

    clock.now += 1000 * DAY_S

    assert await stored.find("conv_1", OURS) == Bound("openai", "gpt-x")


async def test_a_conversation_may_be_bound_without_a_model(stored: StoredResponses) -> None:
    await stored.bind("conv_1", OURS, "openai", "")

    assert await stored.find("conv_1", OURS) == Bound("openai", "")


async def test_the_time_to_live_can_be_set(clock: Clock) -> None:
    store = MemoryResponseStore(1_000_000, clock)
    stored = StoredResponses(store, store, Sealer(None), clock, ttl_s=10.0)
    await stored.bind("resp_1", OURS, "openai", "gpt-x")

    clock.now += 10

    assert TTL_S == 30 * DAY_S
    assert await stored.find("resp_1", OURS) is None


@pytest.mark.parametrize("item", OUTPUT, ids=lambda item: item["type"])
async def test_an_item_is_found_by_its_id(stored: StoredResponses, item: dict[str, Any]) -> None:
    await stored.keep("resp_ab12", OURS, "gpt-x", RESPONSE, ITEMS)

    found = await stored.find_item(item["id"], OURS)

    assert found is not None
    assert json.loads(found) == item
    assert found in RESPONSE


@pytest.mark.parametrize(
    "item_id",
    [
        "", "msg_ab12_0", "msg_ab12_9", "msg_ab12_01", "msg_ab12", "msg_ab12_", "msg__1", "msg_AB12_1", "msg_ab12_1 ",
        "msg_ab12_1\n", "xx_ab12_1", "resp_ab12", "msg_ab12_\u0661", "msg_ab13_1", f"msg_{'a' * 100_000}_1",
        f"msg_ab12_{'1' * 100_000}", "msg_ab12_1\0", "\ud83d",
    ],
    ids=lambda one: repr(one[:20]),
)  # fmt: skip
async def test_any_other_item_id_is_unknown(stored: StoredResponses, item_id: str) -> None:
    await stored.keep("resp_ab12", OURS, "gpt-x", RESPONSE, ITEMS)

    assert await stored.find_item(item_id, OURS) is None


async def test_an_item_of_a_response_that_an_upstream_keeps_is_unknown(stored: StoredResponses) -> None:
    await stored.bind("resp_ab12", OURS, "openai", "gpt-x")

    assert await stored.find_item("msg_ab12_1", OURS) is None


@pytest.mark.parametrize(
    "response", [b"", b"{", b"[]", b"{}", b'{"output":7}', b'{"output":[1]}', b'{"output":[{"id":7}]}', b"\xff"]
)
async def test_a_document_without_items_has_none(stored: StoredResponses, response: bytes) -> None:
    await stored.keep("resp_ab12", OURS, "gpt-x", response, ITEMS)

    assert await stored.find_item("msg_ab12_1", OURS) is None


@pytest.mark.parametrize(
    "record_id",
    ["'; DROP TABLE record; --", "nul\0", "x" * 10_000, "x" * 1_000_000, "\ud83d", "conv_" + "\U0001f600" * 5000],
    ids=lambda one: repr(one[:20]),
)
async def test_any_text_is_an_id_and_takes_the_room_of_one(stored: StoredResponses, record_id: str) -> None:
    await stored.bind(record_id, OURS, "openai", "gpt-x")

    assert stored.failed == 0
    assert await stored.find(record_id, OURS) == Bound("openai", "gpt-x")
    assert await stored.find(record_id + " ", OURS) is None
    assert await stored.forget(record_id, OURS) is True


@pytest.mark.parametrize("size", [10, 100_000])
async def test_nothing_that_is_kept_stands_in_the_file(tmp_path: Path, clock: Clock, size: int) -> None:
    path = tmp_path / "responses.db"
    store = SqliteResponseStore(path, clock)
    stored = StoredResponses(store, store, Sealer(KEY), clock)
    await stored.keep("resp_needle", OURS, "gpt-x", b"a needle of an answer " * size, b"a needle of a prompt " * size)
    await stored.bind("conv_needle", OURS, "openai", "gpt-x")
    assert store._writer is not None
    await store._writer
    wal = path.with_name("responses.db-wal").read_bytes()

    await stored.close()

    assert b"gpt-x" in wal
    assert b"gpt-x" in path.read_bytes()
    assert b"needle" not in wal + path.read_bytes()


async def test_kept_responses_survive_a_restart_with_the_same_key(tmp_path: Path, clock: Clock) -> None:
    await keep_on_disk(tmp_path, clock, KEY)

    assert await find_on_disk(tmp_path, clock, KEY) == Kept("gpt-x", RESPONSE, ITEMS)


@pytest.mark.parametrize("other", [None, Secret("another key of the same organisation")])
async def test_a_response_sealed_with_another_key_is_unknown_and_said_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, other: Secret | None
) -> None:
    await keep_on_disk(tmp_path, clock, KEY)

    assert await find_on_disk(tmp_path, clock, other) is None
    (line,) = (line for line in caplog.records if line.levelno >= logging.WARNING)
    assert "`encryption_key` changed" in line.message


async def test_content_put_under_another_id_or_owner_does_not_open(clock: Clock) -> None:
    store = MemoryResponseStore(1_000_000, clock)
    stored = StoredResponses(store, store, Sealer(KEY), clock)
    await stored.keep("resp_1", OURS, "gpt-x", RESPONSE, ITEMS)
    await stored.keep("resp_2", THEIRS, "gpt-x", b"{}", b"[]")
    ours, theirs = store._records.values()

    store._records[theirs.id] = Record(
        id=theirs.id, owner=theirs.owner, upstream="", model="m", created_at=0.0, expires_at=9e9, sealed=ours.sealed
    )

    assert await stored.find("resp_2", THEIRS) is None


async def test_a_broken_store_is_not_taken_for_an_unknown_id(clock: Clock) -> None:
    broken = BrokenStore(1_000_000, clock)
    stored = StoredResponses(broken, broken, Sealer(None), clock)

    with pytest.raises(StageUnavailableError):
        await stored.find("resp_1", OURS)
    with pytest.raises(StageUnavailableError):
        await stored.find_item("msg_1_0", OURS)
    with pytest.raises(StageUnavailableError):
        await stored.forget("resp_1", OURS)


async def test_what_cannot_be_kept_is_counted_over_both_stores(clock: Clock) -> None:
    stored = StoredResponses(MemoryResponseStore(0, clock), MemoryResponseStore(1000, clock), Sealer(None), clock)

    await stored.bind("resp_1", OURS, "openai", "gpt-x")
    await stored.keep("resp_2", OURS, "gpt-x", bytes(700), b"[]")

    assert stored.failed == 2


@pytest.mark.parametrize("stores", [1, 2])
async def test_every_store_is_swept_again_and_again_and_closed_once(stores: int) -> None:
    bindings = CountingStore()
    contents = bindings if stores == 1 else CountingStore()
    stored = StoredResponses(bindings, contents, Sealer(None))

    running = asyncio.create_task(stored.run(every_s=0.0))
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
    await stored.close()

    assert min(bindings.sweeps, contents.sweeps) > 3
    assert {bindings.closes, contents.closes} == {1}


async def test_expired_responses_give_their_room_back(clock: Clock) -> None:
    store = MemoryResponseStore(1_000_000, clock)
    stored = StoredResponses(store, store, Sealer(None), clock)
    await stored.keep("resp_1", OURS, "gpt-x", RESPONSE, ITEMS)
    clock.now += TTL_S

    running = asyncio.create_task(stored.run())
    await asyncio.sleep(0)
    running.cancel()

    assert store.bytes == 0


async def keep_on_disk(folder: Path, clock: Clock, key: Secret | None) -> None:
    stored = on_disk(folder, clock, key)
    await stored.keep("resp_ab12", OURS, "gpt-x", RESPONSE, ITEMS)
    await stored.close()


async def find_on_disk(folder: Path, clock: Clock, key: Secret | None) -> Bound | Kept | None:
    stored = on_disk(folder, clock, key)
    found = [await stored.find("resp_ab12", OURS) for _ in range(2)]
    await stored.close()
    return found[-1]


def on_disk(folder: Path, clock: Clock, key: Secret | None) -> StoredResponses:
    store = SqliteResponseStore(folder / "responses.db", clock)
    return StoredResponses(store, store, Sealer(key), clock)
