"""Break-glass capture: begun by an operator, filled by one key's requests, read with the encryption key only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import StartGateway
from tests.support.edge import KEY, NARROW_KEY, SETTINGS
from tests.support.live import LiveGateway, tierway, write_settings
from tests.support.wire import chat

ADMIN = "admin-key-for-captures-0123456789"
SEAL = "encryption-key-for-captures-0123"
OPENED: dict[str, Any] = {
    **SETTINGS,
    "server": {"admin_key": ADMIN},
    "encryption_key": SEAL,
    "state": "sqlite:///state.db",
}
ASKED = {"key": "t/all", "minutes": 10, "reason": "ticket 4711"}


def admin(gateway: LiveGateway, method: str, path: str = "", body: Any = None, key: str = ADMIN) -> httpx2.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx2.request(method, f"{gateway.url}/admin/capture{path}", json=body, headers=headers)


def ask(gateway: LiveGateway, text: str, key: str = KEY, **more: Any) -> httpx2.Response:
    body = {**chat("small"), "messages": [{"role": "user", "content": text}], **more}
    return httpx2.post(gateway.api + "/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})


def shown(gateway: LiveGateway, capture_id: str) -> list[dict[str, Any]]:
    done = tierway("capture", "show", capture_id, "--json", "--config", "tierway.yaml", folder=gateway.folder)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def audit(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "state.captures" / "audit.log").read_text().splitlines()]


def test_capture_keeps_what_the_key_sends_and_is_answered(start_gateway: StartGateway) -> None:
    gateway = start_gateway(OPENED)
    ask(gateway, "before the capture")
    made = admin(gateway, "POST", body=ASKED).json()

    ask(gateway, "marker-plain")
    ask(gateway, "marker-streamed", stream=True)
    ask(gateway, "marker-of-another-key", key=NARROW_KEY)
    refused = ask(gateway, "marker-refused", model="unheard-of")
    listed = admin(gateway, "GET")
    ended = admin(gateway, "DELETE", "/" + made["id"])
    ask(gateway, "after the capture")
    gateway.stop()

    opening, plain, streamed, failed, closing = shown(gateway, made["id"])
    assert (made["key"], made["kept"], made["reason"]) == ("t/all", 0, "ticket 4711")
    assert listed.json()["data"][0]["kept"] == 3
    assert b"marker" not in listed.content
    assert ended.status_code == 204
    assert opening["key"] == "t/all"
    assert "marker-plain" in plain["request"]
    assert json.loads(plain["answer"])["object"] == "chat.completion"
    assert "marker-streamed" in streamed["request"]
    assert streamed["answer"].endswith("data: [DONE]\n\n")
    assert (failed["status"], failed["code"], failed["answer"]) == (404, refused.json()["error"]["code"], "")
    assert (closing["kept"], closing["dropped"], closing["ended"]) == (3, 0, "operator")


def test_nothing_of_it_is_readable_without_the_key(start_gateway: StartGateway) -> None:
    gateway = start_gateway(OPENED)
    made = admin(gateway, "POST", body=ASKED).json()
    ask(gateway, "marker-plain")
    gateway.stop()
    write_settings(gateway.folder, {**OPENED, "encryption_key": "another-key-0123456789"})

    done = tierway("capture", "show", made["id"], "--config", "tierway.yaml", folder=gateway.folder)

    assert (done.returncode, done.stdout) == (1, "")
    assert "another encryption key" in done.stderr
    files = [path for path in gateway.folder.rglob("*") if path.is_file()]
    assert not any(b"marker-plain" in path.read_bytes() for path in files)
    assert "marker-plain" not in "".join(gateway.messages)


def test_beginning_ending_and_reading_leave_audit_lines(start_gateway: StartGateway) -> None:
    gateway = start_gateway(OPENED)
    made = admin(gateway, "POST", body=ASKED).json()
    ask(gateway, "marker-plain")
    admin(gateway, "DELETE", "/" + made["id"])
    gateway.stop()

    shown(gateway, made["id"])
    listed = tierway("capture", "list", "--config", "tierway.yaml", folder=gateway.folder)
    deleted = tierway("capture", "delete", made["id"], "--config", "tierway.yaml", folder=gateway.folder)

    lines = audit(gateway.folder)
    assert [line["did"] for line in lines] == ["start", "end", "show", "list", "delete"]
    assert all(line["by"].startswith("admin:") and line["by"].endswith("@127.0.0.1") for line in lines[:2])
    assert all(line["by"].startswith("cli:") for line in lines[2:])
    assert all(line["key"] == "t/all" and line["reason"] == "ticket 4711" for line in (*lines[:3], lines[4]))
    assert ADMIN not in str(lines)
    assert made["id"] in listed.stdout
    assert "t/all" in listed.stdout
    assert "marker" not in listed.stdout
    assert deleted.returncode == 0
    assert not list((gateway.folder / "state.captures").glob("*.sealed"))
    assert any("capture start" in message for message in gateway.messages)


BAD = [
    ({"key": "t/nobody", "minutes": 1, "reason": "ticket 4711"}, 400),
    ({"key": "t/all", "minutes": 0.5, "reason": "ticket 4711"}, 400),
    ({"key": "t/all", "minutes": 241, "reason": "ticket 4711"}, 400),
    ({"key": "t/all", "minutes": 1, "reason": "why"}, 400),
    ({"key": "t/all", "minutes": 1, "reason": "two\nlines of it"}, 400),
    ({"key": "t/all", "minutes": 1}, 400),
    ({"key": "t/all", "minutes": 1, "reason": "ticket 4711", "more": 1}, 400),
    (["t/all"], 400),
]


@pytest.fixture(scope="module")
def open_gateway(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with LiveGateway(tmp_path_factory.mktemp("capture"), OPENED) as gateway:
        yield gateway


@pytest.mark.parametrize(("body", "status"), BAD, ids=range(len(BAD)))
def test_bad_wish_is_refused(open_gateway: LiveGateway, body: Any, status: int) -> None:
    answer = admin(open_gateway, "POST", body=body)

    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert admin(open_gateway, "GET").json() == {"data": []}


def test_only_the_admin_key_may(open_gateway: LiveGateway) -> None:
    assert admin(open_gateway, "POST", body=ASKED, key=KEY).status_code == 401
    assert admin(open_gateway, "GET", key=KEY).status_code == 401


def test_capture_that_does_not_run_cannot_be_ended(open_gateway: LiveGateway) -> None:
    assert admin(open_gateway, "DELETE", "/cap-0123456789abcdef").status_code == 404


def test_nothing_is_captured_without_an_encryption_key(start_gateway: StartGateway) -> None:
    gateway = start_gateway({**OPENED, "encryption_key": None})

    answer = admin(gateway, "POST", body=ASKED)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "capture_needs_key")
    assert "encryption_key" in answer.json()["error"]["message"]
    assert not (gateway.folder / "state.captures").exists()


@pytest.mark.parametrize("verb", [("list",), ("show", "cap-0123456789abcdef"), ("delete", "cap-0123456789abcdef")])
def test_verbs_say_what_they_miss(tmp_path: Path, verb: tuple[str, ...]) -> None:
    write_settings(tmp_path, {**OPENED, "encryption_key": None})

    done = tierway("capture", *verb, "--config", "tierway.yaml", folder=tmp_path)

    assert done.returncode == 1
    assert "encryption_key" in done.stderr


def test_listing_where_nothing_was_captured_is_empty(tmp_path: Path) -> None:
    write_settings(tmp_path, OPENED)

    done = tierway("capture", "list", "--config", "tierway.yaml", folder=tmp_path)

    assert (done.returncode, done.stdout.split()) == (
        0,
        ["ID", "KEY", "STARTED", "BY", "KEPT", "DROPPED", "ENDED", "REASON"],
    )
    assert not (tmp_path / "state.captures").exists()
