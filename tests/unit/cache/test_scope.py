from __future__ import annotations

import itertools
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.scope import Grounds, exact_key_of, last_message, narrowest, scope_of, tenant_of
from cache.settings import CacheSettings
from gateway.domain.chat import read_chat
from gateway.domain.completions import read_completions
from gateway.domain.embeddings import read_embeddings
from gateway.domain.messages import read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_responses
from tests.support.build import caller, chat_body

READERS = {"chat": read_chat, "responses": read_responses, "messages": read_messages}
GROUNDS = Grounds(sharing="team", tier="simple", policy="v1", embedder="mini@1")
SHARINGS = ["user", "key", "team", "shared:faq", "org"]
"""The narrower ones first."""

CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "How big is Graz?"},
    {"role": "assistant", "content": "Big."},
    {"role": "user", "content": "And Linz?"},
]


def chat(messages: list[dict[str, Any]] | None = None, **fields: Any) -> ModelRequest:
    return read_chat(json.dumps({"model": "m", "messages": messages or CONVERSATION, **fields}).encode())


def asked(text: Any, **turn: Any) -> ModelRequest:
    return chat([*CONVERSATION[:-1], {"role": "user", "content": text, **turn}])


def responses(**fields: Any) -> ModelRequest:
    return read_responses(json.dumps({"model": "m", "store": False, "input": "Hi", **fields}).encode())


def messages(**fields: Any) -> ModelRequest:
    document = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return read_messages(json.dumps(document).encode())


def scope(request: ModelRequest | None = None, grounds: Grounds = GROUNDS, **who: Any) -> bytes:
    found = scope_of(caller(**who), request or chat(), grounds)
    assert found is not None
    return found


def changed(**grounds: Any) -> Grounds:
    return Grounds(**{"sharing": "team", "tier": "simple", "policy": "v1", "embedder": "mini@1", **grounds})


def test_the_last_message_does_not_matter() -> None:
    assert scope(asked("And Linz?")) == scope(asked("And Wels, how large is it?"))
    assert len(scope()) == 32


@pytest.mark.parametrize(
    "spelling",
    [
        b'{"messages":[{"content":"Hi","role":"user"}],"temperature":0.5,"model":"m"}',
        b'{"model": "m", "temperature": 0.5, "messages": [{"role":"user","content":"\\u0048o"}]}',
    ],
)
def test_order_and_spelling_do_not_matter(spelling: bytes) -> None:
    assert scope(read_chat(spelling)) == scope(chat([{"role": "user", "content": "Hello"}], temperature=0.5))


@pytest.mark.parametrize(
    "other",
    [
        chat([{"role": "system", "content": "Be long."}, *CONVERSATION[1:]]),
        chat([{"role": "developer", "content": "Be short."}, *CONVERSATION[1:]]),
        chat(CONVERSATION[1:]),
        chat(CONVERSATION[3:]),
        chat([*CONVERSATION[:2], {"role": "assistant", "content": "Huge."}, CONVERSATION[3]]),
        asked("And Linz?", name="ada"),
        asked([{"type": "text", "text": "And Linz?"}]),
        chat(model="n"), chat(tools=[]), chat(tool_choice="none"), chat(response_format={"type": "json_object"}),
        chat(temperature=0.5), chat(top_p=0.5), chat(seed=1), chat(max_tokens=5), chat(max_completion_tokens=5),
        chat(stop="x"), chat(logit_bias={"5": 1}), chat(n=2), chat(presence_penalty=1), chat(frequency_penalty=1),
        chat(reasoning_effort="low"), chat(logprobs=True), chat(new_field=1),
    ],
)  # fmt: skip
def test_everything_else_of_the_request_matters(other: ModelRequest) -> None:
    assert scope(other) != scope()


@pytest.mark.parametrize("field", ["tier", "policy", "embedder", "sharing"])
def test_what_the_gateway_answers_by_matters(field: str) -> None:
    assert scope(grounds=changed(**{field: "org"})) != scope()


def test_shapes_share_no_scope() -> None:
    text = {"role": "user", "content": "Hi"}

    assert len({scope(chat([text])), scope(messages()), scope(responses()), scope(responses(input=[text]))}) == 4


@pytest.mark.parametrize("name", ["metadata", "user", "safety_identifier", "stream", "stream_options", "store"])
def test_labels_and_transport_do_not_matter(name: str) -> None:
    value: Any = {"x": "y"} if name in ("metadata", "stream_options") else name == "stream" or "x"

    assert scope(chat(**{name: value})) == scope()


@pytest.mark.parametrize("name", ["metadata", "user", "safety_identifier"])
def test_labels_that_an_answer_repeats_matter(name: str) -> None:
    other = responses(**{name: {"x": "y"} if name == "metadata" else "x"})

    assert scope(other) != scope(responses())
    assert exact_key_of(caller(), other, GROUNDS) != exact_key_of(caller(), responses(), GROUNDS)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("And Linz?", "Und Wien?", True),
        ("And Linz?", "Quelle est la capitale, déjà ?", True),
        ("And Linz?", "Где Линц?", False),
        ("And Linz?", "林茨呢", False),
        ("林茨呢", "リンツはどうですか", False),
        ("लिंज़?", "لينز؟", False),
        ("Где Линц и Wi-Fi?", "Где Вельс?", True),
        ("2 + 2", "?!…", False),
    ],
)
def test_scripts_share_no_scope(one: str, other: str, *, is_same: bool) -> None:
    assert (scope(asked(one)) == scope(asked(other))) is is_same


def test_a_multilingual_embedder_keeps_english_apart() -> None:
    grounds = changed(is_multilingual=True)
    english, german = asked("How large is the city of Linz?"), asked("Wie groß ist die Stadt Linz und wo ist sie?")

    assert scope(english, grounds) != scope(german, grounds)
    assert scope(english, grounds) == scope(asked("Where is the town?"), grounds)


@pytest.mark.parametrize(
    "request_",
    [
        chat([{"role": "assistant", "content": "x"}]),
        chat([CONVERSATION[0]]),
        chat([*CONVERSATION[:2], {"role": "tool", "tool_call_id": "1", "content": "x"}]),
        asked(""),
        asked(None),
        asked([]),
        asked([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        asked([{"type": "image_url", "image_url": {"url": "https://x"}}]),
        asked([{"type": "text", "text": ""}]),
        responses(input=[]),
        responses(input=""),
        responses(input=[{"type": "function_call_output", "call_id": "x", "output": "y"}]),
        messages(messages=[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "y"}]}]),
        read_embeddings(b'{"model":"m","input":"x"}'),
        read_completions(b'{"model":"m","prompt":"x"}'),
    ],
)
def test_what_has_no_text_of_a_user_last_has_no_scope(request_: ModelRequest) -> None:
    assert last_message(request_) is None
    assert scope_of(caller(), request_, GROUNDS) is None


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (chat(), "And Linz?"),
        (asked([{"type": "text", "text": "And Linz?", "cache_control": {"type": "ephemeral"}}]), "And Linz?"),
        (responses(), "Hi"),
        (responses(input=[{"role": "user", "content": "Hi"}]), "Hi"),
        (
            responses(input=[{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]),
            "Hi",
        ),
        (messages(), "Hi"),
        (messages(messages=[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]), "Hi"),
    ],
)
def test_the_last_message_is_the_text_of_the_last_turn(request_: ModelRequest, text: str) -> None:
    assert last_message(request_) == text
    assert scope_of(caller(), request_, GROUNDS) is not None


def test_what_may_not_be_shared_has_neither_key_nor_scope() -> None:
    stored = read_responses(b'{"model":"m","input":"Hi"}')

    assert exact_key_of(caller(), stored, GROUNDS) is None
    assert scope_of(caller(), stored, GROUNDS) is None


def test_what_two_decoders_read_differently_has_neither_key_nor_scope() -> None:
    huge = read_chat(chat_body()[:-1] + b',"x":1e999}')

    assert exact_key_of(caller(), huge, GROUNDS) is None
    assert scope_of(caller(), huge, GROUNDS) is None


def test_a_key_is_no_scope() -> None:
    assert exact_key_of(caller(), chat(), GROUNDS) != scope()


@pytest.mark.parametrize("field", ["tier", "policy", "sharing"])
def test_a_key_depends_on_what_the_gateway_answers_by(field: str) -> None:
    other = changed(**{field: "org"})

    assert exact_key_of(caller(), chat(), other) != exact_key_of(caller(), chat(), GROUNDS)


def test_a_key_knows_no_embedder() -> None:
    assert exact_key_of(caller(), chat(), changed(embedder="x")) == exact_key_of(caller(), chat(), GROUNDS)


def test_a_stream_has_the_key_of_its_plain_form() -> None:
    streamed = chat(stream=True, stream_options={"include_usage": True})

    assert exact_key_of(caller(), streamed, GROUNDS) == exact_key_of(caller(), chat(), GROUNDS)


@pytest.mark.parametrize("at", range(len(SHARINGS)))
def test_the_narrower_sharing_wins(at: int) -> None:
    for other in SHARINGS[at:]:
        assert narrowest(SHARINGS[at], other) == SHARINGS[at]
        assert narrowest(other, SHARINGS[at]) == SHARINGS[at]


def test_two_pools_share_what_a_team_does() -> None:
    assert narrowest("shared:a", "shared:b") == "team"


def test_tenants_are_told_apart() -> None:
    people = [
        {"organisation": organisation, "team": team, "key_id": key}
        for organisation, team, key in itertools.product(("a", "b"), repeat=3)
    ]
    counts = [
        len({tenant_of(caller(**person), sharing, user) for person in people for user in ("u", "v")})
        for sharing in SHARINGS
    ]

    assert counts == [8, 4, 4, 2, 2]


def test_sharings_have_no_tenant_in_common() -> None:
    same = caller(organisation="x", team="x", key_id="x")

    assert len({tenant_of(same, sharing, "x") for sharing in [*SHARINGS, "shared:x"]}) == 6


@given(st.lists(st.text(min_size=1, max_size=3), min_size=2, max_size=2, unique=True))
def test_texts_of_one_script_share_a_scope_and_no_key(texts: list[str]) -> None:
    one, other = (asked(text) for text in texts)

    assert exact_key_of(caller(), one, GROUNDS) != exact_key_of(caller(), other, GROUNDS)
    if all(text.isascii() for text in texts):
        assert scope(one) == scope(other)


def test_no_two_random_requests_of_different_scopes_meet() -> None:
    chance = random.Random(6)  # noqa: S311  a test wants the same numbers again
    known: dict[bytes, str] = {}
    for _ in range(5000):
        parts = {
            "temperature": chance.choice([0, 0.5, 1]), "seed": chance.randrange(3), "model": chance.choice("mn"),
            "tools": chance.choice([[], [{"type": "function", "function": {"name": "f"}}]]),
        }  # fmt: skip
        turns = [{"role": "user", "content": chance.choice("ab")} for _ in range(chance.randrange(1, 4))]
        who = {"team": chance.choice("xy"), "key_id": chance.choice("kl")}
        grounds = changed(
            sharing=chance.choice(SHARINGS), tier=chance.choice(["simple", None]), user=chance.choice("uv")
        )
        told = json.dumps([parts, turns[:-1], tenant_of(caller(**who), grounds.sharing, grounds.user), grounds.tier])

        assert known.setdefault(scope(chat(turns, **parts), grounds, **who), told) == told


@pytest.mark.parametrize("sharing", ["teams", "shared:", "shared:a b", "shared:a\n", "", "org "])
def test_the_settings_know_no_other_sharing(sharing: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"scope": sharing}, CacheSettings)
    assert msgspec.convert({"scope": "shared:faq-1"}, CacheSettings).scope == "shared:faq-1"
