from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.telemetry import Record, Telemetry, gauge, info
from gateway.telemetry.merging import Ended, Family, Sample, Tally, as_families, exposition, lay_aside, merge

_NOBODY = Ended()


def tally(number: int, *families: Family, slot: int = 1) -> Tally:
    return Tally(number, slot, list(families))


def counted(value: float, name: str = "tierway_things", **labels: str) -> Family:
    return Family(name, "Things.", "counter", [(f"{name}_total", labels, value)])


def told(value: float, name: str, **labels: str) -> Family:
    return Family(name, "A state.", "gauge", [(name, labels, value)])


def samples(families: list[Family], name: str) -> list[Sample]:
    return [sample for family in families for sample in family.samples if sample[0] == name]


def value(families: list[Family], name: str) -> float:
    return sum(sample[2] for sample in samples(families, name))


def test_counters_are_added_up_by_their_labels() -> None:
    one, two = tally(1, counted(2, team="a")), tally(2, counted(3, team="a"), counted(5, team="b"), slot=2)

    merged = merge([one, two], _NOBODY, label_top_n=50)

    assert samples(merged, "tierway_things_total") == [
        ("tierway_things_total", {"team": "a"}, 5),
        ("tierway_things_total", {"team": "b"}, 5),
    ]


def test_histograms_of_real_workers_are_added_up() -> None:
    workers = []
    for number in (1, 2):
        telemetry = Telemetry()
        for duration_us in (1_000, 20_000_000):
            telemetry.record(Record(1.0, "req-1", "chat", 200, routed_model="m", duration_us=duration_us))
        workers.append(Tally(number, number, as_families(telemetry.families())))

    merged = merge(workers, _NOBODY, label_top_n=50)

    buckets = {labels["le"]: value for _, labels, value in samples(merged, "tierway_request_duration_seconds_bucket")}
    assert (buckets["0.005"], buckets["10.0"], buckets["+Inf"]) == (2, 2, 4)
    assert value(merged, "tierway_request_duration_seconds_count") == 4
    assert value(merged, "tierway_request_duration_seconds_sum") == pytest.approx(40.002)


def test_gauges_are_added_up() -> None:
    merged = merge([tally(1, told(2, "in_flight")), tally(2, told(3, "in_flight"), slot=2)], _NOBODY, label_top_n=50)

    assert value(merged, "in_flight") == 5


def test_what_each_worker_sees_for_itself_counts_once() -> None:
    families = as_families(
        [gauge("tierway_degraded", "Parts.", "part", {"keys": 1.0}), info("tierway_config_info", "It.", {"hash": "h"})]
    )

    merged = merge([tally(1, *families), tally(2, *families, slot=2)], _NOBODY, label_top_n=50)

    assert value(merged, "tierway_degraded") == 1
    assert value(merged, "tierway_config_info") == 1


def test_what_is_of_a_process_is_told_of_the_newest_in_each_place() -> None:
    one, newer, two = (
        tally(number, told(memory, "process_resident_memory_bytes"), slot=slot)
        for number, slot, memory in ((1, 1, 10.0), (3, 1, 30.0), (2, 2, 20.0))
    )

    merged = merge([newer, one, two], _NOBODY, label_top_n=50)

    found = {labels["worker"]: value for _, labels, value in samples(merged, "process_resident_memory_bytes")}
    assert found == {"1": 30.0, "2": 20.0}


def test_it_says_how_many_are_counted() -> None:
    merged = merge([tally(1), tally(2)], Ended([7], [counted(1)]), label_top_n=50)

    assert value(merged, "tierway_workers") == 2


def test_counts_of_workers_that_have_ended_stay() -> None:
    ended = lay_aside([tally(1, counted(2), told(9, "in_flight"))], _NOBODY, label_top_n=50)
    ended = lay_aside([tally(2, counted(3))], ended, label_top_n=50)

    merged = merge([tally(3, counted(5))], ended, label_top_n=50)

    assert value(merged, "tierway_things_total") == 10
    assert samples(merged, "in_flight") == []


def test_nobody_is_counted_twice() -> None:
    last = tally(1, counted(2))
    ended = lay_aside([last], lay_aside([last], _NOBODY, label_top_n=50), label_top_n=50)

    merged = merge([last], ended, label_top_n=50)

    assert value(merged, "tierway_things_total") == 2
    assert value(merged, "tierway_workers") == 0


def test_labels_stay_bounded_however_many_workers_have_ended() -> None:
    ended = _NOBODY
    for number in range(20):
        ended = lay_aside([tally(number, counted(1, team=f"t{number}"))], ended, label_top_n=3)

    merged = merge(
        [tally(20, counted(1, team="new"), counted(1, team="other"), counted(1, team=""))], ended, label_top_n=3
    )

    found = {labels["team"]: value for _, labels, value in samples(merged, "tierway_things_total")}
    assert found == {"t0": 1, "t1": 1, "t2": 1, "other": 19, "": 1}


def test_a_tally_survives_the_way_to_another_worker() -> None:
    sent = tally(1, *as_families(Telemetry().families()))

    arrived = msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Tally)

    assert arrived == sent


def test_one_worker_alone_is_shown_as_it_shows_itself() -> None:
    telemetry = Telemetry()
    telemetry.record(Record(1.0, "req-1", "chat", 200, team='quoted "team"', routed_model="m"))

    def shown(text: bytes) -> set[str]:
        lines: list[Any] = text.decode().splitlines()
        return {line for line in lines if not line.startswith(("process_", "python_gc", "tierway_workers", "#"))}

    merged = merge([tally(1, *as_families(telemetry.families()))], _NOBODY, label_top_n=50)

    assert shown(exposition(merged)) == shown(telemetry.exposition())
