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
from gateway.domain.money import PER_MILLION, Rate, ceil_div
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TierName
from gateway.pricing import PriceTable
from gateway.upstreams.base import DEFAULT_OUTPUT_TOKENS
from gateway.upstreams.settings import Model
from policies.effective import Policy
from policies.meters import MAX_PER_CALL, Demand, Meter
from router.base import Option

LARGEST_CONTEXT: Final = 2**21
"""Tokens that no model reads at once: twice the largest context window on sale (2026-11)."""

TOOLS_TOKENS: Final = 1024
"""What providers add to a prompt with tools, at most; Anthropic's documents name up to 530 ("Tool use", pricing)."""

LEAST_BYTES_A_TOKEN: Final = 8
"""Prompts longer than this many bytes for each token of a limit are certainly above it: ordinary text has four."""

MAX_FRAMES: Final = 4096
"""Callers and models whose bounds are remembered together; beyond it all are put together anew, 5 us each."""

_IMAGES: Final = frozenset({"image_url", "input_image", "image"})
_OUTSIDE_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "chat": frozenset({"web_search_options"}),
    "responses": frozenset({"prompt"}),
    "messages": frozenset({"mcp_servers"}),
}
"""By shape: members of a request that bring in what its body does not hold."""

_OUTSIDE: Final = frozenset({"file", "input_file", "document", "container_upload", "search_result"})
_PLAIN_TOOLS: Final = frozenset({"function", "custom"})
_FREE: Final = frozenset({"input_tokens", "count_tokens"})
_FREE_ENDPOINTS: Final = frozenset({"", "conversations", "files", "moderations", "uploads"})
"""Relayed endpoints whose requests cost nothing by themselves."""

_NONE: Final[frozenset[str]] = frozenset()
_WITHOUT_LIMIT: Final = frozenset({"compact", "embeddings"})
"""Requests that have no word for the longest answer."""

_ONE_REQUEST: Final = Demand(1)


class Ceilings(msgspec.Struct, frozen=True, gc=False):
    """What to hold for a request.

    Attributes:
        demands: the most it may consume, one for each option.
        tiers: the tier of each option.
        most_output_tokens: the limit to send it with, None to send it as it is.
    """

    demands: tuple[Demand, ...]
    tiers: tuple[TierName | None, ...]
    most_output_tokens: int | None = None


class _Prompt(msgspec.Struct, frozen=True, gc=False):
    """What is known of a prompt's size.

    Attributes:
        text_bytes: everything in the body that is no medium.
        images: how many images there are.
        inputs: how many prompts there are, each with a context window of its own.
        choices: how many answers are asked for.
        is_whole: whether the body holds all of it.
        most_counted: how many tokens of it limits hold at most.
    """

    text_bytes: int
    images: int
    inputs: int
    choices: int
    is_whole: bool
    most_counted: int


class _Bound(msgspec.Struct, frozen=True, gc=False):
    """What bounds one model: tokens, and micro-dollars per million of them; prices are None where nobody knows them."""

    name: str
    context_tokens: int
    image_tokens: int
    max_output_tokens: int | None
    input_price: int | None
    output_price: int

    def longest(self, most: int | None) -> int:
        """Return the longest answer of the model to a request that names a limit, or None."""
        own = self.max_output_tokens
        if most is None:
            return DEFAULT_OUTPUT_TOKENS if own is None else own
        return most if own is None or most < own else own


class _Frame(msgspec.Struct, frozen=True):
    """What is the same for all requests of a caller that name the same model.

    Attributes:
        made_of: what it was made of, kept so that nothing else is ever taken for it.
        tiers: of the options.
        bounds: of the models of each option.
        longest_own: the longest answer of all these models, None where one of them has no known bound.
        most_output: the longest answer that policy allows; None for no bound.
        output_cap: the smallest limit on generated tokens.
        input_cap: the smallest limit on prompt tokens.
    """

    made_of: tuple[object, ...]
    tiers: tuple[TierName | None, ...]
    bounds: tuple[tuple[_Bound, ...], ...]
    longest_own: int | None
    most_output: int | None
    output_cap: int | None
    input_cap: int | None


class CeilingTable:
    """Knows the bounds and prices of the configured models.

    Args:
        models: by name.
        prices: of these models.
    """

    def __init__(self, models: Mapping[str, Model], prices: PriceTable) -> None:
        self._bounds = {name: _bound(name, model, prices.rate(name)) for name, model in models.items()}
        self._dearest = prices.dearest()
        self._frames: dict[tuple[int, int, int], _Frame] = {}

    def of(
        self, request: ModelRequest, policy: Policy, meters: tuple[Meter, ...], options: tuple[Option, ...]
    ) -> Ceilings:
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
        frame = self._frame(policy, meters, options)
        if (not policy.counts_tokens and policy.max_output_tokens is None) or request.shape in _FREE:
            return Ceilings((_ONE_REQUEST,) * len(options), frame.tiers)
        asked = request.most_output_tokens
        prompt = _measure(request, frame.input_cap)
        limit = _limit(request, asked, policy, frame, prompt.choices)
        most = asked if limit is None else limit
        demands = tuple([self._demand(request, policy, prompt, most, bounds) for bounds in frame.bounds])
        return Ceilings(demands, frame.tiers, limit)

    def of_model(self, request: ModelRequest, policy: Policy, meters: tuple[Meter, ...], name: str) -> Demand:
        """Return what to hold for a request that goes to one model, with the limit it is sent with in its members."""
        if not policy.counts_tokens or request.shape in _FREE:
            return _ONE_REQUEST
        most = request.most_output_tokens
        prompt = _measure(request, _token_caps(meters)[0])
        return self._demand(request, policy, prompt, most, (self._bounds[name],))

    def _frame(self, policy: Policy, meters: tuple[Meter, ...], options: tuple[Option, ...]) -> _Frame:
        key = (id(policy), id(meters), id(options))
        known = self._frames.get(key)
        if known is None:
            if len(self._frames) >= MAX_FRAMES:
                self._frames.clear()
            known = self._frames[key] = self._make_frame(policy, meters, options)
        return known

    def _make_frame(self, policy: Policy, meters: tuple[Meter, ...], options: tuple[Option, ...]) -> _Frame:
        bounds = tuple(tuple(self._bounds[name] for name in option.candidates) for option in options)
        own = [bound.max_output_tokens for option in bounds for bound in option]
        known = [cap for cap in own if cap is not None]
        input_cap, output_cap = _token_caps(meters)
        return _Frame(
            (policy, meters, options),
            tuple(option.tier for option in options),
            bounds,
            max(known, default=0) if len(known) == len(own) else None,
            policy.max_output_tokens,
            output_cap,
            input_cap,
        )

    def _demand(
        self,
        request: ModelRequest,
        policy: Policy,
        prompt: _Prompt,
        most: int | None,
        bounds: tuple[_Bound, ...],
    ) -> Demand:
        """Return the largest of the demands of some models: each number by itself, as any of them may answer."""
        most_input = most_output = most_microusd = 0
        choices = prompt.choices
        generates = request.shape != "embeddings"
        for bound in bounds:
            prompt_tokens = bound.context_tokens * prompt.inputs
            if prompt.is_whole:
                prompt_tokens = min(prompt.text_bytes + prompt.images * bound.image_tokens, prompt_tokens)
            output_tokens = choices * bound.longest(most) if generates else 0
            most_input = max(most_input, prompt_tokens)
            most_output = max(most_output, output_tokens)
            if policy.counts_money:
                input_price, output_price = bound.input_price, bound.output_price
                if input_price is None:
                    input_price, output_price = self._worst_case(bound, policy)
                cost = ceil_div(prompt_tokens * input_price + output_tokens * output_price, PER_MILLION)
                most_microusd = max(most_microusd, cost)
        most_input = min(most_input, prompt.most_counted)
        return Demand(1, most_input, min(most_output, MAX_PER_CALL), min(most_microusd, MAX_PER_CALL))

    def _worst_case(self, bound: _Bound, policy: Policy) -> tuple[int, int]:
        """Return the prices to hold for a model without any."""
        if policy.unpriced != "worst_case" or self._dearest is None:
            name = bound.name
            message = f"The model '{name}' has no price, and budgets count money. 'models.{name}.price' gives it one."
            raise NotPermittedError(message, code="model_unpriced", param="model")
        return self._dearest.dearest_input, self._dearest.output


def _bound(name: str, model: Model, rate: Rate | None) -> _Bound:
    return _Bound(
        name,
        model.context_tokens or LARGEST_CONTEXT,
        model.image_tokens,
        model.max_output_tokens,
        None if rate is None else rate.dearest_input,
        0 if rate is None else rate.output,
    )


def _limit(request: ModelRequest, asked: int | None, policy: Policy, frame: _Frame, choices: int) -> int | None:
    """Return the limit that a request must be sent with to be bounded, None where it is bounded as it is."""
    if request.shape in _WITHOUT_LIMIT:
        return None
    most, own = frame.most_output, frame.longest_own
    if frame.output_cap is not None:
        # An answer that may get longer than a limit on generated tokens would never pass it.
        share = max(1, frame.output_cap // choices)
        most = share if most is None else min(most, share)
    if asked is None:
        if own is not None and (most is None or own <= most):
            return None
        most = DEFAULT_OUTPUT_TOKENS if most is None else most
    elif most is None or asked <= most:
        return None
    if policy.unbounded_output == "refuse":
        name = request.limits[0]
        message = f"This key needs requests to name the longest answer in '{name}', at most {most} tokens."
        raise InvalidRequestError(message, param=name, code="output_limit_needed")
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


def _token_caps(meters: Sequence[Meter]) -> tuple[int | None, int | None]:
    """Return the smallest limits on prompt tokens and on generated tokens, None where there is none."""
    of_input: int | None = None
    of_output: int | None = None
    for meter in meters:
        if meter.unit == "input_tokens":
            of_input = meter.cap if of_input is None else min(of_input, meter.cap)
        elif meter.unit == "output_tokens":
            of_output = meter.cap if of_output is None else min(of_output, meter.cap)
    return of_input, of_output


def _choices(request: ModelRequest, inputs: int) -> int:
    document = request.document
    if request.shape == "chat":
        return document.get("n") or 1
    if request.shape == "completions":
        return inputs * max(document.get("n") or 1, document.get("best_of") or 1)
    return 1


def _inputs(request: ModelRequest) -> int:
    """Return how many prompts there are: a list holds several, unless it is one list of token ids."""
    if request.shape not in ("embeddings", "completions"):
        return 1
    document = request.document
    given = document.get("input" if request.shape == "embeddings" else "prompt")
    return len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1


def _measure(request: ModelRequest, input_cap: int | None) -> _Prompt:
    """Look at a prompt once: what is text in it, what is a medium, and whether it is all there.

    A bound in bytes is about four times what it turns out to be. A prompt whose bound is above a limit on tokens, and
    which may well be below it, holds all of the limit; one that cannot be below it holds its bound, and is refused.
    """
    text_bytes = len(request.body)
    images = 0
    is_whole = request.is_whole and _OUTSIDE_MEMBERS.get(request.shape, _NONE).isdisjoint(request.document)
    for message in request.messages:
        content = message.get("content")
        if content is None:
            images += message.get("role") == "tool"  # a screenshot, by its address
            is_whole = is_whole and message.get("role") != "item_reference" and not message.get("audio")
        elif type(content) is list:
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
    text_bytes = max(text_bytes, 0)
    fits = input_cap is not None and text_bytes <= input_cap * LEAST_BYTES_A_TOKEN
    most_counted = input_cap if fits and input_cap is not None else MAX_PER_CALL
    inputs = _inputs(request)
    return _Prompt(text_bytes, images, inputs, _choices(request, inputs), is_whole, most_counted)


def _data_bytes(part: Mapping[str, Any]) -> int:
    """Return the bytes of an image that stands in the body itself."""
    found = part.get("image_url") or part.get("source")
    if isinstance(found, dict):
        found = found.get("url") or found.get("data")
    return len(found) if isinstance(found, str) else 0


def _is_plain(tool: Any) -> bool:
    """Tell whether a tool is run by the caller; others read what the body does not hold."""
    kind = tool.get("type", "custom") if isinstance(tool, dict) else "custom"
    return isinstance(kind, str) and kind in _PLAIN_TOOLS
