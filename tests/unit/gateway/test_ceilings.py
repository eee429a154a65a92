from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ceilings import LARGEST_CONTEXT, TOOLS_TOKENS, Ceilings, CeilingTable, relay_price
from gateway.domain.chat import read_chat
from gateway.domain.completions import read_completions
from gateway.domain.embeddings import read_embeddings
from gateway.domain.errors import InvalidRequestError, NotPermittedError
from gateway.domain.messages import read_count_tokens, read_messages
from gateway.domain.money import Price
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_input_tokens, read_responses
from gateway.domain.usage import Usage
from gateway.pricing import PriceTable
from gateway.upstreams.base import DEFAULT_OUTPUT_TOKENS
from gateway.upstreams.settings import Model
from policies.effective import Policy, PolicyBook
from policies.meters import MAX_PER_CALL, Demand
from policies.settings import Budget, Limits, OrganisationSettings
from router.base import Option
from tests.support.build import chat_request

PLAIN = Price(input=1.0, output=2.0)
UNEVEN = Price(input=1.0, output=2.0, cache_read=0.1, cache_write=1.25)
MODELS = {
    "plain": Model(upstream="u", price=PLAIN),
    "uneven": Model(upstream="u", price=UNEVEN),
    "narrow": Model(upstream="u", context_tokens=1000, max_output_tokens=50, image_tokens=85, price=PLAIN),
    "dear": Model(upstream="u", price=Price(input=10.0, output=20.0)),
    "unknown": Model(upstream="u", model="nobody-sells-this"),
}
MONEY: dict[str, Any] = {"budgets": (Budget(usd=1000.0),)}


def table(models: Sequence[str] = tuple(MODELS)) -> CeilingTable:
    prices = {name: MODELS[name].price or "nobody-sells-this" for name in models}
    return CeilingTable({name: MODELS[name] for name in models}, PriceTable(prices))


def policy(**organisation: Any) -> Policy:
    return PolicyBook(OrganisationSettings(**organisation)).of_key("t", "k")


def ceilings(
    request: ModelRequest, *candidates: str, made: CeilingTable | None = None, **organisation: Any
) -> Ceilings:
    """Return what to hold for a request to one of some models, where money is counted unless told otherwise."""
    found = policy(**(organisation or MONEY))
    option = Option("simple", candidates or ("plain",))
    return (made or table()).of(request, found, found.meters, (option,))


def held(request: ModelRequest, *candidates: str, **organisation: Any) -> Demand:
    (demand,) = ceilings(request, *candidates, **organisation).demands
    return demand


def read(reader: Callable[[bytes], ModelRequest], **document: Any) -> ModelRequest:
    return reader(json.dumps({"model": "plain", **document}).encode())


def responses(said: Any = "Hi", **fields: Any) -> ModelRequest:
    return read(read_responses, input=said, **fields)


def messages(content: Any = "Hi", **fields: Any) -> ModelRequest:
    return read(read_messages, messages=[{"role": "user", "content": content}], **{"max_tokens": 10, **fields})


def size(request: ModelRequest) -> int:
    return len(request.body)


# ---------------------------------------------------------------- what is held


def test_a_prompt_is_as_many_tokens_as_it_has_bytes_at_most() -> None:
    request = chat_request("Zo\u00eb" * 100, max_tokens=7)

    assert held(request) == Demand(1, size(request), 7, size(request) + 14)


def test_the_dearest_class_of_prompt_tokens_is_held() -> None:
    request = chat_request(max_tokens=0)

    assert held(request, "uneven").microusd == -(-size(request) * 125 // 100)


def test_each_number_is_that_of_the_candidate_with_the_most() -> None:
    request = chat_request("x" * 2000, max_tokens=70)

    assert held(request, "narrow", "dear") == Demand(1, size(request), 70, 10 * size(request) + 20 * 70)
    assert held(request, "dear", "narrow") == held(request, "narrow", "dear")


def test_every_tier_has_a_bound_of_its_own() -> None:
    request = chat_request(max_tokens=10)
    found = policy(**MONEY)
    options = (Option("complex", ("dear",)), Option("simple", ("plain",)))

    made = table().of(request, found, found.meters, options)

    assert made.tiers == ("complex", "simple")
    assert [demand.microusd for demand in made.demands] == [10 * size(request) + 200, size(request) + 20]


def test_a_prompt_is_no_longer_than_the_context() -> None:
    assert held(chat_request("x" * 5000, max_tokens=1), "narrow").input_tokens == 1000


def test_where_nothing_but_requests_is_counted_a_request_is_all_that_is_held() -> None:
    made = ceilings(chat_request(), "unknown", limits=Limits(requests_per_minute=1))

    assert made == Ceilings((Demand(1),), ("simple",))


@pytest.mark.parametrize(
    "request_",
    [
        read(read_count_tokens, messages=[{"role": "user", "content": "Hi"}]),
        read(read_input_tokens, input="Hi"),
    ],
)
def test_counting_tokens_holds_a_request_only(request_: ModelRequest) -> None:
    assert ceilings(request_, "unknown", max_output_tokens=1, **MONEY) == Ceilings((Demand(1),), ("simple",))
    assert table().of_model(request_, policy(**MONEY), policy(**MONEY).meters, "unknown") == Demand(1)


def test_more_than_can_be_counted_is_held_as_what_can() -> None:
    request = chat_request(max_tokens=10**30, n=10**30)

    demand = held(request)

    assert (demand.output_tokens, demand.microusd) == (MAX_PER_CALL, MAX_PER_CALL)


# ---------------------------------------------------------------- prompts


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}, 85),
        ({"type": "image_url", "image_url": {"url": "https://images.example/1"}}, 85),
        ({"type": "text", "text": "A" * 100}, 100),
    ],
)
def test_an_image_is_held_as_what_it_is_declared_to_be(part: dict[str, Any], tokens: int) -> None:
    rest = size(chat_request([{"type": part["type"], "image_url": {"url": ""}}], max_tokens=1))

    demand = held(chat_request([part], max_tokens=1), "narrow")

    assert tokens <= demand.input_tokens <= tokens + rest


@pytest.mark.parametrize(
    "request_",
    [
        responses([{"role": "user", "content": [{"type": "input_image", "image_url": "data:," + "A" * 9000}]}]),
        messages([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 9000}}]),
        messages(
            [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "image", "source": {"data": "A" * 9000}}],
                }
            ]
        ),
    ],
)
def test_images_are_found_in_every_shape(request_: ModelRequest) -> None:
    assert 85 <= held(request_, "narrow").input_tokens < 500


def test_a_screenshot_is_an_image() -> None:
    shown = {"type": "computer_screenshot", "image_url": "https://images.example/1"}
    request = responses([{"type": "computer_call_output", "call_id": "c", "output": shown}], max_output_tokens=1)

    assert held(request).input_tokens == size(request) + MODELS["plain"].image_tokens


def test_an_image_of_odd_form_is_no_fault() -> None:
    request = chat_request([{"type": "image_url", "image_url": {"url": 7}}, {"type": "image_url"}])

    assert held(request, "narrow").input_tokens == size(request) + 2 * 85


@pytest.mark.parametrize(
    "request_",
    [
        chat_request([{"type": "file", "file": {"file_id": "f"}}]),
        chat_request(web_search_options={}),
        read(read_chat, messages=[{"role": "assistant", "content": None, "audio": {"id": "a"}}]),
        responses(previous_response_id="resp_1"),
        responses(conversation="conv_1"),
        responses(prompt={"id": "pmpt_1"}),
        responses([{"type": "item_reference", "id": "msg_1"}]),
        responses([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]),
        responses(tools=[{"type": "file_search", "vector_store_ids": ["v"]}]),
        messages([{"type": "document", "source": {"type": "file", "file_id": "f"}}]),
        messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        messages(mcp_servers=[{"type": "url", "url": "https://mcp.example", "name": "m"}]),
    ],
)
def test_a_prompt_that_the_body_does_not_hold_is_as_long_as_the_context(request_: ModelRequest) -> None:
    assert held(request_, "plain").input_tokens == LARGEST_CONTEXT
    assert held(request_, "narrow").input_tokens == 1000


@pytest.mark.parametrize(
    "request_",
    [
        chat_request(tools=[{"type": "function", "function": {"name": "f"}}]),
        responses(tools=[{"type": "custom", "name": "f"}]),
        messages(tools=[{"name": "f", "input_schema": {}}]),
    ],
)
def test_tools_of_the_caller_add_what_providers_say_about_them(request_: ModelRequest) -> None:
    assert held(request_).input_tokens == size(request_) + TOOLS_TOKENS


@pytest.mark.parametrize("tool", [{"type": ["function"]}, {"type": {}}, {"type": None}, {"type": 7}])
def test_a_tool_of_unheard_of_kind_is_one_that_runs_elsewhere(tool: Any) -> None:
    assert held(chat_request(tools=[tool])).input_tokens == LARGEST_CONTEXT


@pytest.mark.parametrize("tool", [None, "f", ["f"]])
def test_what_is_no_tool_is_no_fault(tool: Any) -> None:
    assert held(chat_request(tools=[tool])).input_tokens < LARGEST_CONTEXT


def test_each_of_several_prompts_has_a_context_of_its_own() -> None:
    several = read(read_embeddings, input=["x" * 2000] * 3)

    assert held(several, "narrow").input_tokens == 3000
    assert held(read(read_embeddings, input="x" * 9000), "narrow").input_tokens == 1000
    assert held(read(read_embeddings, input=[7] * 9000), "narrow").input_tokens == 1000
    assert held(read(read_completions, prompt=["x" * 2000] * 3), "narrow").input_tokens == 3000


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (chat_request(max_tokens=7), 7),
        (chat_request(max_completion_tokens=7), 7),
        (chat_request(max_completion_tokens=7, max_tokens=9), 9),
        (chat_request(max_tokens=7, n=3), 21),
        (chat_request(max_tokens=7, n=None), 7),
        (chat_request(max_tokens=7, best_of=["odd"]), 7),
        (responses(max_output_tokens=7), 7),
        (responses(max_output_tokens=7, n="odd"), 7),
        (messages(max_tokens=7), 7),
        (messages(max_tokens=7, best_of={}), 7),
        (read(read_completions, prompt="x", max_tokens=7, n=2, best_of=3), 21),
        (read(read_completions, prompt=["x", "y"], max_tokens=7, n=2), 28),
        (read(read_completions, prompt=[[1, 2], [3]], max_tokens=7), 14),
        (read(read_completions, prompt=[1, 2, 3], max_tokens=7), 7),
        (read(read_completions, prompt=[], max_tokens=7), 7),
        (read(read_embeddings, input="x"), 0),
    ],
)
def test_an_answer_is_as_long_as_asked_for_times_the_choices(request_: ModelRequest, tokens: int) -> None:
    assert held(request_).output_tokens == tokens


def test_a_models_own_longest_answer_holds_where_it_is_shorter() -> None:
    assert held(chat_request(max_tokens=70), "narrow").output_tokens == 50
    assert ceilings(chat_request(), "narrow").most_output_tokens is None
    assert held(chat_request(), "narrow").output_tokens == 50


def test_a_request_without_a_bound_is_sent_with_one() -> None:
    made = ceilings(chat_request())

    assert made.most_output_tokens == DEFAULT_OUTPUT_TOKENS
    assert made.demands[0].output_tokens == DEFAULT_OUTPUT_TOKENS


@pytest.mark.parametrize(
    ("asked", "limit"),
    [({}, 20), ({"max_tokens": 21}, 20), ({"max_tokens": 20}, None), ({"max_tokens": 0}, None)],
)
def test_policy_bounds_an_answer(asked: dict[str, Any], limit: int | None) -> None:
    made = ceilings(chat_request(**asked), max_output_tokens=20, **MONEY)

    assert made.most_output_tokens == limit
    assert made.demands[0].output_tokens == (asked["max_tokens"] if limit is None else limit)


def test_policy_bounds_an_answer_where_nothing_is_counted() -> None:
    assert ceilings(chat_request(), max_output_tokens=20).most_output_tokens == 20


@pytest.mark.parametrize("cap", [49, 50])
def test_a_model_that_may_say_more_than_policy_allows_is_sent_a_bound(cap: int) -> None:
    made = ceilings(chat_request(), "narrow", max_output_tokens=cap)

    assert made.most_output_tokens == (None if cap == 50 else 49)


def test_one_candidate_without_a_bound_is_enough_to_send_one() -> None:
    assert ceilings(chat_request(), "narrow", "plain").most_output_tokens == DEFAULT_OUTPUT_TOKENS


def test_an_answer_is_no_longer_than_the_smallest_limit_on_generated_tokens() -> None:
    limits = Limits(output_tokens_per_minute=300, output_tokens_per_day=200)

    assert ceilings(chat_request(), limits=limits).most_output_tokens == 200
    assert ceilings(chat_request(), limits=limits, max_output_tokens=100).most_output_tokens == 100
    assert ceilings(chat_request(max_tokens=500), limits=limits, max_output_tokens=400).most_output_tokens == 200


def test_embeddings_are_sent_as_they_are() -> None:
    assert ceilings(read(read_embeddings, input="x"), max_output_tokens=1, **MONEY).most_output_tokens is None


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (chat_request(), "max_completion_tokens"),
        (chat_request(max_tokens=21), "max_completion_tokens"),
        (responses(), "max_output_tokens"),
        (messages(max_tokens=21), "max_tokens"),
        (read(read_completions, prompt="x"), "max_tokens"),
    ],
)
def test_a_request_without_a_bound_can_be_refused(request_: ModelRequest, name: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"'{name}', at most 20 tokens") as caught:
        ceilings(request_, unbounded_output="refuse", max_output_tokens=20)

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "output_limit_needed", name)


def test_a_bounded_request_is_not_refused() -> None:
    made = ceilings(chat_request(max_tokens=20), unbounded_output="refuse", max_output_tokens=20, **MONEY)

    assert made.most_output_tokens is None


# ---------------------------------------------------------------- limits on prompt tokens


def test_a_prompt_whose_bound_is_above_a_limit_holds_all_of_it() -> None:
    request = chat_request("x" * 500, max_tokens=1)
    limits = Limits(input_tokens_per_minute=size(request) // 8 + 1, input_tokens_per_day=10_000)

    assert held(request, limits=limits).input_tokens == size(request) // 8 + 1


def test_a_prompt_that_is_certainly_above_a_limit_holds_its_bound() -> None:
    request = chat_request("x" * 500, max_tokens=1)

    assert held(request, limits=Limits(input_tokens_per_minute=size(request) // 8 - 1)).input_tokens == size(request)


def test_a_prompt_below_a_limit_holds_its_bound() -> None:
    request = chat_request(max_tokens=1)

    assert held(request, limits=Limits(input_tokens_per_minute=10**6)).input_tokens == size(request)


def test_a_limit_on_tokens_makes_no_prompt_cheaper() -> None:
    request = chat_request("x" * 500, max_tokens=0)

    demand = held(request, limits=Limits(input_tokens_per_minute=100), **MONEY)

    assert (demand.input_tokens, demand.microusd) == (100, size(request))


# ---------------------------------------------------------------- prices


def test_a_model_without_a_price_is_refused_where_money_is_counted() -> None:
    with pytest.raises(NotPermittedError, match=r"models\.unknown\.price") as caught:
        held(chat_request(), "plain", "unknown")

    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "model_unpriced", "model")
    assert caught.value.should_retry is False


def test_a_model_without_a_price_may_pass_for_the_dearest() -> None:
    request = chat_request(max_tokens=10)

    demand = held(request, "unknown", unpriced="worst_case", **MONEY)

    assert demand.microusd == 10 * size(request) + 20 * 10


def test_without_any_price_there_is_no_dearest() -> None:
    with pytest.raises(NotPermittedError):
        ceilings(chat_request(), "unknown", made=table(["unknown"]), unpriced="worst_case", **MONEY)


def test_a_model_without_a_price_is_served_where_only_tokens_are_counted() -> None:
    demand = held(chat_request(max_tokens=3), "unknown", limits=Limits(output_tokens_per_minute=100))

    assert (demand.output_tokens, demand.microusd) == (3, 0)


@pytest.mark.parametrize(
    ("endpoint", "method", "price"),
    [
        ("images", "POST", 170_000),
        ("images", "GET", 0),
        ("images", "DELETE", 0),
        ("audio", "POST", None),
        ("files", "POST", 0),
        ("", "POST", 0),
    ],
)
def test_what_is_relayed_has_a_price_for_each_post(endpoint: str, method: str, price: int | None) -> None:
    assert relay_price({"images": 170_000}, endpoint, method) == price


# ---------------------------------------------------------------- further hops


@pytest.mark.parametrize("asked", [{}, {"max_tokens": 21}, {"max_tokens": 500, "max_completion_tokens": 10}])
def test_a_further_hop_of_the_request_as_sent_is_within_what_was_held(asked: dict[str, Any]) -> None:
    found = policy(max_output_tokens=20, **MONEY)
    request = chat_request(**asked)
    made = table().of(request, found, found.meters, (Option("simple", ("plain", "dear")),))
    assert made.most_output_tokens == 20

    hop = table().of_model(request.limited(20), found, found.meters, "dear")

    assert hop.output_tokens <= made.demands[0].output_tokens
    # The limit itself may stand in the body now; whoever is asked does not read it.
    assert hop.input_tokens <= made.demands[0].input_tokens + len('"max_completion_tokens":20,')


def test_a_further_hop_is_held_at_the_price_of_the_model_that_is_asked() -> None:
    found = policy(**MONEY)
    request = chat_request(max_tokens=10)

    assert table().of_model(request, found, found.meters, "dear").microusd == 10 * size(request) + 200
    with pytest.raises(NotPermittedError):
        table().of_model(request, found, found.meters, "unknown")


def test_a_further_hop_counts_a_request_only_where_nothing_else_is_counted() -> None:
    found = policy(limits=Limits(requests_per_minute=1))

    assert table().of_model(chat_request(), found, found.meters, "unknown") == Demand(1)


# ---------------------------------------------------------------- the bound is one

parts_of_price = st.floats(0, 200)
prices = st.builds(
    Price,
    input=parts_of_price,
    output=parts_of_price,
    cache_read=st.none() | parts_of_price,
    cache_write=st.none() | parts_of_price,
)
shares = st.lists(st.integers(0, 100), min_size=4, max_size=4)


def split(total: int, weights: list[int]) -> list[int]:
    """Divide a total into parts, the last of which takes what is left."""
    whole = sum(weights) or 1
    parts = [total * weight // whole for weight in weights[:-1]]
    return [*parts, total - sum(parts)]


@given(
    price=prices,
    text=st.text(max_size=200),
    most=st.integers(0, 10**6),
    choices=st.integers(1, 4),
    used=st.tuples(st.integers(0, 100), st.integers(0, 100)),
    weights=st.tuples(shares, shares),
)
def test_no_usage_within_the_bounds_costs_more_than_was_held(
    price: Price,
    text: str,
    most: int,
    choices: int,
    used: tuple[int, int],
    weights: tuple[list[int], list[int]],
) -> None:
    request = chat_request(text.encode(errors="replace").decode(), model="m", max_tokens=most, n=choices)
    rates = PriceTable({"m": price})
    found = policy(**MONEY)
    made = CeilingTable({"m": Model(upstream="u")}, rates)
    (demand,) = made.of(request, found, found.meters, (Option(None, ("m",)),)).demands
    sent = split(size(request) * used[0] // 100, weights[0])
    got = split(most * choices * used[1] // 100, weights[1][:3])

    usage = Usage(
        input_tokens=sent[0], cached_tokens=sent[1], cache_write_tokens=sent[2], input_audio_tokens=sent[3],
        output_tokens=got[0], reasoning_tokens=got[1], output_audio_tokens=got[2],
    )  # fmt: skip

    assert usage.prompt_tokens <= demand.input_tokens
    assert usage.completion_tokens <= demand.output_tokens
    cost = rates.cost("m", usage)
    assert cost is not None
    assert cost <= demand.microusd


@given(
    most=st.none() | st.integers(0, 200), allowed=st.none() | st.integers(1, 200), own=st.none() | st.integers(1, 200)
)
def test_what_is_sent_never_allows_more_than_was_held(most: int | None, allowed: int | None, own: int | None) -> None:
    fields: dict[str, Any] = {} if most is None else {"max_tokens": most}
    request = chat_request(model="m", **fields)
    found = policy(max_output_tokens=allowed, **MONEY)
    made = CeilingTable({"m": Model(upstream="u", max_output_tokens=own)}, PriceTable({"m": PLAIN}))

    answer = made.of(request, found, found.meters, (Option(None, ("m",)),))

    limit = answer.most_output_tokens
    sent = request if limit is None else request.limited(limit)
    longest = min(n for n in (sent.most_output_tokens, own) if n is not None)
    assert longest == answer.demands[0].output_tokens
    assert allowed is None or longest <= allowed
