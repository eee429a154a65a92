"""What callers see of a guard: in headers, errors and what the upstream is sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.conftest import StartGateway
from tests.journey.governance.conftest import Govern
from tests.support.governed import CD, CHAT, CI
from tests.support.scripted_upstream import ScriptedUpstream, completion, plain

ROOT = Path(__file__).resolve().parents[3]
MAIL = "ann.smith@firm.org"
KEY = "AKIA" + "Q3ZK7TNV2M5XWBHR"


def bench(name: str, upstream: ScriptedUpstream) -> dict[str, Any]:
    """Return a profile of the benchmark before another upstream, with the state where the gateway usually has it."""
    text = (ROOT / "bench" / f"{name}.yaml").read_text()
    known = {"BENCH_KEY": CI, "BENCH_STATE": "."}
    tree: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], upstream.url), text))
    return {name: section for name, section in tree.items() if name not in ("server", "state")}


def post(url: str, content: str, key: str = CI, **fields: Any) -> httpx2.Response:
    document = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}], **fields}
    return httpx2.post(f"{url}{CHAT}", json=document, headers={"authorization": f"Bearer {key}"})


@pytest.mark.parametrize("profile", ["governed", "governed-redis"])
def test_a_governed_answer_carries_a_tier_with_a_score_and_a_guard_verdict(
    start_gateway: StartGateway, upstream: ScriptedUpstream, profile: str
) -> None:
    upstream.script(plain(completion()))
    gateway = start_gateway(bench(profile, upstream))

    answer = post(gateway.url, f"Write to {MAIL} with {KEY}", max_tokens=5)

    assert answer.status_code == 200, answer.text
    tier, score, reason = answer.headers["x-tierway-tier"].split(";")
    assert tier in ("simple", "medium", "complex")
    assert 0.0 < float(score) <= 1.0
    assert reason not in ("pinned", "fallback")
    verdict = answer.headers["x-tierway-guard"]
    assert verdict.startswith("result=redact, ")
    assert "secrets=redact;n=1" in verdict
    assert "pii=redact;n=1" in verdict
    sent = upstream.requests[-1].body.decode()
    assert MAIL not in sent
    assert KEY not in sent


def test_an_answer_in_which_nothing_was_found_says_so(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    upstream.script(plain(completion()))
    gateway = start_gateway(bench("governed", upstream))

    answer = post(gateway.url, "What is the capital of France?", max_tokens=5)

    assert re.fullmatch(r"result=ok, policy=g[0-9a-f]{10}, us=\d+", answer.headers["x-tierway-guard"])


def test_a_blocked_prompt_is_sent_nowhere_and_costs_nothing(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern(
        {"budgets": [{"usd": 1, "window": "total"}], "team": {"guard": {"input": {"secrets": "block"}}}},
        guard={"input": {"secrets": "flag"}},
    )

    answer = post(gateway.url, f"Use {KEY}", model="loose", max_tokens=5)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "content_policy", "messages[0].content")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-tierway-guard"].startswith("result=block, secrets=block;n=1, policy=g")
    assert KEY not in answer.text
    assert upstream.requests == []


def test_findings_are_logged_and_counted_without_what_was_found(govern: Govern, upstream: ScriptedUpstream) -> None:
    upstream.script(plain(completion()))
    gateway = govern({}, guard={"input": {"pii": "monitor"}})

    answer = post(gateway.url, f"Write to {MAIL}", key=CD, model="loose")

    assert answer.headers["x-tierway-guard"].startswith("result=monitor, pii=monitor;n=1")
    line = gateway.wait_for_log(route="chat")
    assert line["guard"]["counts"] == {"input.pii.monitor": 1}
    found = line["guard"]["found"][0]
    assert (found["rule"], found["place"], found["ranges"]) == ("email", "messages[0].content", [[9, 9 + len(MAIL)]])
    assert MAIL not in json.dumps(line)
    metrics = httpx2.get(f"{gateway.url}/metrics").text
    assert 'tierway_guard_findings_total{action="monitor",detector="pii",direction="input"} 1.0' in metrics


def test_a_redacted_request_is_not_cached(govern: Govern, upstream: ScriptedUpstream) -> None:
    upstream.script(plain(completion()), plain(completion()))
    gateway = govern({}, guard={"input": {"pii": "redact"}}, cache={"exact": True})

    told = [post(gateway.url, f"Write to {MAIL}", model="loose").headers["x-tierway-cache"] for _ in range(2)]

    assert told == ["miss;skipped", "miss;skipped"]
    assert len(upstream.requests) == 2


def test_a_request_that_is_sent_again_with_its_key_is_the_same_although_its_placeholders_differ(
    govern: Govern, upstream: ScriptedUpstream
) -> None:
    upstream.script(plain(completion()))
    gateway = govern({}, guard={"input": {"pii": "redact"}})
    document = {"model": "loose", "messages": [{"role": "user", "content": f"Write to {MAIL}"}]}
    headers = {"authorization": f"Bearer {CI}", "idempotency-key": "one"}

    answers = [httpx2.post(f"{gateway.url}{CHAT}", json=document, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(upstream.requests) == 1


ADMIN = "admin-of-the-gateway-0123456789abcdef"


def made_key(url: str, **rules: Any) -> httpx2.Response:
    document = {"team": "search", "name": "made", **rules}
    return httpx2.post(f"{url}/admin/keys", json=document, headers={"authorization": f"Bearer {ADMIN}"})


def test_a_key_that_is_made_has_a_guard_of_its_own(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({}, server={"admin_key": ADMIN})

    made = made_key(gateway.url, guard={"input": {"secrets": "block"}})
    answer = post(gateway.url, f"Use {KEY}", key=made.json()["key"], model="loose")

    assert made.json()["guard"]["input"]["secrets"] == "block"
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_policy")
    assert upstream.requests == []


def test_a_key_with_a_pattern_that_cannot_be_used_is_not_made(govern: Govern) -> None:
    gateway = govern({}, server={"admin_key": ADMIN})

    made = made_key(gateway.url, guard={"patterns": {"broken": "("}})

    assert (made.status_code, made.json()["error"]["param"]) == (400, "guard")
    assert "guard.patterns.broken" in made.json()["error"]["message"]
