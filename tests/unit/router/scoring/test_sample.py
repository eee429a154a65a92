from __future__ import annotations

from router.scoring.sample import Sample


def filled(count: int, capacity: int) -> Sample:
    sample = Sample(capacity)
    for number in range(count):
        sample.add(float(number), 0.0, 0.0)
    return sample


def test_rows_come_back_in_their_order() -> None:
    assert filled(3, 5).rows()[:, 0].tolist() == [0, 1, 2]


def test_only_the_last_rows_are_kept() -> None:
    sample = filled(12, 5)

    assert sample.rows()[:, 0].tolist() == [7, 8, 9, 10, 11]
    assert len(sample) == 5


def test_what_is_returned_is_a_copy() -> None:
    sample = filled(2, 5)

    sample.rows()[0, 0] = 99

    assert sample.rows()[0, 0] == 0
