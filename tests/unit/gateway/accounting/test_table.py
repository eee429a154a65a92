from __future__ import annotations

from gateway.accounting.table import as_text
from policies.stores.ledgers.base import UsageRow


def test_a_terminal_shows_columns_and_their_sum() -> None:
    rows = [
        UsageRow(("a", "small"), requests=1, input_tokens=100, cached_tokens=10, output_tokens=20, cost_microusd=300),
        UsageRow(("b", ""), requests=12, expired=1, cache_write_tokens=5, reasoning_tokens=7, cost_microusd=2_000_000),
    ]

    lines = as_text(("team", "model"), rows).splitlines()

    assert [line.split() for line in lines[1:]] == [
        ["a", "small", "1", "100", "10", "20", "0.000300", "0.000000"],
        ["b", "-", "13", "5", "0", "7", "2.000000", "0.000000"],
        ["total", "14", "105", "10", "27", "2.000300", "0.000000"],
    ]


def test_a_single_sum_has_no_total_below_it() -> None:
    assert len(as_text((), [UsageRow((), requests=1)]).splitlines()) == 2


def test_a_name_cannot_move_the_cursor() -> None:
    assert "\x1b" not in as_text(("user",), [UsageRow(("\x1b[2Jred",))])
