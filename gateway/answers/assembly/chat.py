"""The chunks of a chat completion as a whole one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.answers.assembly.base import Assembled
from gateway.answers.reading import Document, an_object, has_more_than, objects
from gateway.domain.usage import Usage

_OF_CHUNK: Final = frozenset(
    {
        "id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "provider",
        "obfuscation", "nonce",
    }
)  # fmt: skip
"""Members that are known; the last two are padding and noise."""

_REPEATED: Final = ("id", "created", "model", "service_tier", "system_fingerprint", "provider")
_ENDS: Final = ("finish_reason", "stop_reason", "native_finish_reason")
_OF_CHOICE: Final = frozenset({"index", "delta", "logprobs", *_ENDS})
_OF_DELTA: Final = frozenset({"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning"})
_OF_CALL: Final = frozenset({"index", "id", "type", "function", "custom"})
_TEXTS: Final = ("content", "refusal", "reasoning_content", "reasoning")


def assemble_chat(events: Sequence[Document], usage: Usage) -> Assembled | None:
    """Return the whole completion; see `Assembler`."""
    named: Document = {}
    told: Document | None = None
    choices: dict[int, _Choice] = {}
    is_exact = True
    for chunk in events:
        is_exact = is_exact and not has_more_than(chunk, _OF_CHUNK)
        named |= {name: chunk[name] for name in _REPEATED if chunk.get(name) and not named.get(name)}
        told = chunk["usage"] if isinstance(chunk.get("usage"), dict) else told
        for choice in objects(chunk.get("choices")):
            index = choice.get("index")
            choices.setdefault(index if type(index) is int else 0, _Choice()).take(choice)
    if not choices:
        return None
    document = {**named, "object": "chat.completion", "choices": [choices[at].whole(at) for at in sorted(choices)]}
    told = told or usage_of(usage)
    return Assembled(
        document | ({} if told is None else {"usage": told}),
        is_exact and all(choice.is_exact for choice in choices.values()),
    )


def usage_of(usage: Usage) -> Document | None:
    """Return what a provider reported, in OpenAI's words; None for what was only counted or guessed."""
    if usage.provenance != "provider":
        return None
    sent, generated = usage.prompt_tokens, usage.completion_tokens
    return {
        "prompt_tokens": sent,
        "completion_tokens": generated,
        "total_tokens": sent + generated,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "audio_tokens": usage.input_audio_tokens,
            **({"cache_write_tokens": usage.cache_write_tokens} if usage.cache_write_tokens else {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }


class _Choice:
    """One answer, while its deltas are added up."""

    def __init__(self) -> None:
        self.is_exact = True
        self._role = "assistant"
        self._texts: dict[str, list[str]] = {name: [] for name in _TEXTS}
        self._is_said = False
        self._calls: dict[int, _Call] = {}
        self._logprobs: dict[str, list[Any]] | None = None
        self._end: Document = {"finish_reason": None}

    def take(self, choice: Document) -> None:
        """Add a choice of a chunk."""
        delta = an_object(choice.get("delta"))
        self.is_exact = self.is_exact and not has_more_than(choice, _OF_CHOICE) and not has_more_than(delta, _OF_DELTA)
        if isinstance(delta.get("role"), str) and delta["role"]:
            self._role = delta["role"]
        for name in _TEXTS:
            self._add_text(name, delta.get(name))
        for call in objects(delta.get("tool_calls")):
            self._add_call(call)
        if isinstance(choice.get("logprobs"), dict):
            self._add_logprobs(choice["logprobs"])
        for name in _ENDS:
            if choice.get(name) is not None:
                self._end[name] = choice[name]

    def whole(self, index: int) -> Document:
        """Return the choice as it stands in a plain answer."""
        joined = {name: "".join(pieces) for name, pieces in self._texts.items()}
        content = joined["content"] or ("" if self._is_said and not self._calls else None)
        message: Document = {"role": self._role, "content": content, "refusal": joined["refusal"] or None}
        message |= {name: joined[name] for name in ("reasoning_content", "reasoning") if joined[name]}
        if self._calls:
            message["tool_calls"] = [self._calls[at].whole() for at in sorted(self._calls)]
        return {"index": index, "message": message, "logprobs": self._logprobs, **self._end}

    def _add_text(self, name: str, text: object) -> None:
        if text is None:
            return
        if not isinstance(text, str):
            self.is_exact = False
            return
        self._texts[name].append(text)
        self._is_said = self._is_said or name == "content"

    def _add_call(self, call: Document) -> None:
        index = call.get("index")
        if type(index) is not int:  # a few servers send each call whole, without an index
            index = len(self._calls) if call.get("id") else max(len(self._calls) - 1, 0)
        self.is_exact = self._calls.setdefault(index, _Call()).take(call) and self.is_exact

    def _add_logprobs(self, logprobs: Document) -> None:
        self._logprobs = self._logprobs or {"content": [], "refusal": []}
        self.is_exact = self.is_exact and not has_more_than(logprobs, frozenset(self._logprobs))
        for name in self._logprobs:
            self._logprobs[name] += objects(logprobs.get(name))


class _Call:
    """A call of a tool, while its deltas are added up."""

    def __init__(self) -> None:
        self._id = self._name = ""
        self._kind = "function"
        self._pieces: list[str] = []

    def take(self, call: Document) -> bool:
        """Add a delta; False where it says something that a whole call has no place for."""
        if isinstance(call.get("id"), str):
            self._id = self._id or call["id"]
        self._kind = "custom" if "custom" in call else self._kind
        made = an_object(call.get(self._kind))
        text_name = "input" if self._kind == "custom" else "arguments"
        if isinstance(made.get("name"), str):
            self._name = self._name or made["name"]
        if isinstance(made.get(text_name), str):
            self._pieces.append(made[text_name])
        return not has_more_than(call, _OF_CALL) and not has_more_than(made, frozenset({"name", text_name}))

    def whole(self) -> Document:
        """Return the call as it stands in a plain answer."""
        text_name = "input" if self._kind == "custom" else "arguments"
        made = {"name": self._name, text_name: "".join(self._pieces)}
        return {"id": self._id, "type": self._kind, self._kind: made}
