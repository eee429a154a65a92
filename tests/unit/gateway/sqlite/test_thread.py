from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.sqlite.thread import FileThread


def fail() -> None:
    raise sqlite3.OperationalError("near 'SELECT secret': syntax error")


async def test_verbs_run_beside_the_loop_in_one_thread_and_in_order() -> None:
    thread, done = FileThread("some", "the file"), list[int]()

    await asyncio.gather(*(thread.run(lambda n=n: done.append(n)) for n in range(100)))  # type: ignore[misc]
    names = {await thread.run(lambda: threading.current_thread().name) for _ in range(3)}
    await thread.end(lambda: None)

    assert done == list(range(100))
    assert names == {"some_0"}


async def test_a_failure_tells_its_kind_and_no_more() -> None:
    thread = FileThread("some", "the file")

    with pytest.raises(StageUnavailableError, match=r"^the file fails \(OperationalError\)$"):
        await thread.run(fail)
    await thread.end(lambda: None)


async def test_a_caller_who_leaves_takes_nothing_out_of_the_queue() -> None:
    thread, may_go_on, done = FileThread("some", "the file"), threading.Event(), list[int]()
    first = asyncio.create_task(thread.run(may_go_on.wait))
    second = asyncio.create_task(thread.run(lambda: done.append(2)))
    await asyncio.sleep(0)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    may_go_on.set()
    await first
    await thread.end(lambda: done.append(3))

    assert done == [2, 3]


async def test_what_comes_after_the_end_is_refused() -> None:
    thread, ended = FileThread("some", "the file"), list[int]()
    await thread.end(lambda: ended.append(1))
    await thread.end(lambda: ended.append(2))

    with pytest.raises(StageUnavailableError, match="the file is closed"):
        await thread.run(lambda: None)
    assert ended == [1]
