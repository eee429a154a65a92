from __future__ import annotations

import msgspec

from gateway.domain.usage import NO_USAGE, Usage


def test_totals_are_sums_of_disjoint_classes() -> None:
    usage = Usage(
        input_tokens=1,
        cached_tokens=2,
        cache_write_tokens=4,
        input_audio_tokens=8,
        output_tokens=16,
        reasoning_tokens=32,
        output_audio_tokens=64,
    )

    assert usage.prompt_tokens == 15
    assert usage.completion_tokens == 112


def test_usage_is_written_without_empty_classes() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Usage(input_tokens=3))) == {"input_tokens": 3}


def test_no_usage_is_nothing_of_no_provenance() -> None:
    assert (NO_USAGE.prompt_tokens, NO_USAGE.completion_tokens, NO_USAGE.provenance) == (0, 0, "none")
