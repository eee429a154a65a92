"""Whatever is printed, by a traceback, a debugger or a log line, shows no secret and no content."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from gateway.app import Gateway
from gateway.capture.records import Captured
from gateway.domain.chat import read_chat
from gateway.domain.usage import NO_USAGE
from gateway.guarding.external.base import Question, Told
from gateway.settings import Settings, parse
from gateway.state.base import StateSettings
from gateway.upstreams.base import PlainReply, RelayCall
from gateway.upstreams.remote import Account
from gateway.upstreams.transport import Request
from policies.sanitise.finding import Finding
from policies.sanitise.inspection import Inspection
from policies.sanitise.plan import IDLE, plan_for
from tests.support.build import exchange, patience

SECRET: Final = "a-well-kept-secret-0123456789"
PROMPT: Final = "marker-of-a-prompt"

DOCUMENT: Final = {
    "server": {"admin_key": SECRET + "-admin"},
    "state": f"redis://user:{SECRET}@127.0.0.1:1/0",
    "encryption_key": SECRET,
    "upstreams": {
        "one": {
            "kind": "openai",
            "base_url": "https://api.example/v1",
            "api_key": SECRET,
            "headers": {"x-account": SECRET},
            "query": {"key": SECRET},
            "proxy": f"http://user:{SECRET}@proxy.example",
        },
        "two": {"kind": "anthropic", "api_key": SECRET, "headers": {"x-account": SECRET}},
    },
    "models": {"m": {"upstream": "one"}},
    "guard": {
        "canaries": [SECRET],
        "external": [{"kind": "webhook", "name": "hook", "url": "http://h.example", "api_key": SECRET}],
    },
    "telemetry": {"alerts": {"webhook": f"https://chat.example/{SECRET}"}},
    "organisation": {"teams": {"t": {"keys": [{"name": "k", "secret": SECRET + "-caller"}]}}},
}


def settings(**sections: Any) -> Settings:
    return parse(json.dumps({**DOCUMENT, **sections}).encode(), {})


def assert_silent(things: Iterable[object]) -> None:
    shown = {type(thing).__name__: repr(thing) + str(thing) for thing in things}

    assert [name for name, text in shown.items() if SECRET in text or PROMPT in text] == []


def test_settings_show_no_secret() -> None:
    made = settings()
    guard = made.organisation.guard
    assert guard is not None

    assert_silent([made, *made.upstreams.values(), *made.guard.external, made.server, made.telemetry])
    assert_silent([made.guard, made.organisation, guard, plan_for([guard])])
    assert_silent(key for team in made.organisation.teams.values() for key in team.keys)


def test_what_carries_a_request_shows_no_content() -> None:
    headers = ((b"authorization", b"Bearer " + SECRET.encode()),)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": PROMPT}]}).encode()
    told = Told("user", PROMPT)

    assert_silent(
        [
            read_chat(body),
            Request(b"/v1", headers, body),
            PlainReply(body=body, usage=NO_USAGE),
            Account(base_url="https://h.example", headers={"authorization": SECRET}, secret=None),
            told,
            Question("req-1", "input", [told]),
            Captured(at=0.0, request_id="r", route="chat", status=200, request=body, answer=body),
            StateSettings(
                address=f"redis://user:{SECRET}@h/0",
                organisation="o",
                on_expiry="charge",
                encryption_key=settings().encryption_key,
                ledger_days=None,
            ),
        ]
    )


async def test_exchange_and_what_the_guard_knows_show_no_content() -> None:
    opened = exchange({b"authorization": SECRET.encode()})
    inspection = opened.inspection = Inspection(IDLE)
    inspection.trusted = (PROMPT,)
    inspection.redactor.mask(PROMPT, [Finding("secrets", "r", 0, len(PROMPT), 1.0)])
    call = RelayCall(
        method="POST",
        path="/files",
        query=b"",
        headers=((b"x", SECRET.encode()),),
        body=PROMPT.encode(),
        patience=patience(),
    )

    assert_silent([opened, inspection, inspection.redactor, inspection.vault, call])


async def test_running_gateway_shows_no_secret(tmp_path: Path) -> None:
    made = settings(state=f"sqlite:///{tmp_path}/state.db")
    gateway = Gateway(made, "built-in", host="127.0.0.1")

    async with gateway.running():
        current = gateway.current
        version = current.version
        assert_silent([gateway, current, version, version.pipeline, current.state, current.captures, gateway.alerts])
        assert_silent(vars(gateway).values())
        assert_silent(vars(current).values())
