from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.embedders.queue import EmbeddingQueue
from cache.embedders.recent import Recent
from gateway.domain.embedding import EmbedderLateError, EmbedderUnavailableError, TextTooLongError

LONG_S = 30.0
SHORT_S = 0.02


class GatedModel:
    """Embeds a text as its length, once the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.texts: list[str] = []

    def encode(self, text: str) -> NDArray[np.float32]:
        self.texts.append(text)
        self.begun.set()
        self.gate.wait(LONG_S)
        if text == "broken":
            raise RuntimeError("no such operator")
        if text == "long":
            raise TextTooLongError("257 tokens")
        return np.array([len(text)], np.float32)


@pytest.fixture
def model() -> Iterator[GatedModel]:
    gated = GatedModel()
    yield gated
    gated.gate.set()


class Steps:
    """A clock that goes on by a fixed step with each reading."""

    def __init__(self, step_s: float) -> None:
        self.now, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


def make(
    model: GatedModel, *, threads: int = 1, max_waiting: int = 8, recent: int = 8, step_s: float = 0.0
) -> EmbeddingQueue:
    return EmbeddingQueue(
        model.encode, threads=threads, max_waiting=max_waiting, recent=Recent(recent), clock=Steps(step_s)
    )


async def begun(model: GatedModel) -> None:
    await asyncio.to_thread(model.begun.wait, LONG_S)


async def test_vectors_come_in_the_order_of_the_texts(model: GatedModel) -> None:
    model.gate.set()
    queue = make(model)

    vectors = await queue.vectors(["aaa", "a", "aaa", "aa"], LONG_S)

    assert [float(vector[0]) for vector in vectors] == [3, 1, 3, 2]
    queue.close()


async def test_a_text_that_comes_again_is_not_embedded_again(model: GatedModel) -> None:
    model.gate.set()
    queue = make(model)

    await queue.vectors(["a"], LONG_S)
    await queue.vectors(["a"], LONG_S)

    assert model.texts == ["a"]
    queue.close()


async def test_a_text_on_its_way_is_shared(model: GatedModel) -> None:
    queue = make(model, recent=0)
    calls = [asyncio.create_task(queue.vectors(["a"], LONG_S)) for _ in range(5)]
    await begun(model)

    model.gate.set()
    answers = await asyncio.gather(*calls)

    assert model.texts == ["a"]
    assert queue.shared == 4
    assert all(float(answer[0][0]) == 1 for answer in answers)
    queue.close()


async def test_a_vector_that_is_shared_cannot_be_changed(model: GatedModel) -> None:
    model.gate.set()
    queue = make(model)

    (vector,) = await queue.vectors(["a"], LONG_S)

    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 5
    queue.close()


async def test_a_full_line_is_late_at_once(model: GatedModel) -> None:
    queue = make(model, max_waiting=2)
    first = asyncio.create_task(queue.vectors(["a"], LONG_S))
    await begun(model)
    others = [asyncio.create_task(queue.vectors([text], LONG_S)) for text in ("b", "c")]
    await asyncio.sleep(0)

    with pytest.raises(EmbedderLateError):
        await queue.vectors(["d"], LONG_S)

    model.gate.set()
    assert len(await asyncio.gather(first, *others)) == 3
    queue.close()


async def test_of_texts_that_do_not_all_fit_none_waits(model: GatedModel) -> None:
    queue = make(model, max_waiting=2)

    with pytest.raises(EmbedderLateError):
        await queue.vectors(["a", "b", "c"], LONG_S)

    assert queue.waiting == 0
    assert queue.late == 1
    queue.close()


async def test_a_line_that_takes_longer_than_the_budget_is_late_at_once(model: GatedModel) -> None:
    queue = make(model, step_s=1.0)
    model.gate.set()
    await queue.vectors(["taught that one takes a second"], LONG_S)
    model.gate.clear()
    model.begun.clear()
    waiting = [asyncio.create_task(queue.vectors([text], 2.5)) for text in "abc"]
    await begun(model)

    with pytest.raises(EmbedderLateError, match="before it"):
        await queue.vectors(["d"], 1.5)

    assert queue.expected_wait_s == pytest.approx(2.0)
    model.gate.set()
    await asyncio.gather(*waiting)
    queue.close()


async def test_who_has_least_time_goes_before_those_who_came_earlier(model: GatedModel) -> None:
    queue = make(model, max_waiting=3)
    patient = [asyncio.create_task(queue.vectors([text], LONG_S)) for text in "abc"]
    await begun(model)

    urgent = asyncio.create_task(queue.vectors(["d"], LONG_S / 2))
    await asyncio.sleep(0)
    model.gate.set()

    await asyncio.gather(*patient, urgent)
    assert model.texts == ["a", "d", "b", "c"]
    queue.close()


async def test_one_text_that_took_long_counts_little(model: GatedModel) -> None:
    steps = Steps(0.0)
    queue = EmbeddingQueue(model.encode, threads=1, max_waiting=8, recent=Recent(0), clock=steps)
    model.gate.set()
    for step_s in (1.0, 1000.0):
        steps.step_s = step_s
        await queue.vectors(["a"], LONG_S)
    model.gate.clear()
    model.begun.clear()
    waiting = [asyncio.create_task(queue.vectors([text], LONG_S)) for text in "bc"]
    await begun(model)

    assert queue.expected_wait_s == pytest.approx(2.5)
    model.gate.set()
    await asyncio.gather(*waiting)
    queue.close()


async def test_past_its_budget_a_call_is_late_and_the_text_is_remembered_all_the_same(model: GatedModel) -> None:
    queue = make(model)
    other = asyncio.create_task(queue.vectors(["a"], LONG_S))

    with pytest.raises(EmbedderLateError):
        await queue.vectors(["a"], SHORT_S)

    model.gate.set()
    assert float((await other)[0][0]) == 1
    assert model.texts == ["a"]
    queue.close()


async def test_a_text_nobody_waits_for_is_not_begun(model: GatedModel) -> None:
    queue = make(model)
    first = asyncio.create_task(queue.vectors(["a"], LONG_S))
    await begun(model)
    with pytest.raises(EmbedderLateError):
        await queue.vectors(["b"], SHORT_S)

    model.gate.set()
    await first
    await queue.vectors(["c"], LONG_S)

    assert model.texts == ["a", "c"]
    assert queue.dropped == 1
    queue.close()


async def test_a_text_given_up_and_asked_for_again_is_embedded(model: GatedModel) -> None:
    queue = make(model)
    first = asyncio.create_task(queue.vectors(["a"], LONG_S))
    await begun(model)
    with pytest.raises(EmbedderLateError):
        await queue.vectors(["b"], SHORT_S)
    again = asyncio.create_task(queue.vectors(["b"], LONG_S))

    model.gate.set()

    assert float((await again)[0][0]) == 1
    await first
    queue.close()


async def test_a_text_left_out_just_before_somebody_came_for_it_is_embedded(model: GatedModel) -> None:
    model.gate.set()
    queue = make(model)
    call = asyncio.create_task(queue.vectors(["a"], LONG_S))
    # As a thread leaves it: taken from the line while nobody waited, and told to the loop after somebody came.
    original = queue._run
    left_out = threading.Event()

    def leave_out_once(job: object) -> None:
        if left_out.is_set():
            original(job)  # type: ignore[arg-type]
        left_out.set()

    queue._run = leave_out_once  # type: ignore[method-assign]

    assert float((await call)[0][0]) == 1
    queue.close()


async def test_a_model_that_breaks_is_unavailable_and_goes_on_with_the_next(model: GatedModel) -> None:
    model.gate.set()
    queue = make(model)

    with pytest.raises(EmbedderUnavailableError, match="RuntimeError"):
        await queue.vectors(["broken"], LONG_S)

    assert float((await queue.vectors(["ok"], LONG_S))[0][0]) == 2
    queue.close()


async def test_a_text_that_is_too_long_says_so_before_the_others_are_done(model: GatedModel) -> None:
    model.gate.set()
    queue = make(model)

    with pytest.raises(TextTooLongError):
        await queue.vectors(["long", "a"], LONG_S)
    queue.close()


async def test_a_cancelled_call_leaves_those_who_wait_for_the_same_text(model: GatedModel) -> None:
    queue = make(model)
    leaving = asyncio.create_task(queue.vectors(["a"], LONG_S))
    staying = asyncio.create_task(queue.vectors(["a"], LONG_S))
    await begun(model)

    leaving.cancel()
    model.gate.set()

    assert float((await staying)[0][0]) == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving
    queue.close()


async def test_closing_ends_those_who_wait(model: GatedModel) -> None:
    queue = make(model)
    first = asyncio.create_task(queue.vectors(["a"], LONG_S))
    await begun(model)
    second = asyncio.create_task(queue.vectors(["b"], LONG_S))
    await asyncio.sleep(0)

    queue.close()

    with pytest.raises(EmbedderUnavailableError):
        await second
    with pytest.raises(EmbedderUnavailableError):
        await queue.vectors(["c"], LONG_S)
    model.gate.set()
    assert float((await first)[0][0]) == 1


async def test_no_more_texts_are_under_way_than_there_are_threads(model: GatedModel) -> None:
    queue = make(model, threads=2)
    calls = [asyncio.create_task(queue.vectors([text], LONG_S)) for text in "abcde"]
    await begun(model)

    at_most = len(model.texts)
    model.gate.set()
    await asyncio.gather(*calls)

    assert at_most <= 2
    assert sorted(model.texts) == list("abcde")
    queue.close()
