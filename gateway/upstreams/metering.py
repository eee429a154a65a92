"""What an answer consumed: the provider's usage object, or a count of what passed."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.chat import ChatRequest
from gateway.domain.usage import NO_USAGE, Usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """OpenAI's `CompletionUsage` as far as it is billed."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


USAGE_DECODER: Final = msgspec.json.Decoder(WireUsage | None)


def to_usage(wire: WireUsage) -> Usage:
    """Split OpenAI's totals into disjoint classes; a part larger than its total counts as the total."""
    prompt, completion = max(wire.prompt_tokens or 0, 0), max(wire.completion_tokens or 0, 0)
    cached = written = audio_in = reasoning = audio_out = 0
    if (details := wire.prompt_tokens_details) is not None:
        cached = _part(details.cached_tokens, prompt)
        written = _part(details.cache_write_tokens, prompt - cached)
        audio_in = _part(details.audio_tokens, prompt - cached - written)
    if (generated := wire.completion_tokens_details) is not None:
        reasoning = _part(generated.reasoning_tokens, completion)
        audio_out = _part(generated.audio_tokens, completion - reasoning)
    return Usage(
        input_tokens=prompt - cached - written - audio_in,
        cached_tokens=cached,
        cache_write_tokens=written,
        input_audio_tokens=audio_in,
        output_tokens=completion - reasoning - audio_out,
        reasoning_tokens=reasoning,
        output_audio_tokens=audio_out,
    )


def _part(tokens: int | None, total: int) -> int:
    return min(max(tokens or 0, 0), total)


class TokenEstimator:
    """Bytes a token, learned for one model from the usage its provider reports.

    Starts at 4 bytes a token, OpenAI's rule of thumb for English (help.openai.com, "What are tokens", 2026-11),
    and follows what is observed with an exponential average.
    """

    _SHARE: Final = 0.05
    _TOKENS_THAT_TEACH: Final = 20

    def __init__(self) -> None:
        self._prompt_ratio = 4.0
        self._answer_ratio = 4.0

    def learn(self, request: ChatRequest, usage: Usage, answer_bytes: int = 0) -> None:
        """Take in one reported usage."""
        if usage.prompt_tokens >= self._TOKENS_THAT_TEACH:
            seen = len(request.body) / usage.prompt_tokens
            self._prompt_ratio += self._SHARE * (seen - self._prompt_ratio)
        if answer_bytes and usage.output_tokens >= self._TOKENS_THAT_TEACH:
            seen = answer_bytes / usage.output_tokens
            self._answer_ratio += self._SHARE * (seen - self._answer_ratio)

    def estimate(self, request: ChatRequest, answer_bytes: int) -> Usage:
        """Return the usage of an answer whose provider reported none; nothing sent, nothing counted."""
        if not answer_bytes:
            return NO_USAGE
        return Usage(
            input_tokens=max(1, round(len(request.body) / self._prompt_ratio)),
            output_tokens=max(1, round(answer_bytes / self._answer_ratio)),
            provenance="estimated",
        )
