from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outputs.wrapping import unwrap

INNER = '{"a": "`x`"}'


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{INNER}\n```",
        f"```\n{INNER}\n```",
        f"```JSON\r\n{INNER}\r\n```\n",
        f"\n \ufeff```json\n{INNER}```",
        f"```json {INNER}```",
        f"```{INNER}```",
        f"\ufeff{INNER}",
        f"\n{INNER} ",
    ],
)
def test_what_stands_around_json_is_taken_away(text: str) -> None:
    assert unwrap(text) == INNER


@pytest.mark.parametrize(
    "text",
    [INNER, "", "```", "``````", "```json```", "\ufeff", f"Here it is:\n```json\n{INNER}\n```", f"````\n{INNER}\n````"],
)
def test_what_cannot_be_taken_away_is_left(text: str) -> None:
    inner = unwrap(text)

    assert inner is None or inner.startswith("Here")


@given(st.text(alphabet="`json \n{}\ufeff", max_size=30))
def test_any_text_gets_shorter_or_stays(text: str) -> None:
    inner = unwrap(text)

    assert inner is None or (inner in text and 0 < len(inner) < len(text))
