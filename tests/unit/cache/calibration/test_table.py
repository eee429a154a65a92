from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cache.calibration.table import (
    DEFAULT_ERROR_BUDGET,
    FILE,
    STRICTEST,
    UNMEASURED,
    Step,
    Table,
    TableError,
    load_table,
    table,
    table_for,
    threshold_for,
)

OTHER = Table("other@1+int8", "a command", (Step(0.01, 0.9, {}), Step(0.02, 0.85, {})))


def written(folder: Path, content: bytes) -> Path:
    path = folder / FILE
    path.write_bytes(content)
    return path


def test_a_larger_budget_has_a_lower_threshold() -> None:
    thresholds = [step.threshold for step in table().steps]

    assert thresholds == sorted(thresholds, reverse=True)
    assert [step.error_budget for step in table().steps] == [0.005, 0.01, 0.02, 0.03, 0.05]


def test_every_step_kept_its_budget_where_it_was_measured() -> None:
    for step in table().steps:
        assert step.measured["stream_mixed"].errors <= step.error_budget
        assert all(of.errors <= 3 * step.error_budget for of in step.measured.values())


def test_the_default_budget_stands_in_the_table() -> None:
    assert DEFAULT_ERROR_BUDGET in [step.error_budget for step in table().steps]


def test_between_two_budgets_the_stricter_one_holds() -> None:
    assert threshold_for(0.015) == threshold_for(0.01)
    assert threshold_for(0.9) == threshold_for(0.05)
    assert threshold_for(0.001) == STRICTEST


@pytest.mark.parametrize("budget", [0.0, -0.1, 1.1])
def test_what_is_no_budget_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="error budget"):
        threshold_for(budget)


def test_thresholds_are_those_of_the_table_that_is_given() -> None:
    assert threshold_for(0.015, OTHER) == 0.9
    assert threshold_for(0.005, OTHER) == STRICTEST


def test_without_a_table_the_strictest_threshold_holds_for_every_budget() -> None:
    assert threshold_for(0.05, UNMEASURED) == STRICTEST


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert load_table(written(tmp_path, msgspec.json.encode(OTHER))) == OTHER


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"embedder": "x", "made_by": "", "steps": []}', "do not ascend"),
        (b'{"embedder": "x", "made_by": ""}', "steps"),
        (msgspec.json.encode(Table("x", "", (Step(0.01, 1.5, {}),))), "threshold"),
        (msgspec.json.encode(Table("x", "", (Step(0.0, 0.9, {}),))), "error_budget"),
        (msgspec.json.encode(Table("x", "", (Step(0.02, 0.9, {}), Step(0.01, 0.8, {})))), "do not ascend"),
    ],
)
def test_what_is_no_table_is_refused_with_file_and_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = written(tmp_path, content)

    with pytest.raises(TableError, match=reason) as caught:
        load_table(path)

    assert str(path) in str(caught.value)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"absent\.json cannot be read: No such file"):
        load_table(tmp_path / "absent.json")


def test_the_packaged_table_goes_first_for_the_embedder_it_was_measured_with(tmp_path: Path) -> None:
    written(tmp_path, msgspec.json.encode(msgspec.structs.replace(OTHER, embedder=table().embedder)))

    assert table_for(table().embedder, tmp_path) is table()


def test_a_table_beside_the_model_is_used_if_it_was_measured_with_it(tmp_path: Path) -> None:
    written(tmp_path, msgspec.json.encode(OTHER))

    assert table_for("other@1+int8", tmp_path) == OTHER
    assert table_for("other@2+int8", tmp_path) is None


def test_an_embedder_that_nobody_measured_has_no_table(tmp_path: Path) -> None:
    assert table_for("other@1+int8", tmp_path) is None
    assert table_for("a server/other@1+64", None) is None


def test_a_broken_table_beside_a_model_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, b"{")

    with pytest.raises(TableError):
        table_for("other@1+int8", tmp_path)
