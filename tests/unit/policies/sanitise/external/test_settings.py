from __future__ import annotations

import pytest

from gateway.domain.secret import Secret
from policies.sanitise.external.settings import AnyExternalGuard, GuardSection, ModerationGuard, WebhookGuard, faults

HOOK = WebhookGuard(name="hook", url="https://guard.example/judge")


def faults_of(*guards: AnyExternalGuard) -> list[str]:
    return list(faults(GuardSection(external=guards), {"openai"}))


def test_guard_is_closed_unless_it_says_otherwise() -> None:
    assert HOOK.on_failure == "closed"


def test_well_formed_guards_have_no_fault() -> None:
    guards = (
        HOOK,
        ModerationGuard(name="a", url="https://api.example/v1", api_key=Secret("k")),
        ModerationGuard(name="b", upstream="openai"),
    )

    assert faults_of(*guards) == []


def test_two_guards_of_one_name_are_a_fault() -> None:
    assert faults_of(HOOK, HOOK) == ["guard.external[1].name: two guards are called 'hook'"]


@pytest.mark.parametrize("key", ["a\r\nb", "k\u00e9y"])
def test_key_that_no_header_can_hold_is_a_fault_and_not_shown(key: str) -> None:
    found = faults_of(WebhookGuard(name="hook", url="https://h.example", api_key=Secret(key)))

    assert found == ["guard.external[0].api_key: only printable ASCII can be sent in a header"]


@pytest.mark.parametrize(
    ("guard", "field"),
    [
        (ModerationGuard(name="a"), "guard.external[0]:"),
        (ModerationGuard(name="a", url="https://h.example", upstream="openai"), "guard.external[0]:"),
        (ModerationGuard(name="a", upstream="nobody"), "guard.external[0].upstream:"),
        (ModerationGuard(name="a", upstream="openai", api_key=Secret("k")), "guard.external[0].api_key:"),
    ],
)
def test_moderation_needs_exactly_one_place(guard: ModerationGuard, field: str) -> None:
    (found,) = faults_of(guard)

    assert found.startswith(field)


@pytest.mark.parametrize("name", [None, "local", "openai"])
def test_moderations_may_be_local_or_an_upstreams(name: str | None) -> None:
    assert list(faults(GuardSection(moderations=name), {"openai"})) == []


def test_moderations_by_an_unknown_upstream_are_a_fault() -> None:
    assert list(faults(GuardSection(moderations="nobody"), {"openai"})) == [
        "guard.moderations: 'nobody' is neither local nor an upstream of kind openai"
    ]
