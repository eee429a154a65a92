from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from cache.calibration.keeper import BudgetKeeper
from cache.calibration.table import threshold_for
from cache.index.rows import pack
from cache.semantic import replica as module
from cache.semantic.base import Found, Missed
from cache.semantic.cache import SemanticCache
from cache.semantic.events import Deleted, Event, Judged, Stored, Written, encode
from cache.semantic.logs.base import BATCH
from cache.semantic.readings import shrink
from cache.semantic.replica import identity_digest
from cache.verifier.reader import read
from tests.support.embedding import FakeEmbedder
from tests.support.semantic import (
    EGG,
    FAR_AWAY,
    SCOPE,
    THE_EGG,
    DictPayloads,
    MemoryLog,
    embedder,
    keep,
    make_cache,
    warmed,
)

MODEL = identity_digest(embedder().identity)


def stored(
    entry_id: int = 7, text: str = EGG, scope: bytes = SCOPE, *, model: bytes = MODEL, expires_at: float = FAR_AWAY
) -> Stored:
    row = pack(embedder().vector(text)).tobytes()
    return Stored(scope, entry_id, model, row, shrink(read(text)), b"answer", 1000.0, expires_at)


def lines(*events: Event) -> list[bytes]:
    return [encode(Written(b"another", event)) for event in events]


@pytest.fixture
def payloads() -> DictPayloads:
    made = DictPayloads()
    made.kept.update({7: (SCOPE, "answer 7"), 8: (SCOPE, "answer 8")})
    return made


class Both:
    """Two replicas on one log."""

    def __init__(self, payloads: DictPayloads) -> None:
        self.payloads = payloads
        written: list[bytes] = []
        self.logs = MemoryLog(written), MemoryLog(written)
        self.keepers = BudgetKeeper(0.01), BudgetKeeper(0.01)
        self.caches = tuple(
            make_cache(one, payloads=payloads, keeper=keeper)
            for one, keeper in zip(self.logs, self.keepers, strict=True)
        )

    async def told(self) -> None:
        """Wait until both have read everything."""
        written = self.logs[0].lines
        for _ in range(5000):
            for one in self.logs:
                one.tell()
            await asyncio.sleep(0.001)
            if all(cache._replica._position == str(len(written)) for cache in self.caches):
                break
        else:
            raise AssertionError("a replica does not follow")
        for _ in range(200):  # a position is known before what leads to it is taken in, some of it at each turn
            await asyncio.sleep(0)


@pytest.fixture
async def both(payloads: DictPayloads) -> AsyncIterator[Both]:
    made = Both(payloads)
    for cache in made.caches:
        await warmed(cache)
    yield made
    for cache in made.caches:
        await cache.close()


async def ask(cache: SemanticCache, text: str = THE_EGG, scope: bytes = SCOPE) -> Found | Missed:
    return await cache.begin(scope, text).result(1.0)


async def test_what_was_stored_before_the_start_is_found(payloads: DictPayloads) -> None:
    cache = await warmed(make_cache(MemoryLog(lines(stored())), payloads=payloads))

    assert isinstance(await ask(cache), Found)
    await cache.close()


async def test_scopes_that_are_not_read_yet_are_missed_as_warming_and_own_entries_are_found(
    payloads: DictPayloads,
) -> None:
    held = MemoryLog(lines(stored()))
    held.is_held = True
    cache = make_cache(held, payloads=payloads)
    cache.open()
    await keep(cache, payloads, 8, EGG, scope=b"another")
    before = await ask(cache), await ask(cache, scope=b"another")
    held.is_held = False
    held.tell()
    await warmed(cache)

    assert before[0] == Missed("warming")
    assert isinstance(before[1], Found)
    assert isinstance(await ask(cache), Found)
    await cache.close()


@pytest.mark.parametrize(
    "event",
    [
        stored(model=identity_digest("other")),
        stored(expires_at=1.0),
        Stored(SCOPE, 7, MODEL, b"short", shrink(read(EGG)), b"", 1.0, FAR_AWAY),
        Stored(SCOPE, 7, MODEL, pack(embedder().vector(EGG)).tobytes(), b"?", b"", 1.0, FAR_AWAY),
    ],
    ids=["of another model", "expired", "of another length", "of another version of the reader"],
)
async def test_what_is_of_no_use_is_skipped(payloads: DictPayloads, event: Event) -> None:
    cache = await warmed(make_cache(MemoryLog(lines(event, stored(8, scope=b"another"))), payloads=payloads))

    assert (len(cache.entries), cache.entries.holds(SCOPE)) == (1, False)
    await cache.close()


async def test_what_was_deleted_before_the_start_is_not_found(payloads: DictPayloads) -> None:
    log = MemoryLog(lines(stored(), stored(8, scope=b"other"), Deleted(SCOPE, 7), Deleted(b"", 8)))
    cache = await warmed(make_cache(log, payloads=payloads))

    assert len(cache.entries) == 0
    await cache.close()


async def test_what_was_stored_again_after_it_was_deleted_is_found(payloads: DictPayloads) -> None:
    cache = await warmed(make_cache(MemoryLog(lines(stored(), Deleted(SCOPE, 7), stored())), payloads=payloads))

    assert isinstance(await ask(cache), Found)
    await cache.close()


async def test_pairs_barred_and_thresholds_raised_before_the_start_stay_so(payloads: DictPayloads) -> None:
    keeper = BudgetKeeper(0.01)
    first_log = MemoryLog()
    first = await warmed(make_cache(first_log, payloads=payloads))
    await keep(first, payloads, 7, EGG)
    await ask(first)
    await first.report_wrong(7)
    await keep(first, payloads, 8, EGG)
    await first.close()

    second = await warmed(make_cache(MemoryLog(first_log.lines), payloads=payloads, keeper=keeper))
    missed = await ask(second)

    assert isinstance(missed, Missed)
    assert missed.reason == "barred"
    assert keeper.threshold(SCOPE.hex()) > threshold_for(0.01)
    await second.close()


async def test_many_entries_in_many_batches_are_all_read() -> None:
    events = [stored(number, f"How {number} long?", bytes([number % 7])) for number in range(3 * BATCH)]
    cache = await warmed(make_cache(MemoryLog(lines(*events))))

    assert (len(cache.entries), cache.entries.scopes) == (3 * BATCH, 7)
    await cache.close()


async def test_what_one_stores_the_other_finds(both: Both) -> None:
    await keep(both.caches[0], both.payloads, 7, EGG)
    await both.told()

    found = await ask(both.caches[1])

    assert isinstance(found, Found)
    assert found.payload == "answer 7"


async def test_an_entry_that_is_stored_again_lives_longer_on_the_other_too(both: Both) -> None:
    now = time.time()
    for at in (now, now + 1.0):
        log = both.logs[0]
        log.append(msgspec.structs.replace(stored(expires_at=at + 0.5), stored_at=at))
        await both.told()

    found = [kept.expires_at for _, _, kept in both.caches[1].entries.search(SCOPE, embedder().vector(EGG), 3)]

    assert found == [now + 1.5]


async def test_an_event_that_breaks_something_is_passed_over(
    payloads: DictPayloads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.001)
    broken = Judged(SCOPE, "", float("nan"), is_right=True, is_report=False)
    log = MemoryLog(lines(broken))
    with caplog.at_level(logging.CRITICAL):
        cache = await warmed(make_cache(log, payloads=payloads))
    log.append(stored())
    await asyncio.sleep(0.02)

    assert isinstance(await ask(cache), Found)
    assert cache.complaint == ""
    await cache.close()


async def test_many_that_come_at_once_are_all_taken(both: Both) -> None:
    for number in range(100):
        both.logs[0].append(stored(number, f"How {number} long?"))
    await both.told()

    assert len(both.caches[1].entries) == 100


async def test_what_one_deletes_the_other_forgets(both: Both) -> None:
    await keep(both.caches[0], both.payloads, 7, EGG)
    await both.told()

    assert await both.caches[1].delete(7)
    await both.told()
    assert [len(cache.entries) for cache in both.caches] == [0, 0]


async def test_a_report_to_one_bars_what_the_other_served_and_raises_both(both: Both) -> None:
    await keep(both.caches[0], both.payloads, 7, EGG)
    await both.told()
    await ask(both.caches[1])

    await both.caches[0].report_wrong(7)
    await both.told()
    await keep(both.caches[0], both.payloads, 8, EGG)
    await both.told()

    missed = [await ask(cache) for cache in both.caches]
    assert [one.reason for one in missed if isinstance(one, Missed)] == ["barred", "barred"]
    assert all(keeper.threshold(SCOPE.hex()) > threshold_for(0.01) for keeper in both.keepers)


async def test_an_audit_counts_once_in_each(both: Both) -> None:
    await keep(both.caches[0], both.payloads, 7, EGG)
    found = await ask(both.caches[0])
    assert isinstance(found, Found)

    both.caches[0].audit(found, is_right=True)
    await both.told()

    assert [keeper.measured().audits for keeper in both.keepers] == [1, 1]


async def test_an_entry_deleted_here_does_not_come_back_with_what_was_written_before(payloads: DictPayloads) -> None:
    log = MemoryLog()
    cache = await warmed(make_cache(log, payloads=payloads))
    log.is_held = True
    log.lines += lines(stored())
    await keep(cache, payloads, 7, EGG)
    await cache.delete(7)
    log.is_held = False
    log.tell()
    for _ in range(20):
        await asyncio.sleep(0)

    assert len(cache.entries) == 0
    await cache.close()


async def test_a_judgement_is_written_down_with_its_pair(payloads: DictPayloads) -> None:
    log = MemoryLog()
    cache = await warmed(make_cache(log, payloads=payloads))
    await keep(cache, payloads, 7, EGG)
    found = await ask(cache)
    assert isinstance(found, Found)
    cache.audit(found, is_right=False)
    await cache.close()

    judged = Judged(SCOPE, "", found.counted, is_right=False, is_report=False, pairs=(found.pair,))
    assert log.lines[-1] == encode(Written(log.origin, judged))


async def test_a_log_that_comes_back_is_read_on_from_where_it_was(
    payloads: DictPayloads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.001)
    log = MemoryLog(lines(stored(8, scope=b"other")))
    keeper = BudgetKeeper(0.01)
    cache = await warmed(make_cache(log, payloads=payloads, keeper=keeper))
    log.error = ZeroDivisionError("broken")
    with caplog.at_level(logging.CRITICAL):
        log.tell()
        await asyncio.sleep(0.02)
    complaint, log.error = cache.complaint, None
    log.lines += lines(stored())
    async with asyncio.timeout(10):
        while not cache.entries.holds(SCOPE):  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.001)

    assert "ZeroDivisionError" in complaint
    assert isinstance(await ask(cache), Found)
    assert cache.complaint == ""
    await cache.close()


async def test_old_events_are_cut_at_the_start() -> None:
    log = MemoryLog()
    cache = await warmed(make_cache(log))
    await asyncio.sleep(0)

    assert log.trimmed == 1
    await cache.close()


def test_identities_are_told_apart() -> None:
    assert identity_digest("a") == identity_digest("a") != identity_digest("b")
    assert len(identity_digest(FakeEmbedder().identity)) == 8
