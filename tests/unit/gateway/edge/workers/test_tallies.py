from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.edge.workers import tallies as tallies_module
from gateway.edge.workers.assignment import Assignment
from gateway.edge.workers.tallies import Tallies, fold
from gateway.telemetry import Record, Telemetry
from gateway.telemetry.merging import Tally, as_families

TOP_N = 50


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, as those of sockets are bounded."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


class Worker:
    """A worker that has answered `requests` requests."""

    def __init__(self, folder: Path, number: int, requests: int) -> None:
        self.assignment = Assignment(number=number, slot=number, folder=str(folder), line=0, main=0)
        self.telemetry = Telemetry()
        for _ in range(requests):
            self.telemetry.record(Record(1.0, "req-1", "chat", 200))
        self.tallies = Tallies(self.assignment, self.telemetry)

    def leave_behind(self) -> None:
        counted = Tally(self.assignment.number, self.assignment.slot, as_families(self.telemetry.families()))
        self.assignment.last_tally().write_bytes(msgspec.msgpack.encode(counted))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


async def read(worker: Worker) -> tuple[float, float]:
    """Return the requests and the workers that one of them tells of."""
    families = text_string_to_metric_families((await worker.telemetry.read()).decode())
    values = {sample.name: sample.value for family in families for sample in family.samples}
    return values["tierway_requests_total"], values["tierway_workers"]


async def test_whichever_is_asked_answers_for_all(folder: Path) -> None:
    one, two = Worker(folder, 1, 2), Worker(folder, 2, 3)

    async with one.tallies.shared(), two.tallies.shared():
        assert await read(one) == (5, 2)
        assert await read(two) == (5, 2)


async def test_counts_of_one_that_has_ended_stay(folder: Path) -> None:
    one, two = Worker(folder, 1, 2), Worker(folder, 2, 3)
    async with one.tallies.shared():
        async with two.tallies.shared():
            pass

        assert await read(one) == (5, 1)
        fold(folder, label_top_n=TOP_N)
        assert await read(one) == (5, 1)


async def test_what_is_left_behind_does_not_grow(folder: Path) -> None:
    for number in range(1, 6):
        async with Worker(folder, number, 1).tallies.shared():
            pass
        fold(folder, label_top_n=TOP_N)

    last = Worker(folder, 6, 1)
    async with last.tallies.shared():
        assert await read(last) == (6, 1)
        assert names(folder) == ["6.sock", "ended"]


async def test_one_that_is_left_behind_and_added_up_counts_once(folder: Path) -> None:
    one, two = Worker(folder, 1, 2), Worker(folder, 2, 3)
    two.leave_behind()
    fold(folder, label_top_n=TOP_N)
    two.leave_behind()

    async with one.tallies.shared():
        assert await read(one) == (5, 1)


async def test_one_that_answers_still_is_not_counted_as_ended_too(folder: Path) -> None:
    one, two = Worker(folder, 1, 2), Worker(folder, 2, 3)
    async with one.tallies.shared(), two.tallies.shared():
        two.leave_behind()

        assert await read(one) == (5, 2)


async def test_one_that_does_not_answer_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies_module, "PATIENCE_S", 0.05)
    is_over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_over.wait()
        writer.close()

    one = Worker(folder, 1, 2)
    stuck = await asyncio.start_unix_server(say_nothing, folder / "2.sock")
    async with one.tallies.shared():
        assert await read(one) == (2, 1)
    is_over.set()
    stuck.close()


@pytest.mark.parametrize("answer", [b"", b"\xc1", b"\x93\x01\x01"])
async def test_one_that_answers_nonsense_is_left_out(folder: Path, answer: bytes) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    one = Worker(folder, 1, 2)
    babbling = await asyncio.start_unix_server(babble, folder / "2.sock")
    async with one.tallies.shared():
        assert await read(one) == (2, 1)
    babbling.close()


async def test_socket_of_one_that_was_killed_is_no_matter(folder: Path) -> None:
    killed = await asyncio.start_unix_server(lambda _, writer: writer.close(), folder / "2.sock")
    killed.close()
    (folder / "2.sock").touch()
    one = Worker(folder, 1, 2)

    async with one.tallies.shared():
        assert await read(one) == (2, 1)


async def test_what_cannot_be_read_is_passed_over(folder: Path) -> None:
    (folder / "2.tally").write_bytes(b"\xc1")
    (folder / "ended").write_bytes(b"\xc1")
    one = Worker(folder, 1, 2)

    async with one.tallies.shared():
        assert await read(one) == (2, 1)


async def test_end_without_a_folder_is_an_end(folder: Path) -> None:
    one = Worker(folder, 1, 2)
    async with one.tallies.shared():
        shutil.rmtree(folder)

    assert names(folder) == []
