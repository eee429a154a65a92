from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.metering import TokenEstimator, WireUsage, read_usage, to_usage
from tests.support.build import chat_request

COUNTS = st.none() | st.integers(min_value=-(10**6), max_value=10**6)
DETAILS = st.none() | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("cached_tokens", "audio_tokens", "cache_write_tokens", "reasoning_tokens"), COUNTS)
)


def usage_of(**fields: Any) -> Usage:
    return to_usage(msgspec.convert(fields, WireUsage))


def test_totals_are_split_into_disjoint_classes() -> None:
    usage = usage_of(
        prompt_tokens=100,
        completion_tokens=50,
        prompt_tokens_details={"cached_tokens": 40, "audio_tokens": 5, "cache_write_tokens": 10},
        completion_tokens_details={"reasoning_tokens": 30, "audio_tokens": 2},
    )

    assert usage == Usage(
        input_tokens=45,
        cached_tokens=40,
        cache_write_tokens=10,
        input_audio_tokens=5,
        output_tokens=18,
        reasoning_tokens=30,
        output_audio_tokens=2,
    )


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None, "audio_tokens": None}])
def test_totals_without_details_are_plain_tokens(details: Any) -> None:
    usage = usage_of(prompt_tokens=7, completion_tokens=3, prompt_tokens_details=details)

    assert usage == Usage(input_tokens=7, output_tokens=3)


def test_a_part_larger_than_its_total_counts_as_the_total() -> None:
    usage = usage_of(
        prompt_tokens=10,
        completion_tokens=5,
        prompt_tokens_details={"cached_tokens": 99, "audio_tokens": 99, "cache_write_tokens": 99},
        completion_tokens_details={"reasoning_tokens": 99, "audio_tokens": 99},
    )

    assert usage == Usage(cached_tokens=10, reasoning_tokens=5)


@given(COUNTS, COUNTS, DETAILS, DETAILS)
def test_classes_sum_up_to_the_totals_and_are_never_negative(
    prompt: int | None, completion: int | None, before: Any, after: Any
) -> None:
    usage = usage_of(
        prompt_tokens=prompt,
        completion_tokens=completion,
        prompt_tokens_details=before,
        completion_tokens_details=after,
    )

    assert usage.prompt_tokens == max(prompt or 0, 0)
    assert usage.completion_tokens == max(completion or 0, 0)
    assert all(getattr(usage, name) >= 0 for name in usage.__struct_fields__ if name.endswith("_tokens"))


def test_fields_nobody_bills_are_ignored() -> None:
    usage = read_usage(msgspec.Raw(b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cost":0.1,"x":{}}'))

    assert usage == Usage(input_tokens=1, output_tokens=2)


def test_nothing_sent_is_nothing_counted() -> None:
    assert TokenEstimator().estimate(chat_request(), 0) is NO_USAGE


def test_an_estimate_starts_with_four_bytes_a_token() -> None:
    request = chat_request("x" * 400)

    usage = TokenEstimator().estimate(request, 40)

    assert usage.input_tokens == round(len(request.body) / 4)
    assert usage.output_tokens == 10
    assert usage.provenance == "estimated"


def test_an_estimate_is_at_least_a_token() -> None:
    assert TokenEstimator().estimate(chat_request(), 1).output_tokens == 1


def test_an_estimate_follows_what_providers_report() -> None:
    estimator = TokenEstimator()
    request = chat_request("x" * 1000)

    for _ in range(200):
        estimator.learn(request, Usage(input_tokens=len(request.body) // 2, output_tokens=100), answer_bytes=200)

    usage = estimator.estimate(request, 200)
    assert usage.input_tokens == pytest.approx(len(request.body) / 2, rel=0.01)
    assert usage.output_tokens == pytest.approx(100, rel=0.01)


def test_short_answers_teach_nothing() -> None:
    estimator = TokenEstimator()
    request = chat_request()

    for _ in range(200):
        estimator.learn(request, Usage(input_tokens=1, output_tokens=1), answer_bytes=1000)

    assert estimator.estimate(request, 400).output_tokens == 100
    assert estimator.estimate(request, 400).input_tokens == round(len(request.body) / 4)
