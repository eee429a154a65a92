from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.scope import Grounds, exact_key_of
from cache.settings import CacheSettings
from gateway.domain.chat import read_chat
from tests.support.build import caller, chat_body

SETTINGS = CacheSettings(exact=True)


def key(
    body: bytes | None = None, *, scope: Any = "team", tier: str | None = "simple", who: Any = None, **fields: Any
) -> bytes:
    request = read_chat(chat_body(**fields) if body is None else body)
    found = exact_key_of(who or caller(), request, Grounds(sharing=scope, tier=tier))
    assert found is not None
    return found


def with_member(member: bytes) -> bytes:
    return chat_body()[:-1] + b"," + member + b"}"


def test_the_same_request_has_the_same_key() -> None:
    assert key() == key()
    assert len(key()) == 32


@pytest.mark.parametrize(
    "spelling",
    [
        b'{"messages":[{"content":"Hello","role":"user"}],"model":"m"}',
        b' {"model" : "m",\n"messages":[ {"role":"user","content":"Hello"} ] } ',
        b'{"model":"m","messages":[{"role":"user","content":"\\u0048ello"}]}',
    ],
)
def test_order_and_spelling_do_not_matter(spelling: bytes) -> None:
    assert key(spelling) == key()


@pytest.mark.parametrize("name", ["metadata", "user", "safety_identifier", "store"])
def test_labels_do_not_matter(name: str) -> None:
    assert key(**{name: None}) == key()


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "hello"}, {"content": "Hello "}, {"content": None}, {"model": "n"},
        {"content": [{"type": "text", "text": "Hello"}]}, {"temperature": 0}, {"temperature": None},
        {"seed": 1}, {"max_tokens": 5}, {"n": 2},
        {"tools": []}, {"response_format": {"type": "json_object"}}, {"new_field": True}, {"stop": "x"},
    ],
)  # fmt: skip
def test_everything_else_matters(fields: dict[str, Any]) -> None:
    assert key(**fields) != key()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'"seed":1', b'"seed":2'),
        (b'"seed":1', b'"seed":true'),
        (b'"seed":null', b'"seed":0'),
        (b'"seed":18446744073709551617', b'"seed":18446744073709551618'),
        (b'"x":"1"', b'"x":1'),
        (b'"x":[1,2]', b'"x":[2,1]'),
        (b'"x":{}', b'"x":[]'),
        (b'"x":1e999', b'"x":null'),
        (b'"x":1e999', b'"x":2e999'),
        (b'"x":1e999', b'"x":-1e999'),
        (b'"x":"\\ud83d"', b'"x":"\\ud83e"'),
        (b'"x":"\\ud83d"', b'"x":"\\ufffd"'),
        (b'"x":1,"x":2', b'"x":2'),
        (b'"x":1,"x":2', b'"x":3,"x":2'),
    ],
)
def test_requests_an_upstream_may_tell_apart_share_no_key(one: bytes, other: bytes) -> None:
    keys = [
        exact_key_of(caller(), read_chat(with_member(member)), Grounds(sharing="team", tier="simple"))
        for member in (one, other)
    ]

    assert keys[0] != keys[1] or keys == [None, None]


@pytest.mark.parametrize(
    ("scope", "shared"),
    [
        ("key", {"key_id": False, "team": False, "organisation": False}),
        ("team", {"key_id": True, "team": False, "organisation": False}),
        ("org", {"key_id": True, "team": True, "organisation": False}),
    ],
)
def test_answers_are_shared_within_the_scope_only(scope: str, shared: dict[str, bool]) -> None:
    mine = {"organisation": "acme", "team": "search", "key_id": "key_1"}
    levels = ["organisation", "team", "key_id"]
    for level, expected in shared.items():
        # Whoever differs at a level differs below it too.
        theirs = mine | dict.fromkeys(levels[levels.index(level) :], "other")

        assert (key(scope=scope, who=caller(**theirs)) == key(scope=scope, who=caller(**mine))) is expected


def test_scopes_share_no_answers_with_each_other() -> None:
    who = caller(key_id="same", team="same")

    assert len({key(scope=scope, who=who) for scope in ("key", "team", "org")}) == 3


def test_tiers_share_no_answers() -> None:
    assert len({key(tier=tier) for tier in ("simple", "medium", "complex", None)}) == 4


@given(
    st.dictionaries(
        st.text(max_size=4).map(lambda name: "x" + name), st.integers() | st.text() | st.none(), max_size=5
    ),
    st.randoms(),
)
def test_the_order_of_members_never_matters(fields: dict[str, Any], random: Any) -> None:
    document = json.loads(chat_body(**fields))
    members = list(document.items())
    random.shuffle(members)

    assert key(json.dumps(dict(members)).encode()) == key(json.dumps(document).encode())
