"""Random chat requests from a seed: what callers send, and now and then what only a few of them do."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

_ALPHABETS = (
    'abcdefghijklmnopqrstuvwxyz ,.\n\t"\\{}[]',
    "äöüßéñçłøåŠžİı",
    "中文字符日本語カタカナ한국어",
    "שלוםمرحبا\u200f\u200e\u0301\u0308",
    "\U0001f600\U0001f468\u200d\U0001f469\U0001f1e9\U0001f1ea\U00010348\U0001d54f",
    "\ue000\uf8ff\U000f0000\U0010fffd\ufffd\u2028\u0001\u007f",
)
"""Letters of the basic plane, of the supplementary ones, of private use, and control characters."""

_CACHED = {"type": "ephemeral", "ttl": "1h"}
_LABELS = {
    "seed": 7,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "logit_bias": {"50256": -100},
    "store": False,
    "metadata": {"run": "nightly"},
    "service_tier": "flex",
    "verbosity": "low",
    "prompt_cache_key": "k",
    "prediction": {"type": "content", "content": "x"},
    "a_vendors_own": {"deep": [1]},
}
"""Members that only nudge or label."""


class Conversations:
    """A stream of chat requests that is the same for the same seed.

    Args:
        seed: what the requests follow from.
        cached: whether some contents carry `cache_control`.
        thinking: whether some assistant messages carry `thinking_blocks`.
    """

    def __init__(self, seed: int, *, cached: bool = True, thinking: bool = True) -> None:
        self._random = random.Random(seed)  # noqa: S311  # a test wants the same numbers again
        self._cached = cached
        self._thinking = thinking
        self._texts = 0
        self._calls = 0

    def request(self) -> dict[str, Any]:
        """Return the next request."""
        document: dict[str, Any] = {"model": "m", "messages": self.messages()}
        if self._maybe(0.6):
            document |= self._tools()
        document |= self._options()
        for name, value in _LABELS.items():
            if self._maybe(0.05):
                document[name] = value
        return document

    def messages(self) -> list[dict[str, Any]]:
        """Return a conversation: instructions, then turns in an order that OpenAI takes."""
        messages = [self._instruction() for _ in range(self._random.choice((0, 1, 1, 2)))]
        for _ in range(self._random.randint(1, 4)):
            messages += [self._question() for _ in range(self._random.choice((1, 1, 1, 2)))]
            if self._maybe(0.7):
                messages += self._answers()
            if self._maybe(0.1):
                messages.append(self._instruction())
        return messages

    def text(self) -> str:
        """Return a text that stands nowhere else in what this object made, in one or several scripts."""
        self._texts += 1
        letters = "".join(self._random.choices(self._random.choice(_ALPHABETS), k=self._random.randint(0, 20)))
        return f"{letters}<{self._texts}>{letters[::-1]}"

    def _maybe(self, share: float) -> bool:
        return self._random.random() < share

    def _instruction(self) -> dict[str, Any]:
        role = self._random.choice(("system", "developer"))
        content = self.text() if self._maybe(0.6) else [self._text_part() for _ in range(self._random.randint(1, 3))]
        return {"role": role, "content": content}

    def _question(self) -> dict[str, Any]:
        if self._maybe(0.4):
            return self._named({"role": "user", "content": self.text()})
        makers = (self._text_part, self._text_part, self._image, self._file)
        parts = [self._random.choice(makers)() for _ in range(self._random.randint(1, 4))]
        return self._named({"role": "user", "content": parts})

    def _named(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._maybe(0.05):
            message["name"] = "ada"
        if self._cached and self._maybe(0.05):
            message["cache_control"] = _CACHED
        return message

    def _answers(self) -> list[dict[str, Any]]:
        """Return an assistant's message, and the results of the tools it calls."""
        message: dict[str, Any] = {"role": "assistant", "content": None}
        calls = [self._call() for _ in range(self._random.choice((0, 0, 1, 3)))]
        if not calls or self._maybe(0.5):
            message["content"] = self.text() if self._maybe(0.8) else [self._text_part(), self._refusal_part()]
        if self._maybe(0.1):
            message["refusal"] = self.text()
        if self._thinking and self._maybe(0.3):
            message |= self._thoughts()
        if calls:
            message["tool_calls"] = calls
        return [self._named(message), *(self._result(call) for call in calls)]

    def _thoughts(self) -> dict[str, Any]:
        if self._maybe(0.2):
            return {"reasoning_content": self.text()}
        thinking = self.text()
        blocks = [{"type": "thinking", "thinking": thinking, "signature": self.text()}]
        if self._maybe(0.3):
            blocks.append({"type": "redacted_thinking", "data": self.text()})
        return {"reasoning_content": thinking, "thinking_blocks": blocks}

    def _call(self) -> dict[str, Any]:
        self._calls += 1
        arguments = self._random.choice(
            (
                "",
                "{}",
                json.dumps(
                    {"text": self.text(), "n": self._random.randint(-(10**6), 10**6), "deep": {"a": [None, 1.5]}}
                ),
                json.dumps({self.text(): [self.text()]}, ensure_ascii=False),
                json.dumps({"cut": self.text()})[:-3],
                json.dumps([self.text()]),
            )
        )
        name = self._random.choice(("look_up", "send"))
        return {"id": f"call_{self._calls}", "type": "function", "function": {"name": name, "arguments": arguments}}

    def _result(self, call: dict[str, Any]) -> dict[str, Any]:
        content = self._random.choice((self.text(), "", [self._text_part(), self._text_part()]))
        return {"role": "tool", "tool_call_id": call["id"], "content": content}

    def _text_part(self) -> dict[str, Any]:
        part: dict[str, Any] = {"type": "text", "text": self.text()}
        return {**part, "cache_control": _CACHED} if self._cached and self._maybe(0.1) else part

    def _refusal_part(self) -> dict[str, Any]:
        return {"type": "refusal", "refusal": self.text()}

    def _image(self) -> dict[str, Any]:
        kind = self._random.choice(("png", "jpeg", "gif", "webp"))
        self._texts += 1
        encoded = base64.b64encode(self.text().encode()).decode()
        url = self._random.choice((f"data:image/{kind};base64,{encoded}", f"https://example.com/{self._texts}.{kind}"))
        detail = {"detail": "high"} if self._maybe(0.2) else {}
        return {"type": "image_url", "image_url": {"url": url, **detail}}

    def _file(self) -> dict[str, Any]:
        self._texts += 1
        if self._maybe(0.1):
            return {"type": "file", "file": {"file_id": f"file_{self._texts}"}}
        encoded = base64.b64encode(b"%PDF-1.7 " + self.text().encode()).decode()
        name = f"{self._texts}.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": f"data:application/pdf;base64,{encoded}"}}

    def _tools(self) -> dict[str, Any]:
        schema = {"type": "object", "properties": {"text": {"type": "string", "description": self.text()}}}
        look_up = {"name": "look_up", "description": self.text(), "parameters": schema}
        send: dict[str, Any] = {"name": "send", **({"strict": self._maybe(0.5)} if self._maybe(0.5) else {})}
        made: dict[str, Any] = {
            "tools": [{"type": "function", "function": look_up}, {"type": "function", "function": send}]
        }
        named = {"type": "function", "function": {"name": "send"}}
        if self._maybe(0.5):
            made["tool_choice"] = self._random.choice(("none", "auto", "required", named))
        if self._maybe(0.4):
            made["parallel_tool_calls"] = self._maybe(0.5)
        return made

    def _options(self) -> dict[str, Any]:
        schema = {"name": "city", "strict": True, "schema": {"type": "object", "description": self.text()}}
        choices: dict[str, tuple[Any, ...]] = {
            "max_tokens": (1, 4096),
            "max_completion_tokens": (17, 100_000),
            "temperature": (0, 0.3, 1, 1.7),
            "top_p": (0.1, 1),
            "stop": (self.text(), [self.text(), self.text()], [" \n", self.text()]),
            "user": (self.text(),),
            "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh", "max"),
            "response_format": (
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": schema},
            ),
            "stream": (True, False),
        }
        return {name: self._random.choice(values) for name, values in choices.items() if self._maybe(0.2)}
