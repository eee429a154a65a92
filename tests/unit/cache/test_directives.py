from __future__ import annotations

import math

import pytest

from cache.directives import NO_DIRECTIVES, Directives, directives_of, lifetime_s, read_directives
from cache.settings import CacheSettings
from gateway.domain.errors import InvalidRequestError


def test_a_request_without_the_header_says_nothing() -> None:
    assert directives_of({b"cache-control": b"no-cache"}) is NO_DIRECTIVES
    assert Directives(max_age_s=math.inf) == NO_DIRECTIVES


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"no-cache", Directives(no_cache=True)),
        (b"no-store", Directives(no_store=True)),
        (b"max-age=60", Directives(max_age_s=60)),
        (b"max-age=0", Directives(max_age_s=0)),
        (b"only-if-cached", Directives(only_if_cached=True)),
        (b" NO-Cache ,no-store,", Directives(no_cache=True, no_store=True)),
        (b"max-age = 5, only-if-cached, no-store", Directives(max_age_s=5, only_if_cached=True, no_store=True)),
        (b"", NO_DIRECTIVES),
        (b" , ", NO_DIRECTIVES),
    ],
)
def test_what_is_sent_is_read(sent: bytes, read: Directives) -> None:
    assert directives_of({b"x-tierway-cache-control": sent}) == read


@pytest.mark.parametrize(
    "sent",
    [
        b"nocache", b"no-cache=1", b"max-age", b"max-age=", b"max-age=-1", b"max-age=1.5", b"max-age=1e3",
        b"max-age=9999999999", b"max-age=\xb2", b"max-age=1, max-age=2", b"no-store, no-store", b"private",
        b"no-cache, only-if-cached", b"no-cache; no-store", b"=5", b"x" * 300, b"\xff", b"no-cache\r\nx: y",
    ],
)  # fmt: skip
def test_rubbish_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_directives(sent)

    assert (caught.value.status, caught.value.code) == (400, "invalid_cache_control")
    assert "x-tierway-cache-control" in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("asked", "policy", "both"),
    [
        (NO_DIRECTIVES, Directives(no_store=True), Directives(no_store=True)),
        (Directives(no_cache=True), NO_DIRECTIVES, Directives(no_cache=True)),
        (Directives(max_age_s=60), Directives(max_age_s=30), Directives(max_age_s=30)),
        (Directives(max_age_s=10), Directives(max_age_s=30), Directives(max_age_s=10)),
        (Directives(no_cache=True), Directives(no_store=True), Directives(no_cache=True, no_store=True)),
        (Directives(only_if_cached=True), Directives(max_age_s=9), Directives(only_if_cached=True, max_age_s=9)),
    ],
)
def test_a_request_narrows_what_its_policy_allows(asked: Directives, policy: Directives, both: Directives) -> None:
    assert asked.with_those_of(policy) == both


def test_a_request_that_leaves_nothing_of_what_its_policy_allows_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        Directives(only_if_cached=True).with_those_of(Directives(no_cache=True))


def life(key: bytes, model: str = "m", **settings: object) -> float:
    return lifetime_s(CacheSettings(**{"ttl_s": 100.0, **settings}), key, model, "chat")  # type: ignore[arg-type]


def test_a_life_is_shorter_by_a_share_that_the_key_picks() -> None:
    lives = [life(bytes(24) + number.to_bytes(8, "big"), ttl_jitter=0.2) for number in (0, 2**63, 2**64 - 1)]

    assert lives == pytest.approx([100, 90, 80])


def test_the_same_key_lives_equally_long() -> None:
    assert life(b"k" * 32, ttl_jitter=0.5) == life(b"k" * 32, ttl_jitter=0.5)
    assert life(b"k" * 32, ttl_jitter=0) == 100


@pytest.mark.parametrize(("model", "lives_s"), [("faq", 5), ("m", 7)])
def test_a_models_life_comes_before_an_operations(model: str, lives_s: float) -> None:
    assert life(b"k" * 32, model, ttl_of={"faq": 5.0, "chat": 7.0}, ttl_jitter=0) == lives_s


def test_others_live_as_long_as_all() -> None:
    assert life(b"k" * 32, ttl_of={"faq": 5.0, "responses": 7.0}, ttl_jitter=0) == 100
