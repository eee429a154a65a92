from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.experiments.feedback import Feedback, Recollection, Remembered, Taken, read_feedback
from tests.support.build import caller
from tests.support.clock import Clock

SEARCH = caller(team="search")


def remembered(team: str = "search", **fields: Any) -> Remembered:
    made = {"organisation": "acme", "team": team, "key": f"{team}/ci", "routed_model": "gpt-5", **fields}
    return Remembered(**made)


def read(**fields: Any) -> Feedback:
    return read_feedback(json.dumps({"request_id": "req-1", **fields}).encode())


def word(score: float = 1.0, request_id: str = "req-1") -> Feedback:
    return Feedback(request_id=request_id, score=score)


class Ear:
    """A learner that keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float, float | None]] = []

    def __call__(self, request: Remembered, score: float, replaced: float | None) -> None:
        self.heard.append((request.arm, score, replaced))


@pytest.mark.parametrize(
    ("fields", "score"),
    [
        ({"score": 0.25}, 0.25),
        ({"score": 0}, 0.0),
        ({"score": 1}, 1.0),
        ({"rating": "good"}, 1.0),
        ({"rating": "bad"}, 0.0),
        ({"score": None, "rating": "good"}, 1.0),
    ],
)
def test_a_score_or_a_rating_is_read(fields: dict[str, Any], score: float) -> None:
    assert read(**fields) == Feedback(request_id="req-1", score=score)


def test_of_a_comment_only_that_there_was_one_is_kept() -> None:
    assert read(score=1, comment="secret") == Feedback(request_id="req-1", score=1.0, has_comment=True)
    assert read(score=1, comment="").has_comment is False


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b"[]", None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b'{"request_id":"r","score":NaN}', None, "invalid_json"),
        (b'{"request_id":"r","score":1e999}', "score", "invalid_type"),
        (b'{"score":1}', "request_id", "missing_required_parameter"),
        (b'{"request_id":null,"score":1}', "request_id", "missing_required_parameter"),
        (b'{"request_id":"","score":1}', "request_id", "invalid_type"),
        (b'{"request_id":7,"score":1}', "request_id", "invalid_type"),
        (b'{"request_id":"' + b"x" * 201 + b'","score":1}', "request_id", "invalid_type"),
        (b'{"request_id":"r"}', "score", "missing_required_parameter"),
        (b'{"request_id":"r","score":1,"rating":"good"}', "score", "missing_required_parameter"),
        (b'{"request_id":"r","score":1.01}', "score", "invalid_type"),
        (b'{"request_id":"r","score":-1}', "score", "invalid_type"),
        (b'{"request_id":"r","score":true}', "score", "invalid_type"),
        (b'{"request_id":"r","score":"1"}', "score", "invalid_type"),
        (b'{"request_id":"r","score":' + b"9" * 400 + b"}", "score", "invalid_type"),
        (b'{"request_id":"r","rating":"great"}', "rating", "invalid_type"),
        (b'{"request_id":"r","rating":["good"]}', "rating", "invalid_type"),
        (b'{"request_id":"r","rating":1}', "rating", "invalid_type"),
        (b'{"request_id":"r","score":1,"comment":{}}', "comment", "invalid_type"),
        (b'{"request_id":"r","score":1,"user":"ann"}', "user", "unknown_parameter"),
        (b'{"request_id":"r","score":1,"Score":0}', "score", "ambiguous_parameter"),
        (b'{"request_id":"r","score":1,"score":0}', "score", "duplicate_parameter"),
        (b'{"request_id":"r","request_id":"s","score":1}', "request_id", "duplicate_parameter"),
        (b'{"request_id":"r","score":1,"x":' + b"[" * 50_000, None, "invalid_json"),
    ],
)
def test_what_is_no_feedback_is_refused(body: bytes, param: str | None, code: str | None) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_feedback(body)

    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_long_unknown_name_is_cut() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(score=1, **{"x" * 10_000: 1})

    assert len(caught.value.message) < 200


def test_half_a_surrogate_pair_in_an_id_is_no_error_of_ours() -> None:
    assert read_feedback(b'{"request_id":"\\ud83d","score":1}').request_id == "\ufffd"


async def test_feedback_is_joined_with_its_request() -> None:
    memory, request = Recollection(), remembered(arm="new")
    memory.remember("req-1", request)

    assert await memory.take(SEARCH, word(0.5)) == Taken(request, 0.5, None)


async def test_learners_are_told_what_a_later_word_replaces() -> None:
    memory, ear = Recollection(), Ear()
    memory.learners.append(ear)
    memory.remember("req-1", remembered(arm="new"))

    for score in (0.0, 1.0):
        await memory.take(SEARCH, word(score))

    assert ear.heard == [("new", 0.0, None), ("new", 1.0, 0.0)]


async def test_the_same_word_again_teaches_nothing() -> None:
    memory, ear = Recollection(), Ear()
    memory.learners.append(ear)
    memory.remember("req-1", remembered())

    for _ in range(3):
        await memory.take(SEARCH, word(1.0))

    assert len(ear.heard) == 1
    assert memory.outcomes["taken"] == 3


async def test_a_learner_that_fails_is_counted_and_stops_nobody() -> None:
    def broken(request: Remembered, score: float, replaced: float | None) -> None:
        raise ValueError

    memory, ear = Recollection(), Ear()
    memory.learners += [broken, ear]
    memory.remember("req-1", remembered())

    await memory.take(SEARCH, word())

    assert len(ear.heard) == 1
    assert memory.outcomes == {"taken": 1, "unknown": 0, "unlearnt": 1}


async def test_a_request_of_another_team_is_as_unknown_as_one_that_never_was() -> None:
    memory = Recollection()
    memory.remember("req-1", remembered("search"))

    with pytest.raises(NotFoundError) as of_another:
        await memory.take(caller(team="sales"), word())
    with pytest.raises(NotFoundError) as of_nobody:
        await memory.take(caller(team="sales"), word(request_id="req-2"))

    assert of_another.value.message == of_nobody.value.message
    assert (of_another.value.status, of_another.value.code) == (404, "request_not_found")
    assert memory.outcomes["unknown"] == 2


async def test_a_team_that_chooses_the_id_of_another_does_not_displace_its_request() -> None:
    memory = Recollection()
    memory.remember("req-1", remembered("search", arm="new"))
    memory.remember("req-1", remembered("sales", arm="old"))

    taken = await memory.take(SEARCH, word())

    assert taken.remembered.arm == "new"


async def test_an_id_used_again_stands_for_the_newer_request() -> None:
    memory = Recollection()
    memory.remember("req-1", remembered(arm="old"))
    await memory.take(SEARCH, word())
    memory.remember("req-1", remembered(arm="new"))

    assert await memory.take(SEARCH, word()) == Taken(remembered(arm="new"), 1.0, None)


async def test_a_request_is_forgotten_when_its_time_is_over() -> None:
    clock = Clock(0.0)
    memory = Recollection(clock, ttl_s=10.0)
    memory.remember("req-1", remembered())
    clock.now = 9.9
    await memory.take(SEARCH, word())
    clock.now = 10.0

    with pytest.raises(NotFoundError):
        await memory.take(SEARCH, word())
    assert len(memory) == 0


async def test_the_oldest_request_is_forgotten_where_there_are_too_many() -> None:
    memory = Recollection(most=2)
    for number in (1, 2, 1, 3):
        memory.remember(f"req-{number}", remembered())

    assert len(memory) == 2
    assert (await memory.take(SEARCH, word(request_id="req-1"))).score == 1.0
    with pytest.raises(NotFoundError):
        await memory.take(SEARCH, word(request_id="req-2"))
