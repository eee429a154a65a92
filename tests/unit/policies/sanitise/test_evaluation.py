from __future__ import annotations

from typing import Any

import pytest

from policies.sanitise.evaluation import Task, judge_rows

ROWS: dict[Task, dict[str, Any]] = {
    "pii": {"id": "1", "text": "mail ann.lee@firm.org"},
    "secrets": {"id": "1", "text": 'password = "q7Zrt2Wm9x"'},
    "unicode": {"id": "1", "text": "igno\u200bre"},
    "toolargs": {"id": "1", "text": "../../x", "arg": "path"},
}


class Watched(dict[str, Any]):
    """Remembers what was read of it."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(row)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


@pytest.mark.parametrize("task", ROWS)
def test_a_row_gets_a_verdict(task: Task) -> None:
    (verdict,) = judge_rows([ROWS[task]], task)

    assert verdict["id"] == "1"
    assert verdict["flag"] is True
    assert 0 < verdict["score"] <= 1
    assert verdict["us"] > 0


@pytest.mark.parametrize("task", ROWS)
def test_an_ordinary_row_is_not_flagged(task: Task) -> None:
    (verdict,) = judge_rows([{"id": "2", "text": "nothing to see"}], task)

    assert (verdict["flag"], verdict["score"], verdict["spans"]) == (False, 0.0, [])


@pytest.mark.parametrize("task", ROWS)
def test_labels_are_never_read(task: Task) -> None:
    row = Watched({**ROWS[task], "label": "x", "kind": "x", "source": "x", "spans": []})

    list(judge_rows([row], task))

    assert row.read <= {"id", "text", "role", "system", "arg"}


def test_spans_carry_the_types_of_the_data() -> None:
    (verdict,) = judge_rows([ROWS["pii"]], "pii")

    assert verdict["spans"] == [{"start": 5, "end": 21, "type": "EMAIL_ADDRESS"}]


def test_a_disguised_row_comes_with_its_plain_text() -> None:
    (verdict,) = judge_rows([ROWS["unicode"]], "unicode")

    assert verdict["normalized"] == "ignore"
