from __future__ import annotations

import pytest

from cache.semantic.measure import GROUP, Questions, main


def test_questions_of_a_group_are_alike_and_others_are_not() -> None:
    questions = Questions(100)
    near = float(questions.vector(0) @ questions.vector(GROUP - 1))
    far = float(questions.vector(0) @ questions.vector(GROUP))

    assert near > 0.8
    assert far < 0.4
    assert questions.text(0) != questions.text(1)


def test_a_small_measurement_tells_times_and_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--entries", "400", "--scopes", "3", "--look-ups", "50"]) == 0
    told = capsys.readouterr().out

    assert "p99" in told
    assert "read 400 entries" in told
    assert "MB" in told
