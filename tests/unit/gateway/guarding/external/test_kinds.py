from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.domain.secret import Secret
from tests.support.guards import GuardService, ask, moderation, presidio, webhook
from tests.support.scripted_api import Answer


@pytest.fixture
def service() -> Iterator[GuardService]:
    with GuardService() as started:
        yield started


def places(outcomes: Any) -> list[tuple[int, str, str, int, int]]:
    return [
        (one.index, one.finding.detector, one.finding.rule, one.finding.start, one.finding.end)
        for outcome in outcomes
        for one in outcome.found
    ]


# ---------------------------------------------------------------- presidio


async def test_presidio_is_asked_about_each_text(service: GuardService) -> None:
    service.says = lambda asked: [{"entity_type": "PERSON", "start": 0, "end": len(asked["text"]), "score": 0.9}]

    outcomes = await ask(presidio(service, language="de", entities=("PERSON",), threshold=0.25), "Ada", "Grace H")

    assert sorted(document["text"] for document in service.documents) == ["Ada", "Grace H"]
    assert service.requests[0].path == "/analyze"
    assert {key: service.documents[0][key] for key in ("language", "score_threshold", "entities")} == {
        "language": "de",
        "score_threshold": 0.25,
        "entities": ["PERSON"],
    }
    assert places(outcomes) == [(0, "external.people", "person", 0, 3), (1, "external.people", "person", 0, 7)]


async def test_types_that_our_own_rules_know_too_carry_their_names(service: GuardService) -> None:
    service.says = lambda _: [{"entity_type": "EMAIL_ADDRESS", "start": 3, "end": 6, "score": 1.0}]

    outcomes = await ask(presidio(service), "at a@b")

    assert [place[2] for place in places(outcomes)] == ["email"]


async def test_offsets_beyond_the_basic_plane_are_characters(service: GuardService) -> None:
    service.says = lambda asked: [
        {"entity_type": "PERSON", "start": asked["text"].index("Ada"), "end": len(asked["text"]), "score": 1.0}
    ]

    outcomes = await ask(presidio(service), "\U0001f600 Ada")

    assert places(outcomes) == [(0, "external.people", "person", 2, 5)]


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2), (0, 99)])
async def test_presidio_that_points_outside_the_text_has_said_nothing(
    service: GuardService, start: int, end: int
) -> None:
    service.says = lambda _: [{"entity_type": "PERSON", "start": start, "end": end, "score": 1.0}]

    (outcome,) = await ask(presidio(service), "Ada")

    assert (outcome.result, outcome.found) == ("failed", ())


# ---------------------------------------------------------------- moderation


def scored(*scores: dict[str, float]) -> dict[str, Any]:
    return {"id": "m", "model": "x", "results": [{"category_scores": each, "flagged": False} for each in scores]}


async def test_moderation_is_asked_about_all_texts_at_once(service: GuardService) -> None:
    service.says = lambda _: scored({"hate": 0.1, "self-harm": 0.7}, {"hate": 0.9})

    outcomes = await ask(moderation(service, model="omni"), "one", "three")

    assert service.requests[0].path == "/v1/moderations"
    assert service.documents == [{"model": "omni", "input": ["one", "three"]}]
    assert places(outcomes) == [(0, "external.harm", "self-harm", 0, 3), (1, "external.harm", "hate", 0, 5)]


async def test_only_categories_that_were_named_count(service: GuardService) -> None:
    service.says = lambda _: scored({"hate": 0.9, "violence/graphic": 0.9})

    outcomes = await ask(moderation(service, categories=("violence/graphic",)), "one")

    assert [place[2] for place in places(outcomes)] == ["violence/graphic"]


async def test_moderation_that_answers_for_fewer_texts_has_said_nothing(service: GuardService) -> None:
    service.says = lambda _: scored({"hate": 0.1})

    (outcome,) = await ask(moderation(service), "one", "two")

    assert outcome.result == "failed"


# ---------------------------------------------------------------- webhook


async def test_webhook_gets_the_documented_question(service: GuardService) -> None:
    await ask(webhook(service, api_key=Secret("hook-key"), direction="both"), "hello", side="output")

    assert service.requests[0].path == "/judge"
    assert service.requests[0].query == {"v": ["1"]}
    assert service.requests[0].headers["authorization"] == "Bearer hook-key"
    assert service.documents == [
        {"request_id": "req-1", "direction": "output", "texts": [{"role": "user", "text": "hello"}]}
    ]


async def test_webhook_names_places(service: GuardService) -> None:
    service.says = lambda _: {"findings": [{"index": 1, "start": 1, "end": 3, "rule": "badge", "score": 0.8}]}

    outcomes = await ask(webhook(service, action="redact"), "a", "abcd")

    assert places(outcomes) == [(1, "external.hook", "badge", 1, 3)]
    assert (outcomes[0].result, outcomes[0].action) == ("found", "redact")


@pytest.mark.parametrize(
    ("configured", "said", "done"),
    [
        ("redact", "block", "redact"),
        ("block", "flag", "flag"),
        ("block", "block", "block"),
        ("block", "allow", "monitor"),
        ("monitor", "block", "monitor"),
        ("block", None, "block"),
    ],
)
async def test_webhook_may_ask_for_no_more_than_the_settings_allow(
    service: GuardService, configured: str, said: str | None, done: str
) -> None:
    service.says = lambda _: {"action": said, "findings": [{}]}

    (outcome,) = await ask(webhook(service, action=configured), "a")

    assert outcome.action == done


async def test_webhook_may_block_without_a_place(service: GuardService) -> None:
    service.says = lambda _: {"action": "block"}

    outcomes = await ask(webhook(service, action="block"), "abc")

    assert outcomes[0].action == "block"
    assert places(outcomes) == [(0, "external.hook", "verdict", 0, 0)]


async def test_finding_below_the_threshold_does_not_count(service: GuardService) -> None:
    service.says = lambda _: {"findings": [{"score": 0.49}]}

    (outcome,) = await ask(webhook(service, action="block"), "abc")

    assert (outcome.result, outcome.action, outcome.found) == ("clear", "ignore", ())


@pytest.mark.parametrize("rule", ["a rule\r\nset-cookie: x", "x" * 65, "", "\u00e9"])
async def test_rule_that_no_header_can_hold_is_called_other(service: GuardService, rule: str) -> None:
    service.says = lambda _: {"findings": [{"rule": rule}]}

    outcomes = await ask(webhook(service), "abc")

    assert [place[2] for place in places(outcomes)] == ["other"]


NONSENSE = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b"[" * 100_000,
    b'{"findings": [{"index": 1}]}',
    b'{"findings": [{"start": 2, "end": 1}]}',
    b'{"findings": [{"end": 4}]}',
    b'{"findings": [{"start": -1}]}',
    b'{"findings": [{"score": 2}]}',
    b'{"action": "explode"}',
    b'{"findings": [' + b",".join([b"{}"] * 1001) + b"]}",
    b'{"pad": "' + b"x" * (1 << 20) + b'"}',
]


@pytest.mark.parametrize("body", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_says_nothing(service: GuardService, body: bytes) -> None:
    service.says = lambda _: body

    (outcome,) = await ask(webhook(service, action="block"), "abc")

    assert (outcome.result, outcome.closed, outcome.found) == ("failed", True, ())


@pytest.mark.parametrize("status", [204, 301, 401, 404, 429, 500, 503])
async def test_other_statuses_say_nothing(service: GuardService, status: int) -> None:
    service.says = lambda _: Answer(b"" if status == 204 else b'{"findings": []}', status=status)

    (outcome,) = await ask(webhook(service), "abc")

    assert outcome.result == "failed"
