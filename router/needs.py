"""What a request demands of a model: how much it reads and writes at once, and which abilities it takes.

Looked at are the parts of the decoded request; no text is walked. Sizes come from the length of the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from gateway.domain.request import ModelRequest

Feature = Literal["vision", "audio", "files", "tools", "structured_output"]
"""What not every model can: read images, hear or speak, read documents, call tools, keep to a JSON schema."""

IMAGE_TOKENS: Final = 1_600
"""What an image is estimated at: the most Anthropic counts for one ("Vision", 2026-11); OpenAI counts 765 to 1,105
for usual sizes in high detail."""

FILE_TOKENS: Final = 2_000
"""What a document is estimated at: a page of a PDF is 1,500 to 3,000 (Anthropic, "PDF support", 2026-11), and how many
pages there are cannot be told from its bytes."""

AUDIO_BYTES_A_TOKEN: Final = 512
"""Sound is ten tokens a second (OpenAI's prices for audio, 2026-11); a second of the thinnest MP3 in use, 32 kbit/s,
is 5,300 bytes of base64."""

TOOLS_TOKENS: Final = 1024
"""What providers add to a prompt with tools, at most; Anthropic's documents name up to 530 ("Tool use", pricing)."""

_SAMPLE: Final = 1024
"""Bytes at either end of a body that show how it is written."""

_ASCII: Final = bytes(range(128))
_NO_FEATURES: Final[frozenset[Feature]] = frozenset()

_MEDIA: Final[Mapping[str, tuple[Feature, str]]] = {
    "image_url": ("vision", "image_url"),
    "input_image": ("vision", "image_url"),
    "image": ("vision", "source"),
    "computer_screenshot": ("vision", "image_url"),
    "image_generation_call": ("vision", "result"),
    "input_audio": ("audio", "input_audio"),
    "file": ("files", "file"),
    "input_file": ("files", "file_data"),
    "document": ("files", "source"),
    "container_upload": ("files", "file_id"),
}
"""By type of part: what reading it takes, and the member that holds it."""

_TEXTS: Final = frozenset({"text", "input_text", "output_text"})

_BATCHES: Final[Mapping[str, str]] = {"embeddings": "input", "completions": "prompt"}
"""Shapes that may hold several prompts, and where."""

_RESPONSES: Final = frozenset({"responses", "input_tokens", "compact"})
_SILENT: Final = frozenset({"embeddings", "input_tokens", "count_tokens"})
"""Shapes that nothing is generated for."""

_OUTSIDE: Final = frozenset({"web_search_options", "prompt", "mcp_servers"})
"""Members that bring in what the body does not hold."""

_TOOLS: Final = frozenset({"tools", "functions"})
_PLAIN_TOOLS: Final = frozenset({"function", "custom"})
_FORMATS: Final = (("response_format",), ("text", "format"), ("output_config", "format"), ("output_format",))
"""Where requests ask for a JSON schema: chat, Responses, Messages, and Messages before 2026."""

_DEMANDING: Final = _OUTSIDE | _TOOLS | {"modalities"} | {path[0] for path in _FORMATS}


class Needs(msgspec.Struct, frozen=True, gc=False):
    """What one request demands.

    Attributes:
        prompt_tokens: an estimate of its longest prompt, media included.
        output_tokens: the longest answer it asks for; 0 where nothing is generated, None where it names none.
        features: the abilities it takes.
        text_bytes: a bound on the tokens of all its prompts but for images: a token of text is at least one byte.
        images: how many images there are.
        inputs: how many prompts there are, each with a context window of its own.
        choices: how many answers are asked for.
        is_whole: whether the body holds all of the prompt; otherwise only a context window bounds it.
    """

    prompt_tokens: int
    output_tokens: int | None
    features: frozenset[Feature]
    text_bytes: int
    images: int = 0
    inputs: int = 1
    choices: int = 1
    is_whole: bool = True


def needs_of(request: ModelRequest) -> Needs:
    """Look at a request once, in time that grows with its messages and parts and not with their texts."""
    document, shape = request.document, request.shape
    seen = _Seen(is_whole=request.is_whole)
    for message in request.messages:
        content = message.get("content")
        if type(content) is str:
            if not content.isascii():
                seen.is_ascii = False
        else:
            seen.see_message(message, content)
    if seen.is_view_partial and shape in _RESPONSES:
        seen.see_items(document.get("input"))
    batch = _BATCHES.get(shape)
    if batch is None and not _DEMANDING.isdisjoint(document):
        seen.see_members(document)
    tokens = seen.tokens + _text_tokens(request.body, seen.media_bytes, is_ascii=seen.is_ascii)
    inputs = 1
    if batch is not None:
        tokens, inputs = _longest(document.get(batch), tokens)
    return Needs(
        tokens,
        0 if shape in _SILENT else request.most_output_tokens,
        frozenset(seen.features) if seen.features else _NO_FEATURES,
        max(0, len(request.body) + seen.added_bytes - seen.image_bytes),
        seen.images,
        inputs,
        _choices(document, shape, inputs),
        seen.is_whole,
    )


class _Seen:
    """What has been seen of a request so far.

    Attributes:
        features: the abilities it takes.
        images: how many.
        image_bytes: of images that stand in the body itself.
        media_bytes: of all media that do.
        added_bytes: a bound on the tokens that the provider adds.
        tokens: an estimate of the media.
        is_ascii: whether no text needs other letters; texts that were not looked at may.
        is_view_partial: whether an item has content that the view of messages leaves out.
        is_whole: whether the body holds all of the prompt.
    """

    __slots__ = (
        "added_bytes", "features", "image_bytes", "images", "is_ascii", "is_view_partial", "is_whole", "media_bytes",
        "tokens",
    )  # fmt: skip

    def __init__(self, *, is_whole: bool) -> None:
        self.features: set[Feature] = set()
        self.images = self.image_bytes = self.media_bytes = self.added_bytes = self.tokens = 0
        self.is_ascii = True
        self.is_view_partial = False
        self.is_whole = is_whole

    def see_message(self, message: Mapping[str, Any], content: Any) -> None:
        """See a message whose content is no string."""
        if content is not None:
            self.is_ascii = False
            for part in content:
                if part.get("type") not in _TEXTS:
                    self.see_part(part)
            return
        role = message["role"]
        self.is_view_partial = self.is_view_partial or role in ("tool", "image_generation_call")
        if role == "item_reference":
            self.is_whole = False
        elif message.get("audio"):  # an answer that was spoken before, by its id
            self.features.add("audio")
            self.is_whole = False

    def see_items(self, items: Any) -> None:
        """See items of the Responses API whose pictures are no parts of a message."""
        for item in items if isinstance(items, list) else ():
            output = item.get("output")
            if isinstance(output, dict):
                self.see_part({**output, "type": "computer_screenshot"})
            elif item.get("type") == "image_generation_call":
                self.see_part(item)

    def see_part(self, part: Mapping[str, Any]) -> None:
        """See one part of a message's content."""
        medium = medium_of(part)
        if medium is not None:
            self._add(*medium)
        elif part.get("type") == "search_result":
            self.is_whole = False

    def _add(self, feature: Feature, held: str) -> None:
        size = len(held)
        self.features.add(feature)
        self.media_bytes += size
        if feature == "vision":
            self.images += 1
            self.image_bytes += size
            self.tokens += IMAGE_TOKENS
        elif feature == "audio":
            self.tokens += size // AUDIO_BYTES_A_TOKEN
        else:
            self.tokens += FILE_TOKENS
            self.is_whole = False

    def see_members(self, document: Mapping[str, Any]) -> None:
        """See what a request says beside its messages."""
        tools = [tool for name in _TOOLS if isinstance(listed := document.get(name), list) for tool in listed]
        if tools:
            self.features.add("tools")
            self.added_bytes = TOOLS_TOKENS
        modalities = document.get("modalities")
        if isinstance(modalities, list) and "audio" in modalities:
            self.features.add("audio")
        if _wants_schema(document):
            self.features.add("structured_output")
        self.is_whole = self.is_whole and _OUTSIDE.isdisjoint(document) and all(map(_is_plain, tools))


def medium_of(part: Mapping[str, Any]) -> tuple[Feature, str] | None:
    """Return what reading a part of a message takes, and its address, id or bytes in base64; None for text."""
    known = _MEDIA.get(part.get("type", ""))
    if known is None:
        return None
    held = part.get(known[1])
    if isinstance(held, dict):
        if held.get("type") == "text":  # a document that is written out
            return None
        held = held.get("url") or held.get("data") or held.get("file_data")
    return known[0], held if isinstance(held, str) else ""


def _wants_schema(document: Mapping[str, Any]) -> bool:
    for path in _FORMATS:
        found: Any = document
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict) and found.get("type") == "json_schema":
            return True
    return False


def _is_plain(tool: Any) -> bool:
    """Tell whether a tool is run by the caller; others read what the body does not hold."""
    kind = tool.get("type", "custom") if isinstance(tool, dict) else "custom"
    return isinstance(kind, str) and kind in _PLAIN_TOOLS


def _text_tokens(body: bytes, media_bytes: int, *, is_ascii: bool) -> int:
    r"""Estimate the tokens of a body's text.

    Four bytes a token, as in English and in code. Letters beyond ASCII are taken at nine bytes for four tokens, which
    is right for Chinese and half as much again as Cyrillic or Arabic take; written as `\uXXXX` at one token each.
    """
    size = len(body) - media_bytes
    sample = body if len(body) <= 2 * _SAMPLE else body[:_SAMPLE] + body[-_SAMPLE:]
    if not sample.isascii():
        dense = size * len(sample.translate(None, _ASCII)) // len(sample)
        return (size - dense) // 4 + dense * 4 // 9
    if not is_ascii:
        dense = size * 6 * sample.count(b"\\u") // len(sample)
        return max(0, size - dense) // 4 + dense // 6
    return size // 4


def _longest(given: Any, tokens: int) -> tuple[int, int]:
    """Return the tokens of the longest of several prompts, and how many there are.

    Args:
        given: a text, several, a list of token ids or several.
        tokens: an estimate of all of them, were they texts.
    """
    if not isinstance(given, list) or not given:
        return tokens, 1
    if isinstance(given[0], int):
        return len(given), 1
    lengths = [len(prompt) for prompt in given if isinstance(prompt, (str, list))]
    longest = max(lengths, default=0)
    if isinstance(given[0], list):
        return longest, len(given)
    return tokens * longest // max(1, sum(lengths)), len(given)


def _choices(document: Mapping[str, Any], shape: str, inputs: int) -> int:
    if shape == "chat":
        return document.get("n") or 1
    if shape == "completions":
        return inputs * max(document.get("n") or 1, document.get("best_of") or 1)
    return 1
