from __future__ import annotations

import pytest

from gateway.answers.assembly.responses import assemble_response
from tests.support.kept_answers import USAGE, response_answer


@pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
def test_the_last_event_has_the_whole_response(end: str) -> None:
    events = [
        {"type": "response.created", "response": {"output": []}},
        {"type": f"response.{end}", "response": response_answer()},
    ]

    found = assemble_response(events, USAGE)

    assert found is not None
    assert found.document == response_answer()


@pytest.mark.parametrize(
    "events", [[], [{"type": "response.created", "response": {}}], [{"type": "response.completed"}]]
)
def test_events_without_an_end_are_no_answer(events: list[dict[str, object]]) -> None:
    assert assemble_response(events, USAGE) is None
