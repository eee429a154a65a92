from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.domain.usage import Usage
from gateway.telemetry import CONTENT_TYPE, OTHER, Record, Telemetry, counter, gauge, info


def record(**fields: Any) -> Record:
    return Record(**{"at": 1.0, "request_id": "req-1", "route": "chat", "status": 200, "team": "search", **fields})


def samples(telemetry: Telemetry) -> list[Sample]:
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return [sample for family in families for sample in family.samples]


def value(telemetry: Telemetry, name: str, **labels: str) -> float:
    return sum(
        sample.value for sample in samples(telemetry) if sample.name == name and labels.items() <= sample.labels.items()
    )


def label_values(telemetry: Telemetry, label: str) -> set[str]:
    return {sample.labels[label] for sample in samples(telemetry) if label in sample.labels}


def test_an_unused_telemetry_can_be_read() -> None:
    found = {sample.name for sample in samples(Telemetry())}

    assert "tierway_in_flight" in found
    assert "process_resident_memory_bytes" in found
    assert "text/plain" in CONTENT_TYPE


def test_requests_are_counted_by_what_they_were() -> None:
    telemetry = Telemetry()

    for status in (200, 200, 429):
        telemetry.record(record(status=status, routed_model="gpt-5", tier="complex"))

    labels = {"route": "chat", "team": "search", "model": "gpt-5", "tier": "complex"}
    assert value(telemetry, "tierway_requests_total", status="200", **labels) == 2
    assert value(telemetry, "tierway_requests_total", status="429", **labels) == 1


def test_errors_are_counted_by_code_and_source() -> None:
    telemetry = Telemetry()

    telemetry.record(record(status=401, code="invalid_api_key", source="gateway"))
    telemetry.record(record())

    assert value(telemetry, "tierway_errors_total", code="invalid_api_key", source="gateway") == 1
    assert value(telemetry, "tierway_errors_total") == 1


def test_cache_results_are_counted() -> None:
    telemetry = Telemetry()

    for result in ("exact", "miss", "miss", ""):
        telemetry.record(record(cache=result))

    assert value(telemetry, "tierway_cache_lookups_total", result="miss") == 2
    assert value(telemetry, "tierway_cache_lookups_total") == 3


def test_tokens_are_counted_once_by_class() -> None:
    telemetry = Telemetry()
    usage = Usage(
        input_tokens=1,
        cached_tokens=2,
        cache_write_tokens=3,
        input_audio_tokens=4,
        output_tokens=5,
        reasoning_tokens=6,
        output_audio_tokens=7,
    )

    for _ in range(2):
        telemetry.record(record(routed_model="gpt-5", usage=usage, cost_microusd=1_500_000))

    found = {s.labels["class"]: s.value for s in samples(telemetry) if s.name == "tierway_tokens_total"}
    assert found == {
        "input": 2, "cached": 4, "cache_write": 6, "input_audio": 8, "output": 10, "reasoning": 12,
        "output_audio": 14,
    }  # fmt: skip
    assert value(telemetry, "tierway_cost_usd_total", team="search", model="gpt-5") == 3.0


def test_a_cost_nobody_knows_counts_as_nothing() -> None:
    telemetry = Telemetry()

    telemetry.record(record(routed_model="gpt-5", usage=Usage(input_tokens=1), cost_microusd=None))

    assert value(telemetry, "tierway_cost_usd_total") == 0


def test_histograms_count_every_request_once() -> None:
    telemetry = Telemetry()
    usage = Usage(input_tokens=100, output_tokens=10)

    telemetry.record(
        record(routed_model="gpt-5", usage=usage, duration_us=2_000_000, overhead_us=300, first_byte_us=20_000)
    )
    telemetry.record(record(routed_model="gpt-5", duration_us=900_000_000))

    assert value(telemetry, "tierway_request_duration_seconds_count", model="gpt-5") == 2
    assert value(telemetry, "tierway_request_duration_seconds_bucket", model="gpt-5", le="1.0") == 0
    assert value(telemetry, "tierway_request_duration_seconds_bucket", model="gpt-5", le="2.5") == 1
    assert value(telemetry, "tierway_request_duration_seconds_bucket", model="gpt-5", le="600.0") == 1
    assert value(telemetry, "tierway_request_duration_seconds_bucket", model="gpt-5", le="+Inf") == 2
    assert value(telemetry, "tierway_time_to_first_token_seconds_count", model="gpt-5") == 1
    assert value(telemetry, "tierway_overhead_seconds_count") == 1
    assert value(telemetry, "tierway_overhead_seconds_sum") == pytest.approx(0.0003)
    assert value(telemetry, "gen_ai_client_token_usage_sum", gen_ai_token_type="input") == 100
    assert value(telemetry, "gen_ai_client_token_usage_sum", gen_ai_token_type="output") == 10
    assert value(telemetry, "gen_ai_server_request_duration_count", gen_ai_request_model="gpt-5") == 2


def test_a_request_that_met_no_model_leaves_no_histogram() -> None:
    telemetry = Telemetry()

    telemetry.record(record(status=401))

    assert value(telemetry, "tierway_request_duration_seconds_count") == 0


def test_teams_and_models_beyond_the_bound_are_other() -> None:
    telemetry = Telemetry(label_top_n=3)

    for number in range(10):
        telemetry.record(record(team=f"team-{number}", routed_model=f"model-{number}", usage=Usage(input_tokens=1)))

    assert label_values(telemetry, "team") == {"team-0", "team-1", "team-2", OTHER}
    assert label_values(telemetry, "model") == {"model-0", "model-1", "model-2", OTHER}
    assert value(telemetry, "tierway_requests_total") == 10
    assert value(telemetry, "tierway_requests_total", team=OTHER) == 7
    assert value(telemetry, "tierway_request_duration_seconds_count", model=OTHER) == 7


def test_a_value_that_is_known_keeps_its_series_beyond_the_bound() -> None:
    telemetry = Telemetry(label_top_n=1)

    for team in ("a", "b", "a"):
        telemetry.record(record(team=team))

    assert value(telemetry, "tierway_requests_total", team="a") == 2


def test_codes_that_upstreams_make_up_are_bounded() -> None:
    telemetry = Telemetry(label_top_n=3)

    for number in range(1000):
        telemetry.record(record(status=400, code=f"made-up-{number}", source="provider"))

    assert label_values(telemetry, "code") == {"made-up-0", "made-up-1", "made-up-2", OTHER}
    assert value(telemetry, "tierway_errors_total") == 1000


@pytest.mark.parametrize("text", ['quote"', "back\\slash", "new\nline", "ümlaut", "{a=b}", ""])
def test_any_label_value_survives_the_text_format(text: str) -> None:
    telemetry = Telemetry()

    telemetry.record(record(team=text, code=text or "x"))

    assert value(telemetry, "tierway_requests_total", team=text) == 1


def test_gauges_of_others_are_shown() -> None:
    telemetry = Telemetry()
    telemetry.show_also(
        lambda: [
            info("tierway_config_info", "x", {"hash": "abc"}),
            gauge("tierway_degraded", "x", "part", {"keys": 1.0}),
            counter("tierway_upstream_calls", "x", "upstream", {"openai": 7.0}),
        ]
    )

    assert value(telemetry, "tierway_config_info", hash="abc") == 1
    assert value(telemetry, "tierway_degraded", part="keys") == 1
    assert value(telemetry, "tierway_upstream_calls_total", upstream="openai") == 7


def test_reloads_and_requests_in_flight_are_shown() -> None:
    telemetry = Telemetry()
    telemetry.reloads["ok"] += 2
    telemetry.in_flight = 5

    assert value(telemetry, "tierway_config_reloads_total", result="ok") == 2
    assert value(telemetry, "tierway_config_reloads_total", result="failed") == 0
    assert value(telemetry, "tierway_in_flight") == 5


async def test_a_worker_alone_reads_its_own() -> None:
    telemetry = Telemetry()

    assert b"tierway_in_flight" in await telemetry.read()


async def test_reading_may_be_left_to_one_who_asks_all() -> None:
    telemetry = Telemetry()

    async def read_all() -> bytes:
        return b"everyone's"

    telemetry.read_with(read_all)

    assert await telemetry.read() == b"everyone's"


def test_findings_of_the_guard_are_counted_by_detector_action_and_direction() -> None:
    telemetry = Telemetry()

    for _ in range(2):
        counts = {"input.pii.redact": 2, "output.secrets.flag": 1, "input.external.pii.flag": 1}
        telemetry.record(record(guard={"counts": counts}))

    text = telemetry.exposition().decode()
    assert 'tierway_guard_findings_total{action="redact",detector="pii",direction="input"} 4.0' in text
    assert 'tierway_guard_findings_total{action="flag",detector="secrets",direction="output"} 2.0' in text
    assert 'tierway_guard_findings_total{action="flag",detector="external.pii",direction="input"} 2.0' in text
