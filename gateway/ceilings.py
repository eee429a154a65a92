"""The most a request may consume at each tier that may answer: what limits and budgets hold for it.

Every number is a true bound, never a mean:

- A token of text is at least one byte of it (byte-level encodings have no shorter ones), and JSON writes a text with at
  least as many bytes. The punctuation around a message (30 bytes) is more than the few tokens that mark it.
- Images and audio cost what they are declared to cost; their own bytes are left out.
- A prompt that the body does not hold (files, stored conversations, tools that run at the provider) is bounded by the
  model's context window.
- An answer is as long as the request, the policy or the model allows, for each of the choices asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.domain.errors import InvalidRequestError, NotPermittedError
from gateway.domain.money import PER_MILLION, ceil_div
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TierName
from gateway.pricing import PriceTable, Rate
from gateway.upstreams.base import DEFAULT_OUTPUT_TOKENS
from gateway.upstreams.settings import Model
from policies.effective import Policy
from policies.meters import Demand, Meter
from router.base import Option

LARGEST_CONTEXT: Final = 2**21
"""Tokens that no model reads at once: twice the largest context window on sale (2026-11)."""

TOOLS_TOKENS: Final = 1024
"""What providers add to a prompt with tools, at most; Anthropic's documents name up to 530 ("Tool use", pricing)."""

LEAST_BYTES_A_TOKEN: Final = 8
"""Prompts longer than this many bytes for each token of a limit are certainly above it: ordinary text has four."""

_IMAGES: Final = frozenset({"image_url", "input_image", "image"})
_OUTSIDE: Final = frozenset({"file", "input_file", "document", "container_upload", "search_result"})
_PLAIN_TOOLS: Final = frozenset({"function", "custom"})
_FREE: Final = frozenset({"input_tokens", "count_tokens"})
_FREE_ENDPOINTS: Final = frozenset({"", "conversations", "files", "moderations", "uploads"})
"""Relayed endpoints whose requests cost nothing by themselves."""

_ONE_REQUEST: Final = Demand(1)


class Ceilings(msgspec.Struct, frozen=True):
    """What to hold for a request.

    Attributes:
        demands: the most it may consume, one for each option.
        tiers: the tier of each option.
        most_output_tokens: the limit to send it with, None to send it as it is.
    """

    demands: tuple[Demand, ...]
    tiers: tuple[TierName | None, ...]
    most_output_tokens: int | None = None


class _Prompt(msgspec.Struct, frozen=True):
    """What is known of a prompt's size.

    Attributes:
        text_bytes: everything in the body that is no medium.
        images: how many images there are.
        is_whole: whether the body holds all of it.
    """

    text_bytes: int
    images: int
    is_whole: bool


class CeilingTable:
    """Knows the bounds and prices of the configured models.

    Args:
        models: by name.
        prices: of these models.
    """

    def __init__(self, models: Mapping[str, Model], prices: PriceTable) -> None:
        self._models = models
        self._prices = prices
        self._dearest = prices.dearest()

    def of(self, request: ModelRequest, policy: Policy, meters: Sequence[Meter], options: Sequence[Option]) -> Ceilings:
        """Return what to hold for a request.

        Args:
            request: as the caller sent it.
            policy: what holds for the caller.
            meters: what counts the request.
            options: who may answer, best tier first.

        Raises:
            InvalidRequestError: the request names no longest answer, or one that is too long, and policy demands one.
            NotPermittedError: money is counted, and the price of a model is not known.
        """
        tiers = tuple([option.tier for option in options])
        if not policy.counts_tokens and policy.max_output_tokens is None:
            return Ceilings((_ONE_REQUEST,) * len(options), tiers)
        limit = self._limit(request, policy, meters, options)
        prompt = _measure(request)
        demands = tuple([self._demand(request, policy, meters, prompt, limit, option) for option in options])
        return Ceilings(demands, tiers, limit)

    def of_model(self, request: ModelRequest, policy: Policy, meters: Sequence[Meter], name: str) -> Demand:
        """Return what to hold for a request that goes to one model, with the limit it is sent with in its members."""
        option = Option(None, (name,))
        return self._demand(request, policy, meters, _measure(request), None, option)

    def _demand(
        self,
        request: ModelRequest,
        policy: Policy,
        meters: Sequence[Meter],
        prompt: _Prompt,
        limit: int | None,
        option: Option,
    ) -> Demand:
        most_input = most_output = most_microusd = 0
        choices = _choices(request.document)
        for name in option.candidates:
            model = self._models[name]
            prompt_tokens = _prompt_tokens(prompt, model)
            output_tokens = choices * self._output_tokens(request, model, limit)
            most_input, most_output = max(most_input, prompt_tokens), max(most_output, output_tokens)
            if policy.counts_money:
                cost = self._cost(name, policy, prompt_tokens, output_tokens)
                most_microusd = max(most_microusd, cost)
        if request.shape in _FREE:
            return _ONE_REQUEST
        most_input = _within_token_limits(most_input, prompt.text_bytes, meters)
        return Demand.measured(1, most_input, most_output, most_microusd)

    def _cost(self, name: str, policy: Policy, prompt_tokens: int, output_tokens: int) -> int:
        rate = self._prices.rate(name)
        if rate is None and policy.unpriced == "worst_case":
            rate = self._dearest
        if rate is None:
            message = f"The model '{name}' has no price, and budgets count money. 'models.{name}.price' gives it one."
            raise NotPermittedError(message, code="model_unpriced", param="model")
        return cost_ceiling(rate, prompt_tokens, output_tokens)

    def _output_tokens(self, request: ModelRequest, model: Model, limit: int | None) -> int:
        if request.shape == "embeddings":
            return 0
        known = [n for n in (limit, request.most_output_tokens, model.max_output_tokens) if n is not None]
        return min(known, default=DEFAULT_OUTPUT_TOKENS)

    def _limit(
        self, request: ModelRequest, policy: Policy, meters: Sequence[Meter], options: Sequence[Option]
    ) -> int | None:
        """Return the limit that a request must be sent with to be bounded, None where it is bounded as it is."""
        if request.shape in ("embeddings", *_FREE):
            return None
        asked, allowed = request.most_output_tokens, policy.max_output_tokens
        # A limit on generated tokens that is smaller than the answer may get would never let it pass.
        most = min([meter.cap for meter in meters if meter.unit == "output_tokens"], default=allowed)
        if allowed is not None and most is not None:
            most = min(most, allowed)
        if asked is None:
            own = [self._models[name].max_output_tokens for option in options for name in option.candidates]
            if all(cap is not None and (most is None or cap <= most) for cap in own):
                return None
            most = DEFAULT_OUTPUT_TOKENS if most is None else most
        elif most is None or asked <= most:
            return None
        if policy.unbounded_output == "refuse":
            name = request.limits[0]
            message = f"This key needs requests to name the longest answer in '{name}'"
            raise InvalidRequestError(f"{message}, at most {most} tokens.", param=name, code="output_limit_needed")
        return most


def relay_price(prices: Mapping[str, int], endpoint: str, method: str) -> int | None:
    """Return what a relayed request is charged, in micro-dollars; None where nobody has said.

    Args:
        prices: of a POST to each family of endpoints.
        endpoint: the family, empty for one that belongs to an answer.
    """
    if method != "POST" or endpoint in _FREE_ENDPOINTS:
        return 0
    return prices.get(endpoint)


def cost_ceiling(rate: Rate, prompt_tokens: int, output_tokens: int) -> int:
    """Return the most that so many tokens cost in micro-dollars: each in its direction's dearest class."""
    dearest_input = max(rate.input, rate.cache_read, rate.cache_write)
    return ceil_div(prompt_tokens * dearest_input + output_tokens * rate.output, PER_MILLION)


def _prompt_tokens(prompt: _Prompt, model: Model) -> int:
    context = model.context_tokens or LARGEST_CONTEXT
    if not prompt.is_whole:
        return context
    return min(prompt.text_bytes + prompt.images * model.image_tokens, context)


def _within_token_limits(tokens: int, text_bytes: int, meters: Sequence[Meter]) -> int:
    """Return what to hold of limits on prompt tokens.

    A bound in bytes is about four times what it turns out to be. A prompt whose bound is above a limit, and which may
    well be below it, holds all of the limit; one that cannot be below it holds its bound, and is refused.
    """
    cap = min((meter.cap for meter in meters if meter.unit == "input_tokens"), default=tokens)
    return cap if cap < tokens and text_bytes <= cap * LEAST_BYTES_A_TOKEN else tokens


def _choices(document: Mapping[str, Any]) -> int:
    return max(document.get("n") or 1, document.get("best_of") or 1)


def _measure(request: ModelRequest) -> _Prompt:
    """Look at a prompt once: what is text in it, what is a medium, and whether it is all there."""
    text_bytes = len(request.body)
    images = 0
    is_whole = request.is_whole
    for message in request.messages:
        content = message.get("content")
        if type(content) is list:
            for part in content:
                kind = part.get("type")
                if kind in _IMAGES:
                    images += 1
                    text_bytes -= _data_bytes(part)
                elif kind in _OUTSIDE:
                    is_whole = False
    tools = request.document.get("tools")
    if tools:
        text_bytes += TOOLS_TOKENS
        is_whole = is_whole and all(map(_is_plain, tools))
    return _Prompt(max(text_bytes, 0), images, is_whole)


def _data_bytes(part: Mapping[str, Any]) -> int:
    """Return the bytes of an image that stands in the body itself."""
    found = part.get("image_url") or part.get("source")
    if isinstance(found, dict):
        found = found.get("url") or found.get("data")
    return len(found) if isinstance(found, str) else 0


def _is_plain(tool: Any) -> bool:
    """Tell whether a tool is run by the caller; others read what the body does not hold."""
    kind = tool.get("type", "custom") if isinstance(tool, dict) else "custom"
    return kind in _PLAIN_TOOLS
