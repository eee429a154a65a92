from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.capture import captures as module
from gateway.capture.captures import KEEP_S, MOST_EXCHANGE_BYTES, MOST_RECORDS, MOST_RUNNING, Captures, Running
from gateway.capture.file import SUFFIX, CaptureFile, capture_ids, read_capture, sealer_of
from gateway.capture.records import Captured, Closing, Entry
from gateway.capture.stream import MOST_ANSWER_BYTES
from gateway.domain.caller import Caller
from gateway.domain.chat import read_chat
from gateway.domain.errors import InvalidRequestError, NotFoundError, PromptRejectedError, StageUnavailableError
from gateway.domain.secret import Secret
from gateway.domain.usage import NO_USAGE
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply
from tests.support.attempting import Stream
from tests.support.clock import Clock

KEY = Secret("an-encryption-key-0123456789")
BODY = b'{"model": "auto", "messages": [{"role": "user", "content": "marker-1"}]}'


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
async def captures(tmp_path: Path, clock: Clock) -> AsyncIterator[Captures]:
    made = Captures(tmp_path / "captures", KEY, clock)
    yield made
    await made.close()


def exchange(key: str = "k", body: bytes = BODY, answer: bytes = b'{"answer": 1}') -> Exchange:
    task = asyncio.current_task()
    assert task is not None
    made = Exchange("req-1", {}, "10.0.0.1", task, f"hold-{key}")
    made.caller = Caller(organisation="o", team="t", key=key, key_id=key)
    made.request = read_chat(body)
    made.route, made.status, made.routed_model = "chat", 200, "small"
    made.reply = PlainReply(body=answer, usage=NO_USAGE)
    return made


async def start(captures: Captures, key: str = "t/k", minutes: float = 10) -> Running:
    return await captures.start(key, minutes, "ticket 12345", "admin:1@h")


async def kept(captures: Captures, tmp_path: Path) -> list[Entry]:
    """End everything and return the records of the only capture."""
    await captures.close()
    (capture_id,) = capture_ids(tmp_path / "captures")
    return list(read_capture(tmp_path / "captures", capture_id, sealer_of(KEY)))


async def test_nothing_is_on_before_a_capture_begins(captures: Captures, tmp_path: Path) -> None:
    assert not captures.is_on
    assert captures.running == []
    assert list(captures.gauges()) == []
    assert not (tmp_path / "captures").exists()


async def test_exchanges_of_the_key_are_kept_and_no_others(captures: Captures, tmp_path: Path) -> None:
    await start(captures)

    captures.take(exchange("other"))
    captures.take(exchange())

    opening, captured, closing = await kept(captures, tmp_path)
    assert isinstance(captured, Captured)
    assert (captured.request, captured.answer, captured.status) == (BODY, b'{"answer": 1}', 200)
    assert (captured.model, captured.routed_model, captured.route) == ("auto", "small", "chat")
    assert closing == Closing(at=1_000_000.0, kept=1, dropped=0, ended="stop")
    assert getattr(opening, "key", "") == "t/k"


async def test_refused_request_is_kept_with_its_code(captures: Captures, tmp_path: Path) -> None:
    await start(captures)
    refused = exchange()
    refused.status, refused.reply, refused.error = 400, None, PromptRejectedError("no", code="content_policy")

    captures.take(refused)

    captured = (await kept(captures, tmp_path))[1]
    assert isinstance(captured, Captured)
    assert (captured.status, captured.code, captured.answer) == (400, "content_policy", b"")


async def test_request_without_a_caller_is_not_kept(captures: Captures, tmp_path: Path) -> None:
    await start(captures)
    stranger = exchange()
    stranger.caller = None

    captures.take(stranger)

    assert len(await kept(captures, tmp_path)) == 2


async def test_events_of_a_stream_are_kept_as_they_pass(captures: Captures, tmp_path: Path) -> None:
    await start(captures)
    streamed = exchange()
    stream = captures.follow(streamed, Stream())
    passed = [block async for block in blocks(stream)]

    captures.take(streamed)

    captured = (await kept(captures, tmp_path))[1]
    assert isinstance(captured, Captured)
    assert passed == [b"data: {}\n\n"]
    assert (captured.answer, captured.is_cut) == (b"data: {}\n\n", False)


async def test_stream_of_another_key_is_left_as_it_is(captures: Captures) -> None:
    await start(captures)
    stream = Stream()

    assert captures.follow(exchange("other"), stream) is stream


async def test_long_answer_is_cut_and_said_so(captures: Captures, tmp_path: Path) -> None:
    await start(captures)

    captures.take(exchange(answer=b"x" * (MOST_ANSWER_BYTES + 1)))

    captured = (await kept(captures, tmp_path))[1]
    assert isinstance(captured, Captured)
    assert (len(captured.answer), captured.is_cut) == (MOST_ANSWER_BYTES, True)


async def test_too_long_an_exchange_is_dropped_and_counted(captures: Captures) -> None:
    running = await start(captures)
    body = BODY.replace(b"marker-1", b"x" * MOST_EXCHANGE_BYTES)

    captures.take(exchange(body=body))

    assert (running.kept, running.dropped, captures.dropped) == (0, 1, 1)


async def test_exchanges_beyond_the_bound_are_dropped_and_counted(captures: Captures, tmp_path: Path) -> None:
    running = await start(captures)
    running.kept = MOST_RECORDS - 1

    captures.take(exchange())
    captures.take(exchange())

    assert (running.kept, running.dropped) == (MOST_RECORDS, 1)


async def test_bytes_beyond_the_bound_are_dropped_and_counted(captures: Captures) -> None:
    running = await start(captures)
    running.size = module.MOST_BYTES - 10

    captures.take(exchange())

    assert (running.kept, running.dropped) == (0, 1)


async def test_what_cannot_be_written_in_time_is_dropped(captures: Captures) -> None:
    running = await start(captures)
    captures._waiting_bytes = module.MOST_WAITING_BYTES

    captures.take(exchange())

    assert (running.kept, running.dropped) == (0, 1)


async def test_exchange_that_cannot_be_written_is_dropped_and_the_capture_goes_on(
    captures: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await start(captures)
    whole, written = CaptureFile.append, []

    def append(self: CaptureFile, entry: Entry) -> None:
        written.append(entry)
        if len(written) == 1:
            raise OSError("the disk is full")
        whole(self, entry)

    monkeypatch.setattr(CaptureFile, "append", append)
    captures.take(exchange())
    captures.take(exchange())

    kinds = [type(entry).__name__ for entry in await kept(captures, tmp_path)]
    assert kinds == ["Opening", "Captured", "Closing"]
    assert (running.kept, running.dropped) == (1, 1)


async def test_capture_that_is_ended_while_it_begins_is_closed(captures: Captures, tmp_path: Path) -> None:
    beginning = asyncio.create_task(start(captures))
    await asyncio.sleep(0)
    (running,) = captures.running
    await captures.end(running.opening.id, "admin:2@h")
    await beginning

    assert not captures.is_on
    assert isinstance((await kept(captures, tmp_path))[-1], Closing)


async def test_capture_ends_by_itself(captures: Captures, clock: Clock, tmp_path: Path) -> None:
    await start(captures, minutes=10)
    clock.now += 600

    captures.take(exchange())

    assert not captures.is_on
    assert captures.running == []
    assert [type(entry).__name__ for entry in await kept(captures, tmp_path)] == ["Opening", "Closing"]


async def test_operator_ends_a_capture(captures: Captures, tmp_path: Path) -> None:
    running = await start(captures)

    await captures.end(running.opening.id, "admin:2@h")

    assert not captures.is_on
    closing = (await kept(captures, tmp_path))[-1]
    assert isinstance(closing, Closing)
    assert closing.ended == "operator"


async def test_capture_that_does_not_run_cannot_be_ended(captures: Captures) -> None:
    with pytest.raises(NotFoundError):
        await captures.end("cap-0123456789abcdef", "admin:1@h")


async def test_key_has_one_capture_at_a_time(captures: Captures) -> None:
    await start(captures)

    with pytest.raises(InvalidRequestError, match="already") as refusal:
        await start(captures)

    assert refusal.value.code == "capture_running"


async def test_only_so_many_run(captures: Captures) -> None:
    for number in range(MOST_RUNNING):
        await start(captures, f"t/k{number}")

    with pytest.raises(InvalidRequestError) as refusal:
        await start(captures, "t/one-more")

    assert refusal.value.code == "too_many_captures"


@pytest.mark.parametrize(("with_key", "code"), [(False, "capture_needs_key"), (True, "capture_needs_file")])
async def test_nothing_is_captured_without_a_key_or_a_place(tmp_path: Path, with_key: bool, code: str) -> None:  # noqa: FBT001
    captures = Captures(None if with_key else tmp_path, KEY if with_key else None)

    with pytest.raises(InvalidRequestError) as refusal:
        await start(captures)

    assert refusal.value.code == code
    assert not captures.is_on


async def test_capture_whose_file_cannot_be_written_does_not_begin(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "captures").touch()
    captures = Captures(tmp_path / "captures", KEY, clock)

    with pytest.raises(StageUnavailableError):
        await start(captures)

    assert not captures.is_on
    await captures.close()


async def test_beginning_and_ending_leave_audit_lines_without_content(
    captures: Captures, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        running = await start(captures)
        captures.take(exchange())
        await captures.end(running.opening.id, "admin:2@h")

    raw = (tmp_path / "captures" / "audit.log").read_text()
    lines = [json.loads(line) for line in raw.splitlines()]
    assert [(line["did"], line["by"], line["key"], line["reason"]) for line in lines] == [
        ("start", "admin:1@h", "t/k", "ticket 12345"),
        ("end", "admin:2@h", "t/k", "ticket 12345"),
    ]
    assert "marker" not in raw + caplog.text
    assert "start" in caplog.text


async def test_old_captures_are_deleted(captures: Captures, tmp_path: Path, clock: Clock) -> None:
    running = await start(captures)
    await captures.close()
    path = tmp_path / "captures" / (running.opening.id + SUFFIX)
    os.utime(path, (clock.now, clock.now))

    clock.now += KEEP_S
    await captures.sweep()
    assert path.exists()

    clock.now += 1
    await captures.sweep()
    assert not path.exists()


async def blocks(stream: object) -> AsyncIterator[bytes]:
    while (block := await stream.block()) is not None:  # type: ignore[attr-defined]
        yield block
