from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError
from gateway.edge.wishes import wishes_of as wishes_with
from router.wishes import NO_WISHES, Wishes

COST = b"x-tierway-max-cost-usd"
FIRST_BYTE = b"x-tierway-max-first-byte-ms"
MIN_TIER = b"x-tierway-min-tier"
MAX_TIER = b"x-tierway-max-tier"
ROLE = b"x-tierway-role"
SESSION = b"x-tierway-session"


ROLES = {"orchestrator": "complex", "formatter": "simple"}


def wishes_of(headers: dict[bytes, bytes]) -> Wishes:
    return wishes_with(headers, ROLES)


@pytest.mark.parametrize("headers", [{}, {b"host": b"a", b"x-tierway-timeout-ms": b"5"}])
def test_a_caller_that_asks_for_nothing_shares_the_wishes_of_nobody(headers: dict[bytes, bytes]) -> None:
    assert wishes_of(headers) is NO_WISHES


def test_every_wish_is_read() -> None:
    headers = {
        COST: b"0.05",
        MIN_TIER: b"simple",
        MAX_TIER: b"medium",
        FIRST_BYTE: b"1500",
        ROLE: b"formatter",
        SESSION: b"chat/7",
    }

    assert wishes_of(headers) == Wishes(
        max_cost_microusd=50_000,
        min_tier="simple",
        max_tier="medium",
        max_first_byte_s=1.5,
        role="formatter",
        session="chat/7",
    )


@pytest.mark.parametrize(
    ("text", "microusd"),
    [
        (b"1", 1_000_000),
        (b"0.000001", 1),
        (b"0.000075", 75),
        (b"0.0000759", 75),
        (b"12.5", 12_500_000),
        (b" 2 ", 2_000_000),
        (b"999999999999", 999_999_999_999_000_000),
    ],
)
def test_dollars_are_read_exactly_and_rounded_down(text: bytes, microusd: int) -> None:
    assert wishes_of({COST: text}).max_cost_microusd == microusd


WRONG = (b"", b"0", b"0.0", b"-1", b"+1", b"1e3", b"1e999999999", b"nan", b"inf", b"1_000", b"1,5", b".5", b"5.", b"x")


@pytest.mark.parametrize("text", [*WRONG, b"0.0000009", b"$1", b"9" * 5000, b"0." + b"1" * 5000, "٣".encode()])
def test_what_is_no_amount_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="X-Tierway-Max-Cost-Usd"):
        wishes_of({COST: text})


@pytest.mark.parametrize(("text", "seconds"), [(b"250", 0.25), (b"0.5", 0.0005), (b"60000", 60.0)])
def test_milliseconds_are_read_as_seconds(text: bytes, seconds: float) -> None:
    assert wishes_of({FIRST_BYTE: text}).max_first_byte_s == pytest.approx(seconds)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_duration_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="X-Tierway-Max-First-Byte-Ms"):
        wishes_of({FIRST_BYTE: text})


@pytest.mark.parametrize(("header", "name"), [(MIN_TIER, "X-Tierway-Min-Tier"), (MAX_TIER, "X-Tierway-Max-Tier")])
@pytest.mark.parametrize("text", [b"", b"hard", b"simple,complex", b"\xff"])
def test_what_is_no_tier_is_refused(header: bytes, name: str, text: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=name):
        wishes_of({header: text})


def test_a_tier_may_be_written_in_any_letter_case() -> None:
    assert wishes_of({MIN_TIER: b" Complex"}).min_tier == "complex"


@pytest.mark.parametrize(("least", "most"), [(b"medium", b"simple"), (b"complex", b"simple"), (b"complex", b"medium")])
def test_bounds_that_exclude_every_tier_are_refused(least: bytes, most: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=r"X-Tierway-Min-Tier.*X-Tierway-Max-Tier"):
        wishes_of({MIN_TIER: least, MAX_TIER: most})


def test_bounds_may_name_one_tier() -> None:
    assert wishes_of({MIN_TIER: b"medium", MAX_TIER: b"medium"}).clamped("complex") == "medium"


def test_a_role_is_one_that_is_configured() -> None:
    roles = {"judge": "complex"}

    assert wishes_with({ROLE: b"judge"}, roles).role == "judge"
    with pytest.raises(InvalidRequestError, match=r"X-Tierway-Role.*judge"):
        wishes_with({ROLE: b"formatter"}, roles)


@pytest.mark.parametrize("text", [b"", b"Formatter", b"x" * 10_000, b"\xff"])
def test_an_unknown_role_is_refused_without_being_repeated(text: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="X-Tierway-Role") as caught:
        wishes_of({ROLE: text})

    assert len(caught.value.message) < 200


def test_without_any_role_none_is_known() -> None:
    with pytest.raises(InvalidRequestError, match="none"):
        wishes_with({ROLE: b"judge"}, ())


@pytest.mark.parametrize("text", [b"a", b"x" * 256, "é".encode() * 256])
def test_a_session_is_any_name(text: bytes) -> None:
    assert wishes_of({SESSION: text}).session == text.decode()


@pytest.mark.parametrize("text", [b"", b"  ", b"x" * 257])
def test_a_session_has_a_name_and_not_a_long_one(text: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="X-Tierway-Session"):
        wishes_of({SESSION: text})


@given(header=st.sampled_from([COST, FIRST_BYTE, MIN_TIER, MAX_TIER, ROLE, SESSION]), text=st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(header: bytes, text: bytes) -> None:
    try:
        wishes = wishes_of({header: text})
    except InvalidRequestError:
        return

    assert wishes != NO_WISHES
