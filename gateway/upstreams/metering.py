"""What an answer consumed: the provider's usage object, or a count of what passed."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.request import ModelRequest
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


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _ResponsesUsage(msgspec.Struct):
    """OpenAI's `ResponseUsage` as far as it is billed."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _GeneratedDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class MessagesUsage(msgspec.Struct):
    """Anthropic's `Usage` as far as it is billed. Its input tokens exclude what was read from or written to a cache."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _GeneratedDetails | None = None

    def updated(self, later: MessagesUsage) -> MessagesUsage:
        """Return this with what a later report of the same stream says differently; its figures are totals."""
        told = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **told)

    def as_usage(self) -> Usage:
        """Return it in our classes."""
        generated = max(self.output_tokens or 0, 0)
        details = self.output_tokens_details
        thought = _part(details.thinking_tokens, generated) if details is not None else 0
        return Usage(
            input_tokens=max(self.input_tokens or 0, 0),
            cached_tokens=max(self.cache_read_input_tokens or 0, 0),
            cache_write_tokens=max(self.cache_creation_input_tokens or 0, 0),
            output_tokens=generated - thought,
            reasoning_tokens=thought,
        )


_WIRE: Final = msgspec.json.Decoder(WireUsage | None)
_RESPONSES: Final = msgspec.json.Decoder(_ResponsesUsage | None)
_MESSAGES: Final = msgspec.json.Decoder(MessagesUsage | None)


def read_usage(raw: msgspec.Raw) -> Usage | None:
    """Read the `usage` of a chat completion, a completion or embeddings; None where it is absent or odd."""
    try:
        wire = _WIRE.decode(raw)
    except msgspec.DecodeError:
        return None
    return None if wire is None else to_usage(wire)


def read_responses_usage(raw: msgspec.Raw) -> Usage | None:
    """Read the `usage` of a response; None where it is absent or odd."""
    try:
        wire = _RESPONSES.decode(raw)
    except msgspec.DecodeError:
        return None
    if wire is None:
        return None
    total, generated = max(wire.input_tokens or 0, 0), max(wire.output_tokens or 0, 0)
    details, made = wire.input_tokens_details, wire.output_tokens_details
    cached = _part(details.cached_tokens, total) if details is not None else 0
    written = _part(details.cache_write_tokens, total - cached) if details is not None else 0
    thought = _part(made.reasoning_tokens, generated) if made is not None else 0
    return Usage(
        input_tokens=total - cached - written,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=generated - thought,
        reasoning_tokens=thought,
    )


def read_messages_usage(raw: msgspec.Raw) -> MessagesUsage | None:
    """Read the `usage` of a message, whole or one of the parts that a stream tells; None where it is absent or odd."""
    try:
        wire: MessagesUsage | None = _MESSAGES.decode(raw)
    except msgspec.DecodeError:
        return None
    return wire


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

    def learn(self, request: ModelRequest, usage: Usage, answer_bytes: int = 0) -> None:
        """Take in one reported usage; of prompts that are not in the body, it says nothing of bytes."""
        if request.is_whole and usage.prompt_tokens >= self._TOKENS_THAT_TEACH:
            seen = len(request.body) / usage.prompt_tokens
            self._prompt_ratio += self._SHARE * (seen - self._prompt_ratio)
        if answer_bytes and usage.output_tokens >= self._TOKENS_THAT_TEACH:
            seen = answer_bytes / usage.output_tokens
            self._answer_ratio += self._SHARE * (seen - self._answer_ratio)

    def estimate(self, request: ModelRequest, answer_bytes: int) -> Usage:
        """Return the usage of an answer whose provider reported none; nothing sent, nothing counted."""
        if not answer_bytes:
            return NO_USAGE
        return Usage(
            input_tokens=self.prompt_tokens(request),
            output_tokens=max(1, round(answer_bytes / self._answer_ratio)),
            provenance="estimated",
        )

    def prompt_tokens(self, request: ModelRequest) -> int:
        """Return about how many tokens a prompt has, at least 1."""
        return max(1, round(len(request.body) / self._prompt_ratio))
