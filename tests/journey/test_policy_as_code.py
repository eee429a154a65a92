"""Edits of the policy: included files, examples, rules that are tried first, and rules that are taken back."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import LiveGateway, relay_settings, wait_until, write_settings
from tests.support.moment import PATIENCE_S
from tests.support.scripted_upstream import ScriptedUpstream

KEY = "sk-tw-0123456789abcdef"

Start = Callable[..., LiveGateway]


def settings(upstream: ScriptedUpstream, **organisation: Any) -> dict[str, Any]:
    teams = {"search": {"keys": [{"name": "ci", "secret": KEY}]}}
    return relay_settings(upstream.url, organisation={"teams": teams, **organisation})


def ask(gateway: LiveGateway, key: str = KEY) -> int:
    """Return the status of a chat request."""
    body = json.dumps({"model": "scripted-1", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(gateway.api + "/chat/completions", body, headers)  # noqa: S310  our own address
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310  our own address
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def ready(gateway: LiveGateway) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(gateway.get("/readyz"))
    return state


def edit(gateway: LiveGateway, document: dict[str, Any]) -> None:
    """Swap the settings file, and wait until it is served."""
    before = ready(gateway)["config"]["hash"]
    write_settings(gateway.folder, document)
    wait_until(lambda: ready(gateway)["config"]["hash"] != before, "the edit")


def test_an_edit_of_an_included_file_is_served(
    start_gateway: Start, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    document = settings(upstream)
    (tmp_path / "policy.yaml").write_text(json.dumps(document["organisation"]))
    gateway = start_gateway({**document, "organisation": "policy.yaml"})
    assert ask(gateway) == 200

    (tmp_path / "policy.yaml").write_text(json.dumps({**document["organisation"], "models": ["none"]}))

    wait_until(lambda: ask(gateway) == 403, "the edit of the included file")


def test_a_file_whose_examples_do_not_hold_is_not_served(start_gateway: Start, upstream: ScriptedUpstream) -> None:
    gateway = start_gateway(settings(upstream))
    expect = {"key": "search/ci", "model": "scripted-1", "expect": {"allow": True}}

    write_settings(gateway.folder, settings(upstream, models=["none"], examples=[expect]))

    wait_until(lambda: ready(gateway)["config"]["error"] is not None, "the refusal")
    assert ready(gateway)["config"]["error"].startswith("organisation.examples[0]: search/ci asks for 'scripted-1'")
    assert ask(gateway) == 200


def test_a_gateway_does_not_start_on_examples_that_do_not_hold(
    start_gateway: Start, upstream: ScriptedUpstream
) -> None:
    example = {"key": "search/ci", "model": "scripted-1", "expect": {"allow": False}}

    with pytest.raises(AssertionError, match=r"organisation\.examples\[0\]"):
        start_gateway(settings(upstream, examples=[example]))


def test_rules_on_trial_deny_nobody_and_are_told(start_gateway: Start, upstream: ScriptedUpstream) -> None:
    gateway = start_gateway(settings(upstream, budgets=[{"usd": 10}]))
    limits = {"requests_per_minute": 1, "output_tokens_per_minute": 100_000}

    edit(gateway, settings(upstream, budgets=[{"usd": 10}], limits=limits, staging={"shadow_s": 3600}))
    statuses = [ask(gateway) for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert gateway.metrics()['tierway_staging_would_deny_total{limit="org requests rolling 1m"}'] == 2
    # A limit that is only tried says nothing about the length of an answer.
    assert "100000" not in upstream.requests[-1].body.decode()
    assert len(upstream.requests[-1].body) < 200


def test_rules_come_into_force_after_their_trial_with_what_they_counted(
    start_gateway: Start, upstream: ScriptedUpstream
) -> None:
    gateway = start_gateway(settings(upstream))

    edit(gateway, settings(upstream, limits={"requests_per_day": 2}, staging={"shadow_s": 1}))
    assert [ask(gateway), ask(gateway)] == [200, 200]
    gateway.wait_for_message("new rules are in force")

    assert ask(gateway) == 429


def test_a_key_counts_at_once_and_one_that_is_gone_is_refused(start_gateway: Start, upstream: ScriptedUpstream) -> None:
    gateway = start_gateway(settings(upstream))
    document = settings(upstream, limits={"concurrency": 50}, staging={"shadow_s": 3600})
    document["organisation"]["teams"]["search"]["keys"] = [{"name": "new", "secret": "sk-tw-another-0123456789"}]

    edit(gateway, document)

    assert [ask(gateway, "sk-tw-another-0123456789"), ask(gateway)] == [200, 401]


def test_rules_that_deny_much_more_are_taken_back(start_gateway: Start, upstream: ScriptedUpstream) -> None:
    staging = {"max_denial_rise": 0.2, "min_count": 5, "watch_s": 60}
    gateway = start_gateway(settings(upstream))
    assert {ask(gateway) for _ in range(5)} == {200}

    edit(gateway, settings(upstream, models=["none"], staging=staging))
    assert {ask(gateway) for _ in range(5)} == {403}
    wait_until(lambda: "policy" in ready(gateway)["degraded"], "the way back")

    assert ask(gateway) == 200
    assert "taken back" in ready(gateway)["config"]["error"]
    assert gateway.metrics()['tierway_rollbacks_total{part="policy"}'] == 1
    assert gateway.metrics()['tierway_degraded{part="policy"}'] == 1
