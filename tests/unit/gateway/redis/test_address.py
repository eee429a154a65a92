"""Addresses of a Redis."""

from __future__ import annotations

import pytest

from gateway.domain.secret import Secret
from gateway.redis.address import RedisAddress, parse_address

PASSWORD = "p@ss/wo:rd"
QUOTED = "p%40ss%2Fwo%3Ard"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress(kind="server", hosts=(("cache", 6379),))),
        ("redis://[::1]:7000/3", RedisAddress(kind="server", hosts=(("::1", 7000),), db=3)),
        ("rediss://cache:1", RedisAddress(kind="server", hosts=(("cache", 1),), tls={})),
        (
            "rediss://cache?ssl_ca_certs=/etc/ca.pem",
            RedisAddress(kind="server", hosts=(("cache", 6379),), tls={"ssl_ca_certs": "/etc/ca.pem"}),
        ),
        ("unix:///run/redis.sock?db=2", RedisAddress(kind="unix", path="/run/redis.sock", db=2)),
        (
            "redis+sentinel://a:26380,b/main/1",
            RedisAddress(kind="sentinel", hosts=(("a", 26380), ("b", 26379)), service="main", db=1),
        ),
        ("redis+sentinel://a/main", RedisAddress(kind="sentinel", hosts=(("a", 26379),), service="main")),
        ("redis+cluster://a:7000,b", RedisAddress(kind="cluster", hosts=(("a", 7000), ("b", 6379)))),
        (
            f"redis://me:{QUOTED}@cache",
            RedisAddress(kind="server", hosts=(("cache", 6379),), user="me", password=Secret(PASSWORD)),
        ),
        (f"redis://:{QUOTED}@cache", RedisAddress(kind="server", hosts=(("cache", 6379),), password=Secret(PASSWORD))),
    ],
)
def test_every_form_of_an_address_is_read(url: str, address: RedisAddress) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://cache",
        "redis://",
        "redis://:s3cret@cache/main/0",
        "redis://:s3cret@cache:port",
        "redis://:s3cret@cache:70000",
        "redis://:s3cret@cache/-1",
        "redis://:s3cret@cache?ssl_ca_certs=/x",
        "rediss://:s3cret@cache?verify=no",
        "redis+sentinel://:s3cret@a",
        "redis+cluster://:s3cret@a/1",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a Redis") as refused:
        parse_address(url)

    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_address_is_shown_without_user_and_password() -> None:
    address = parse_address(f"rediss+sentinel://me:{QUOTED}@a:1,b:2/main")

    assert str(address) == "rediss+sentinel://a:1,b:2"
    assert PASSWORD not in repr(address)
