from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.calibration.table import DEFAULT_ERROR_BUDGET, threshold_for
from cache.evaluation import REFUSED, judge_conversations, judge_pairs, replay_stream


def at(cosine: float) -> NDArray[np.float32]:
    """Return a unit vector that has this cosine with `at(1)`."""
    return np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)


def embed(text: str) -> NDArray[np.float32] | None:
    if "endless" in text:
        return None
    return at(0.98 if "the" in text else 0.1 if "geyser" in text else 1.0)


def pair(one: str, other: str) -> dict[str, Any]:
    (judged,) = judge_pairs([{"id": "p", "query_a": one, "query_b": other, "same_answer": "never read"}], embed)
    return judged


def turn(content: str, role: str = "user") -> dict[str, str]:
    return {"role": role, "content": content}


def conversations(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> dict[str, Any]:
    (judged,) = judge_conversations([{"id": "c", "messages_a": ours, "messages_b": theirs}], embed)
    return judged


def test_a_stream_is_answered_from_what_it_missed() -> None:
    texts = ["What is a volcano?", "What is the volcano?", "What is a geyser?", "What is a volcano?"]
    rows = [{"i": 10 + at_, "query": text} for at_, text in enumerate(texts)]
    embeddings = np.stack([at(1.0), at(0.98), at(0.1), at(1.0)])

    decisions = list(replay_stream(rows, embeddings, 0.01))

    assert decisions == [
        {"i": 10, "hit": False, "served_from": None},
        {"i": 11, "hit": True, "served_from": 10},
        {"i": 12, "hit": False, "served_from": None},
        {"i": 13, "hit": True, "served_from": 10},
    ]


def test_the_budget_picks_the_threshold_unless_one_is_given() -> None:
    likeness = threshold_for(0.01) - 0.02
    rows = [{"i": 0, "query": "What is a volcano?"}, {"i": 1, "query": "What is the volcano?"}]
    embeddings = np.stack([at(1.0), at(likeness)])

    assert [found["hit"] for found in replay_stream(rows, embeddings, 0.01)] == [False, False]
    assert [found["hit"] for found in replay_stream(rows, embeddings, 0.05)] == [False, True]
    assert [found["hit"] for found in replay_stream(rows, embeddings, 0.01, likeness - 0.01)] == [False, True]


def test_what_may_not_be_answered_by_likeness_is_answered_by_the_same_text_only() -> None:
    texts = ["What is new today?", "What is the new today?", "What is new today?"]
    rows = [{"i": i, "query": text} for i, text in enumerate(texts)]

    decisions = list(replay_stream(rows, np.stack([at(1.0)] * 3), 0.05))

    assert [found["served_from"] for found in decisions] == [None, None, 0]


def test_a_long_stream_looks_at_the_nearest_entries() -> None:
    chance = np.random.default_rng(5)
    vectors = chance.standard_normal((50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [{"i": i, "query": f"What is a volcano{'s' * i}?"} for i in range(51)]

    decisions = list(replay_stream(rows, np.vstack([vectors, vectors[17:18]]), 0.005))

    assert decisions[50]["served_from"] in (None, 17)
    assert not decisions[0]["hit"]


def test_a_pair_is_scored_by_likeness_and_accepted_at_the_default() -> None:
    judged = pair("What is a volcano?", "What is the volcano?")

    assert judged == {"id": "p", "score": pytest.approx(0.98, abs=1e-6), "accept": True}
    assert pair("What is a volcano?", "What is a geyser?")["accept"] is False
    assert threshold_for(DEFAULT_ERROR_BUDGET) < 0.98


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is a volcano?", "What is not a volcano?"),
        ("What is a volcano today?", "What is the volcano today?"),
        ("What is a volcano?", "What is the endless volcano?"),
    ],
)
def test_what_is_refused_has_no_score(one: str, other: str) -> None:
    assert pair(one, other) == {"id": "p", "score": REFUSED, "accept": False}


def test_the_same_text_is_accepted_whatever_it_is() -> None:
    assert pair("Where is my order?", "Where is my order?") == {"id": "p", "score": 1.0, "accept": True}


def test_conversations_of_one_context_are_compared_by_their_last_message() -> None:
    context = [turn("Tell me of mountains."), turn("Gladly.", "assistant")]

    judged = conversations([*context, turn("What is a volcano?")], [*context, turn("What is the volcano?")])

    assert judged["accept"] is True


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([turn("Of mountains."), turn("What is it?")], [turn("What is it?")]),
        ([turn("Of mountains."), turn("What is it?")], [turn("Of lakes."), turn("What is it?")]),
        ([turn("What is it?")], [turn("What is it?", "system")]),
    ],
)
def test_another_context_is_never_a_hit(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> None:
    assert conversations(ours, theirs) == {"id": "c", "score": REFUSED, "accept": False}
