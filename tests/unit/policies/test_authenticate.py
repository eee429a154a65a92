from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gateway.domain.errors import LoginThrottledError, NotAuthenticatedError
from gateway.domain.secret import Secret
from policies.authenticate import KEY_PREFIX, KeyRing, digest_of, make_key
from policies.settings import KeySettings, LevelSettings, OrganisationSettings, TeamSettings
from policies.stores.keys.base import KeyRecord

ADDRESS = "192.0.2.1"
SECRET = "sk-tw-0123456789abcdef"
MIDNIGHT = dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp()


class Throttle:
    """Lets a number of failed logins pass."""

    def __init__(self, allowed: int = 1000) -> None:
        self._allowed = allowed
        self.failed: list[str] = []

    def __call__(self, address: str) -> float | None:
        self.failed.append(address)
        return None if len(self.failed) <= self._allowed else 12.5


def organisation(
    *, models: tuple[str, ...] = ("*",), team: tuple[str, ...] = ("*",), **key: Any
) -> OrganisationSettings:
    settings = KeySettings(**{"name": "ci", "secret": Secret(SECRET), **key})
    return OrganisationSettings(
        name="acme", models=models, teams={"search": TeamSettings(models=team, keys=(settings,))}
    )


class House:
    def __init__(
        self, settings: OrganisationSettings | None = None, *, may_be_open: bool = True, allowed: int = 1000
    ) -> None:
        self.now = 1000.0
        self.throttle = Throttle(allowed)
        self.ring = KeyRing(
            settings or OrganisationSettings(name="acme"),
            may_be_open=may_be_open,
            throttle=self.throttle,
            clock=lambda: self.now,
        )


def record(token: str = "sk-stored", **fields: Any) -> KeyRecord:  # noqa: S107  made up
    defaults = {"id": "key_1", "team": "search", "name": "stored", "digest": digest_of(token), "created_at": 1.0}
    return KeyRecord(**{**defaults, **fields})


def test_a_key_of_the_file_is_its_caller() -> None:
    house = House(organisation(metadata={"a": "b"}))

    found = house.ring.identify(SECRET, ADDRESS)

    assert (found.organisation, found.team, found.key, found.key_id) == ("acme", "search", "ci", "search/ci")
    assert found.metadata == {"a": "b"}
    assert found.models == ()


def test_a_stored_key_is_its_caller() -> None:
    house = House(organisation())
    house.ring.replace([record(metadata={"c": "d"})])

    found = house.ring.identify("sk-stored", ADDRESS)

    assert (found.team, found.key, found.key_id, found.metadata) == ("search", "stored", "key_1", {"c": "d"})
    assert house.ring.identify(SECRET, ADDRESS).key == "ci"


@pytest.mark.parametrize("token", ["", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper(), "\xff", f" {SECRET}"])
def test_another_key_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticatedError) as caught:
        House(organisation()).ring.identify(token, ADDRESS)

    assert caught.value.status == 401


def test_no_key_is_refused_and_told_where_to_put_it() -> None:
    house = House(organisation())

    with pytest.raises(NotAuthenticatedError, match="Authorization: Bearer"):
        house.ring.identify(None, ADDRESS)

    assert house.throttle.failed == []


def test_a_revoked_key_is_refused() -> None:
    house = House(organisation())
    house.ring.replace([record()])
    house.ring.identify("sk-stored", ADDRESS)

    house.ring.replace([record(revoked_at=5.0)])

    with pytest.raises(NotAuthenticatedError):
        house.ring.identify("sk-stored", ADDRESS)


def test_a_stored_key_expires_to_the_second() -> None:
    house = House(organisation())
    house.ring.replace([record(expires_at=2000.0)])
    house.now = 1999.9
    house.ring.identify("sk-stored", ADDRESS)

    house.now = 2000.0

    with pytest.raises(NotAuthenticatedError):
        house.ring.identify("sk-stored", ADDRESS)


def test_a_key_of_the_file_expires_with_the_day() -> None:
    house = House(organisation(expires=dt.date(2027, 1, 1)))
    house.now = MIDNIGHT - 1
    house.ring.identify(SECRET, ADDRESS)

    house.now = MIDNIGHT

    with pytest.raises(NotAuthenticatedError):
        house.ring.identify(SECRET, ADDRESS)


def test_every_level_narrows_the_models() -> None:
    house = House(organisation(models=("gpt-*", "auto"), team=("gpt-5", "auto")))

    found = house.ring.identify(SECRET, ADDRESS)

    assert found.models == (("gpt-*", "auto"), ("gpt-5", "auto"))


def test_a_stored_keys_models_narrow_its_teams() -> None:
    house = House(organisation(team=("gpt-*",)))
    house.ring.replace([record(models=("gpt-5",))])

    assert house.ring.identify("sk-stored", ADDRESS).models == (("gpt-*",), ("gpt-5",))


def test_a_key_of_a_team_the_file_does_not_know_has_the_organisations_models() -> None:
    house = House(organisation(models=("gpt-*",)))
    house.ring.replace([record(team="unknown")])

    assert house.ring.identify("sk-stored", ADDRESS).models == (("gpt-*",),)


@pytest.mark.parametrize("token", [None, "", "anything"])
def test_without_any_key_anyone_is_demo(token: str | None) -> None:
    house = House()

    assert house.ring.is_open
    assert house.ring.identify(token, ADDRESS).key == "demo"
    assert not house.ring.has_keys()


def test_with_a_key_nobody_is_demo() -> None:
    assert not House(organisation()).ring.is_open


def test_a_first_stored_key_ends_the_demo() -> None:
    house = House()
    house.ring.replace([record()])

    with pytest.raises(NotAuthenticatedError):
        house.ring.identify("anything", ADDRESS)

    assert house.ring.has_keys()


def test_revoking_the_last_key_does_not_open_the_gateway() -> None:
    house = House()
    house.ring.replace([record(revoked_at=5.0)])

    assert not house.ring.is_open
    with pytest.raises(NotAuthenticatedError):
        house.ring.identify(None, ADDRESS)


def test_a_gateway_others_can_reach_is_never_open() -> None:
    house = House(may_be_open=False)

    with pytest.raises(NotAuthenticatedError):
        house.ring.identify(None, ADDRESS)


def test_wrong_keys_are_counted_and_slowed_down() -> None:
    house = House(organisation(), allowed=2)
    for _ in range(2):
        with pytest.raises(NotAuthenticatedError):
            house.ring.identify("wrong", ADDRESS)

    with pytest.raises(LoginThrottledError) as caught:
        house.ring.identify("wrong", ADDRESS)

    assert caught.value.retry_after_s == 12.5
    assert house.throttle.failed == [ADDRESS] * 3


def test_a_right_key_is_never_slowed_down() -> None:
    house = House(organisation(), allowed=0)

    house.ring.identify(SECRET, ADDRESS)
    assert house.throttle.failed == []


def test_a_made_key_is_known_by_its_digest_only() -> None:
    token, made = make_key(
        "search", "ci", now=5.0, rules=LevelSettings(models=("a",)), expires_at=9.0, metadata={"x": "y"}
    )

    assert token.startswith(KEY_PREFIX)
    assert made.digest == digest_of(token)
    assert token not in repr(made)
    assert (made.team, made.name, made.created_at, made.expires_at) == ("search", "ci", 5.0, 9.0)
    assert (made.models, made.metadata, made.revoked_at) == (("a",), {"x": "y"}, None)


def test_made_keys_differ() -> None:
    made = [make_key("search", "ci", now=5.0) for _ in range(50)]

    assert len({token for token, _ in made}) == 50
    assert len({kept.id for _, kept in made}) == 50
    assert all(len(token) >= 32 + len(KEY_PREFIX) for token, _ in made)
