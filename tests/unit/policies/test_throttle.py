from __future__ import annotations

import subprocess
import sys

import pytest

from policies.throttle import LoginThrottle


def counted(throttle: LoginThrottle, address: str, times: int) -> list[bool]:
    """Return for each failed login whether it was slowed down."""
    return [throttle(address) is not None for _ in range(times)]


def test_an_address_may_fail_as_often_as_the_limit_says() -> None:
    throttle = LoginThrottle("3/hour")

    assert counted(throttle, "192.0.2.1", 5) == [False, False, False, True, True]


def test_whoever_is_slowed_down_is_told_for_how_long() -> None:
    throttle = LoginThrottle("1/hour")
    throttle("192.0.2.1")

    wait_s = throttle("192.0.2.1")

    assert wait_s is not None
    assert 1 <= wait_s <= 3600


def test_addresses_are_counted_apart() -> None:
    throttle = LoginThrottle("1/hour")
    throttle("192.0.2.1")

    assert counted(throttle, "192.0.2.2", 1) == [False]
    assert counted(throttle, "", 1) == [False]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("testclient", "testclient", True),
        ("testclient", "other", False),
    ],
)
def test_a_network_that_one_host_may_own_counts_as_one(first: str, second: str, *, together: bool) -> None:
    throttle = LoginThrottle("1/hour")
    throttle(first)

    assert counted(throttle, second, 1) == [together]


def test_throttles_share_nothing() -> None:
    first, second = LoginThrottle("1/hour"), LoginThrottle("1/hour")
    first("192.0.2.1")

    assert counted(second, "192.0.2.1", 1) == [False]


def test_the_limiter_is_imported_when_it_is_first_needed() -> None:
    program = (
        "import sys; from policies.throttle import LoginThrottle; throttle = LoginThrottle()\n"
        "early = 'slowapi' in sys.modules; throttle.prepare(); throttle.prepare()\n"
        "sys.exit(early or 'slowapi' not in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False)

    assert done.returncode == 0
