"""What an operator does to a running gateway."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.conftest import StartGateway
from tests.support.live import UPSTREAM_KEY, LiveGateway, relay_settings, tierway, wait_until, write_settings
from tests.support.moment import PATIENCE_S, Moment
from tests.support.scripted_upstream import USAGE, ScriptedUpstream, chunk, events, plain, stream
from tests.support.wire import Answer, WireClient, chat, chat_bytes

ADMIN_KEY = "admin-key-of-at-least-16-characters"
KEY = "sk-a-key-in-the-settings-file"
ECHO: dict[str, Any] = {
    "upstreams": {"offline": {"kind": "echo"}},
    "models": {"small": {"upstream": "offline"}, "big": {"upstream": "offline"}},
    "router": {"tiers": {"simple": ["small"], "complex": ["big"]}},
}
ADMINISTERED = {**ECHO, "server": {"admin_key": ADMIN_KEY}}

REVOKED_WITHIN_S = 2.0
"""The promise is one second; the rest is for a slow machine."""

"""How a process ends that was told to: by itself, or by the same signal once its work is done."""


def ask(gateway: LiveGateway, key: str | None = None, model: str = "small") -> Answer:
    headers = [] if key is None else [("authorization", f"Bearer {key}")]
    with WireClient(gateway.address) as client:
        return client.post_chat(chat(model), *headers)


def admin(gateway: LiveGateway, method: str, path: str, document: Any = None, key: str | None = ADMIN_KEY) -> Answer:
    headers = [("content-type", "application/json")]
    if key is not None:
        headers.append(("authorization", f"Bearer {key}"))
    body = None if document is None else json.dumps(document).encode()
    with WireClient(gateway.address) as client:
        return client.request(method, path, headers, body)


def new_key(gateway: LiveGateway, *options: str, name: str = "n") -> str:
    config = [] if gateway.path is None else ["--config", str(gateway.path)]
    made = tierway("keys", "create", "--team", "t", "--name", name, *config, *options, folder=gateway.folder)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def wait_for_status(gateway: LiveGateway, key: str | None, status: int, within_s: float = PATIENCE_S) -> None:
    wait_until(lambda: ask(gateway, key).status == status, f"status {status}", within_s)


def ready(gateway: LiveGateway) -> Any:
    return json.loads(gateway.get("/readyz"))


# ---------------------------------------------------------------- keys


def test_demo_caller_ends_with_the_first_key(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    gateway.wait_for_message("is the caller 'demo'")
    assert ask(gateway, model="auto").status == 200
    assert ask(gateway, "anything", model="auto").status == 200

    key = new_key(gateway)

    wait_until(lambda: ask(gateway, model="auto").status == 401, "the end of the demo")
    assert ask(gateway, "anything", model="auto").status == 401
    assert ask(gateway, key, model="auto").status == 200


def test_demo_does_not_come_back_with_the_last_key_revoked(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    key = new_key(gateway)
    wait_until(lambda: ask(gateway, key, "auto").status == 200 and ask(gateway, None, "auto").status == 401, "the key")

    revoked = tierway("keys", "revoke", "t/n", folder=gateway.folder)

    assert revoked.returncode == 0
    wait_until(lambda: ask(gateway, key, "auto").status == 401, "the revocation")
    assert ask(gateway, None, "auto").status == 401


def test_key_made_and_revoked_on_the_command_line(start_gateway: StartGateway) -> None:
    gateway = start_gateway(ECHO)

    key = new_key(gateway)

    assert re.fullmatch(r"sk-tw-[\w-]{32}", key)
    wait_until(lambda: ask(gateway, None).status == 401, "the new key")
    assert ask(gateway, key).status == 200
    assert key not in tierway("keys", "list", "--config", str(gateway.path), folder=gateway.folder).stdout
    stored = b"".join(path.read_bytes() for path in gateway.folder.glob("tierway.db*"))
    assert key.encode() not in stored

    assert tierway("keys", "revoke", "t/n", "--config", str(gateway.path), folder=gateway.folder).returncode == 0

    wait_for_status(gateway, key, 401, REVOKED_WITHIN_S)
    listed = tierway("keys", "list", "--config", str(gateway.path), folder=gateway.folder).stdout
    assert "t/n" in listed
    assert "revoked" in listed


def test_name_is_taken_until_its_key_is_revoked(start_gateway: StartGateway) -> None:
    gateway = start_gateway(ECHO)
    config = ("--config", str(gateway.path))
    new_key(gateway)

    again = tierway("keys", "create", "--team", "t", "--name", "n", *config, folder=gateway.folder)
    tierway("keys", "revoke", "t/n", *config, folder=gateway.folder)
    after = tierway("keys", "create", "--team", "t", "--name", "n", *config, folder=gateway.folder)
    twice = tierway("keys", "revoke", "nobody", *config, folder=gateway.folder)

    assert again.returncode == 1
    assert "already" in again.stderr
    assert after.returncode == 0
    assert twice.returncode == 1


def test_key_that_has_expired_is_refused(start_gateway: StartGateway) -> None:
    gateway = start_gateway(ECHO)
    today = dt.datetime.now(dt.UTC).date()

    good = new_key(gateway, "--expires", (today + dt.timedelta(days=2)).isoformat(), name="good")
    old = new_key(gateway, "--expires", today.isoformat(), name="old")

    wait_until(lambda: ask(gateway, None).status == 401, "the new keys")
    wait_for_status(gateway, good, 200)
    answer = ask(gateway, old)
    assert answer.status == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    listed = tierway("keys", "list", "--config", str(gateway.path), folder=gateway.folder).stdout
    assert "expired" in listed


def test_key_for_some_models_may_not_use_others(start_gateway: StartGateway) -> None:
    gateway = start_gateway(ECHO)
    key = new_key(gateway, "--models", "sm*,auto/simple")
    wait_until(lambda: ask(gateway, None).status == 401, "the new key")

    allowed = [ask(gateway, key, model).status for model in ("small", "auto/simple")]
    refused = ask(gateway, key, "big")

    assert allowed == [200, 200]
    assert refused.status == 403
    assert refused.json()["error"]["code"] == "model_not_allowed"
    assert refused.json()["error"]["param"] == "model"
    assert ask(gateway, key, "auto").status == 403
    with WireClient(gateway.address) as client:
        listed = client.request("GET", "/v1/models", [("authorization", f"Bearer {key}")]).json()["data"]
    assert [model["id"] for model in listed] == ["small", "auto/simple"]


def test_key_made_listed_and_revoked_over_the_admin_api(start_gateway: StartGateway) -> None:
    gateway = start_gateway(ADMINISTERED)
    wanted = {"team": "t", "name": "n", "models": ["small"], "metadata": {"owner": "me"}, "expires": "2199-01-31"}

    made = admin(gateway, "POST", "/admin/keys", wanted)
    key = made.json()["key"]
    first = ask(gateway, key).status
    listed = admin(gateway, "GET", "/admin/keys")
    gone = admin(gateway, "DELETE", f"/admin/keys/{made.json()['id']}")

    assert made.status == 201
    assert first == 200
    [shown] = listed.json()["data"]
    assert {name: shown[name] for name in ("team", "name", "models", "metadata")} == {
        name: wanted[name] for name in ("team", "name", "models", "metadata")
    }
    assert shown["expires_at"].startswith("2199-01-31T00:00:00")
    assert key.encode() not in listed.body
    assert gone.status == 204
    assert ask(gateway, key).status == 401
    assert admin(gateway, "DELETE", f"/admin/keys/{made.json()['id']}").status == 404


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"team": "t"},
        {"team": "t", "name": 5},
        {"team": "../t", "name": "n"},
        {"team": "t", "name": "n", "models": "small"},
        {"team": "t", "name": "n", "expires": "soon"},
        {"team": "t", "name": "n", "expires": "2001-01-01"},
        {"team": "t", "name": "n", "unheard_of": 1},
    ],
)
def test_bad_admin_request_is_a_400(administered: LiveGateway, document: Any) -> None:
    answer = admin(administered, "POST", "/admin/keys", document)

    assert answer.status == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code", "source"}


@pytest.mark.parametrize("key", [None, "wrong", KEY, ""])
def test_admin_api_answers_the_admin_key_alone(administered: LiveGateway, key: str | None) -> None:
    answer = admin(administered, "GET", "/admin/keys", key=key)

    assert answer.status == 401
    assert answer.json()["error"]["source"] == "gateway"


def test_admin_key_is_no_key_for_chat(administered: LiveGateway) -> None:
    assert admin(administered, "POST", "/admin/keys", {"team": "a", "name": "b"}).status == 201

    assert ask(administered, ADMIN_KEY).status == 401


def test_admin_api_is_off_without_an_admin_key(start_gateway: StartGateway) -> None:
    gateway = start_gateway(ECHO)

    answer = admin(gateway, "GET", "/admin/keys")

    assert answer.status == 403
    assert answer.json()["error"]["code"] == "admin_off"


@pytest.fixture(scope="module")
def administered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("administered"), ADMINISTERED) as gateway:
        yield gateway


@pytest.mark.parametrize("route", ["chat", "models", "admin"])
def test_address_that_guesses_keys_is_slowed_down(start_gateway: StartGateway, route: str) -> None:
    gateway = start_gateway(
        {**ADMINISTERED, "organisation": {"teams": {"t": {"keys": [{"name": "n", "secret": KEY}]}}}}
    )

    def guess() -> Answer:
        if route == "chat":
            return ask(gateway, "sk-guess")
        return admin(gateway, "GET", "/admin/keys" if route == "admin" else "/v1/models", key="sk-guess")

    answers = [guess() for _ in range(30)]

    statuses = [answer.status for answer in answers]
    assert statuses[:15] == [401] * 15
    assert statuses[-1] == 429
    assert answers[-1].json()["error"]["code"] == "too_many_failed_logins"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert int(answers[-1].headers["retry-after-ms"]) >= 1
    assert ask(gateway, KEY).status == 200


# ---------------------------------------------------------------- settings


def test_good_edit_is_served_without_a_restart(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway(ECHO)
    before = ready(gateway)["config"]
    assert ask(gateway, model="new").status == 404

    write_settings(tmp_path, {**ECHO, "aliases": {"new": "small"}})

    wait_until(lambda: ask(gateway, model="new").status == 200, "the new settings")
    after = ready(gateway)["config"]
    assert re.fullmatch("[0-9a-f]{12}", after["hash"])
    assert after["hash"] != before["hash"]
    assert after["error"] is None
    assert gateway.metrics()[f'tierway_config_info{{hash="{after["hash"]}"}}'] == 1
    assert gateway.metrics()['tierway_config_reloads_total{result="ok"}'] == 1


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ("models: {", ""),
        (json.dumps({**ECHO, "server": {"prot": 1}}), "server.prot"),
        (json.dumps({**ECHO, "aliases": {"new": "none"}}), "aliases.new"),
        (json.dumps({**ECHO, "models": {"small": {"upstream": "none"}}}), "models.small.upstream"),
        (
            json.dumps(
                {**ECHO, "upstreams": {"offline": {"kind": "openai", "base_url": "http://x", "api_key": "${NONE}"}}}
            ),
            "upstreams.offline.api_key",
        ),
    ],
    ids=["YAML", "unknown field", "alias", "reference", "variable"],
)
def test_broken_edit_keeps_what_is_served(start_gateway: StartGateway, tmp_path: Path, broken: str, place: str) -> None:
    gateway = start_gateway(ECHO)
    before = ready(gateway)["config"]["hash"]

    (tmp_path / "tierway.yaml").write_text(broken)

    wait_until(lambda: ready(gateway)["config"]["error"] is not None, "the error")
    state = ready(gateway)
    assert place in state["config"]["error"]
    assert state["config"]["hash"] == before
    assert state["status"] == "ready"
    assert ask(gateway).status == 200
    assert gateway.metrics()['tierway_config_reloads_total{result="failed"}'] >= 1

    write_settings(tmp_path, {**ECHO, "aliases": {"new": "small"}})
    wait_until(lambda: ask(gateway, model="new").status == 200, "the repaired settings")
    assert ready(gateway)["config"]["error"] is None


def test_settings_file_that_vanishes_keeps_what_is_served(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway(ECHO)

    (tmp_path / "tierway.yaml").unlink()

    wait_until(lambda: ready(gateway)["config"]["error"] is not None, "the error")
    assert ask(gateway).status == 200


def test_edit_that_takes_the_last_file_key_closes_the_gateway_to_it(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    def with_keys(*names: str) -> dict[str, Any]:
        keys = [{"name": name, "secret": f"sk-secret-of-{name}-0000"} for name in names]
        return {**ECHO, "organisation": {"teams": {"t": {"keys": keys}}}}

    gateway = start_gateway(with_keys("one", "two"))
    assert ask(gateway, "sk-secret-of-one-0000").status == 200

    write_settings(tmp_path, with_keys("two"))

    wait_for_status(gateway, "sk-secret-of-one-0000", 401)
    assert ask(gateway, "sk-secret-of-two-0000").status == 200


def test_stream_in_flight_outlives_an_edit(
    start_gateway: StartGateway, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    go_on = Moment()
    first, last, done = events(chunk("Hi"), chunk(finish="stop"), b"[DONE]")
    upstream.script(stream(first, go_on, last, done))
    gateway = start_gateway(relay_settings(upstream.url))
    before = ready(gateway)["config"]["hash"]
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat(stream=True)))
        client.head()
        assert client.chunk() == first

        write_settings(tmp_path, relay_settings(upstream.url + "/elsewhere", aliases={"x": "relayed"}))
        wait_until(lambda: ready(gateway)["config"]["hash"] != before, "the new settings")
        go_on.happen()

        rest = client.chunk()
    assert rest is not None
    assert rest.startswith(last)
    assert ask(gateway, model="x").status == 200
    assert upstream.last.target == "/v1/elsewhere/chat/completions"


# ---------------------------------------------------------------- addresses and TLS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(address: tuple[str, int], path: str, *headers: tuple[str, str]) -> Answer:
    with WireClient(address) as client:
        return client.request("GET", path, headers)


def test_operations_move_to_their_own_address(start_gateway: StartGateway) -> None:
    side = ("127.0.0.1", free_port())
    server = {"admin_key": ADMIN_KEY, "admin_listen": f"{side[0]}:{side[1]}"}
    gateway = start_gateway({**ECHO, "server": server})
    credential = ("authorization", f"Bearer {ADMIN_KEY}")

    assert get(side, "/metrics").status == 200
    assert get(side, "/admin/keys", credential).status == 200
    assert get(side, "/readyz").status == 200
    assert get(gateway.address, "/metrics").status == 404
    assert get(gateway.address, "/admin/keys", credential).status == 404
    assert get(gateway.address, "/readyz").status == 200
    assert get(side, "/v1/models").status == 404
    assert ask(gateway).status == 200
    assert gateway.stop() == 0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_settings(folder: Path, authority: trustme.CA) -> dict[str, Any]:
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(folder / "chain.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    return {"certificate": str(folder / "chain.pem"), "key": str(folder / "key.pem")}


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_https_is_served(start_gateway: StartGateway, tmp_path: Path, authority: trustme.CA) -> None:
    gateway = start_gateway({**ECHO, "server": {"tls": tls_settings(tmp_path, authority)}})

    with WireClient(gateway.address, client_context(authority)) as client:
        plain_answer = client.post_chat(chat("small"))
        streamed = client.post_chat(chat("small", stream=True))

    assert gateway.url.startswith("https://")
    assert plain_answer.status == 200
    assert streamed.payloads()[-1] == b"[DONE]"


def test_caller_needs_a_certificate_where_the_settings_say_so(
    start_gateway: StartGateway, tmp_path: Path, authority: trustme.CA
) -> None:
    callers = trustme.CA()
    callers.cert_pem.write_to_path(str(tmp_path / "callers.pem"))
    tls = {**tls_settings(tmp_path, authority), "client_ca": str(tmp_path / "callers.pem")}
    gateway = start_gateway({**ECHO, "server": {"tls": tls}})
    known = client_context(authority)
    callers.issue_cert("caller").configure_cert(known)
    stranger = client_context(authority)
    authority.issue_cert("caller").configure_cert(stranger)

    def status(context: ssl.SSLContext) -> int:
        with WireClient(gateway.address, context) as client:
            return client.post_chat(chat("small")).status

    assert status(known) == 200
    for context in (client_context(authority), stranger):
        with pytest.raises((ssl.SSLError, AssertionError, ConnectionError)):
            status(context)
    assert status(known) == 200


def test_upstream_is_reached_over_tls_with_its_own_authority(
    start_gateway: StartGateway, tmp_path: Path, authority: trustme.CA
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with ScriptedUpstream(context) as upstream:
        settings = relay_settings(upstream.url)
        untrusting = start_gateway(settings)
        refused = ask(untrusting, model="relayed")
        settings["upstreams"]["scripted"]["ca_file"] = str(tmp_path / "authority.pem")
        write_settings(tmp_path, settings)
        wait_until(lambda: ask(untrusting, model="relayed").status == 200, "the authority")

    assert refused.status == 502
    assert refused.json()["error"]["code"] == "upstream_unreachable"


def test_azure_style_credentials_and_queries_are_sent(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    settings = relay_settings(upstream.url + "/deployments/x")
    settings["upstreams"]["scripted"] |= {
        "auth_header": "api-key",
        "query": {"api-version": "2024-10-21"},
        "headers": {"X-Team": "blue"},
    }
    gateway = start_gateway(settings)

    assert ask(gateway, model="relayed").status == 200

    assert upstream.last.target == "/v1/deployments/x/chat/completions?api-version=2024-10-21"
    assert upstream.last.headers["api-key"] == UPSTREAM_KEY
    assert upstream.last.headers["x-team"] == "blue"
    assert "authorization" not in upstream.last.headers


# ---------------------------------------------------------------- browsers


PREFLIGHT = (
    ("origin", "https://app.example"),
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "authorization,content-type,x-stainless-lang"),
)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/v1/models"])
def test_preflight_of_a_known_origin_is_answered(start_gateway: StartGateway, path: str) -> None:
    gateway = start_gateway({**ECHO, "server": {"cors_origins": ["https://app.example"]}})

    with WireClient(gateway.address) as client:
        answer = client.request("OPTIONS", path, PREFLIGHT)
        stranger = client.request("OPTIONS", path, [("origin", "https://evil.example"), *PREFLIGHT[1:]])

    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert allowed == "*" or {"authorization", "content-type", "x-stainless-lang"} <= set(re.split(r",\s*", allowed))
    assert stranger.headers.get("access-control-allow-origin") is None


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("model", ["small", "none"], ids=["answer", "error"])
def test_answers_to_browsers_carry_their_origin(start_gateway: StartGateway, model: str, *, streamed: bool) -> None:
    gateway = start_gateway({**ECHO, "server": {"cors_origins": ["https://app.example"]}})

    with WireClient(gateway.address) as client:
        answer = client.post_chat(chat(model, stream=streamed), ("origin", "https://app.example"))

    assert answer.status == (200 if model == "small" else 404)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()


def test_no_cors_headers_without_the_setting(start_gateway: StartGateway) -> None:
    gateway = start_gateway(ECHO)

    with WireClient(gateway.address) as client:
        answer = client.request("OPTIONS", "/v1/chat/completions", PREFLIGHT)
        full = client.post_chat(chat("small"), PREFLIGHT[0])

    assert not [name for name, _ in (*answer.header_lines, *full.header_lines) if name.startswith("access-control")]


# ---------------------------------------------------------------- starting and stopping


@pytest.mark.parametrize("where", ["option", "file"])
def test_more_workers_than_one_are_refused(tmp_path: Path, where: str) -> None:
    path = write_settings(tmp_path, {**ECHO, "server": {"workers": 2} if where == "file" else {}})
    option = ["--workers", "2"] if where == "option" else []

    ended = tierway("serve", "--port", "0", "--config", str(path), *option, folder=tmp_path)

    assert ended.returncode == 2
    assert "redis" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104  refused, that is the point
def test_other_address_than_loopback_needs_a_key(tmp_path: Path, host: str) -> None:
    ended = tierway("serve", "--port", "0", "--host", host, folder=tmp_path)

    assert ended.returncode == 1
    assert "needs at least one key" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_address_than_loopback_is_served_with_a_key(start_gateway: StartGateway, tmp_path: Path) -> None:
    settings = {**ECHO, "organisation": {"teams": {"t": {"keys": [{"name": "n", "secret": KEY}]}}}}

    gateway = start_gateway(settings, arguments=["--host", "0.0.0.0"])  # noqa: S104  a key is needed

    address = ("127.0.0.1", gateway.address[1])
    with WireClient(address) as client:
        assert client.post_chat(chat("small")).status == 401
        assert client.post_chat(chat("small"), ("authorization", f"Bearer {KEY}")).status == 200


def test_broken_settings_stop_the_start_and_name_the_field(tmp_path: Path) -> None:
    path = write_settings(tmp_path, {**ECHO, "server": {"body_limit_mb": -1}})

    ended = tierway("serve", "--config", str(path), folder=tmp_path)

    assert ended.returncode == 1
    assert "server.body_limit_mb" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_taken_port_is_said_plainly(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway()
    (tmp_path / "other").mkdir()

    ended = tierway("serve", "--port", str(gateway.address[1]), folder=tmp_path / "other")

    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "address already in use" in ended.stderr


def test_stream_in_flight_is_finished_before_the_process_ends(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    go_on = Moment()
    first, last, done = events(chunk("Hi"), chunk(finish="stop"), b"[DONE]")
    upstream.script(stream(first, go_on, last, done))
    gateway = start_gateway(relay_settings(upstream.url))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat(stream=True), ("x-request-id", "drained")))
        client.head()
        assert client.chunk() == first

        gateway.terminate()
        wait_until(lambda: not is_listening(gateway), "the end of listening")
        go_on.happen()
        rest = client.chunk()
        while piece := client.chunk():
            rest = (rest or b"") + piece

        assert rest == last + done
        assert piece == b""
        assert client.is_closed_by_peer()
    assert gateway.wait_for_exit() == 0
    assert gateway.wait_for_log(request_id="drained")["status"] == 200


def test_stream_that_never_ends_is_told_why_it_is_cut(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    never = Moment()
    first = events(chunk("Hi"))[0]
    upstream.script(stream(first, never))
    gateway = start_gateway(relay_settings(upstream.url, server={"drain_s": 1}))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat(stream=True), ("x-request-id", "cut")))
        client.head()
        assert client.chunk() == first

        gateway.terminate()
        last = client.chunk()

        assert last is not None
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "shutting_down"
        assert client.is_closed_by_peer()
    assert gateway.wait_for_exit() == 0
    upstream.last.closed.wait()
    assert gateway.wait_for_log(request_id="cut")["code"] == "shutting_down"
    never.happen()


def test_plain_call_that_never_ends_is_a_503_at_the_end(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    never = Moment()
    upstream.script(plain({}, before=[never]))
    gateway = start_gateway(relay_settings(upstream.url, server={"drain_s": 1}))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat()))
        upstream.wait_for_request()

        gateway.terminate()
        answer = client.answer()

    assert answer.status == 503
    assert answer.json()["error"]["code"] == "shutting_down"
    assert gateway.wait_for_exit() == 0
    upstream.last.closed.wait()
    never.happen()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_the_process_at_once(
    start_gateway: StartGateway, upstream: ScriptedUpstream, sent: signal.Signals
) -> None:
    never = Moment()
    upstream.script(plain({}, before=[never]))
    gateway = start_gateway(relay_settings(upstream.url))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat()))
        upstream.wait_for_request()
        gateway.terminate()
        wait_until(lambda: not is_listening(gateway), "the end of listening")

        gateway.process.send_signal(sent)

        assert gateway.wait_for_exit() == -signal.SIGTERM
        upstream.last.closed.wait()
    never.happen()


def is_listening(gateway: LiveGateway) -> bool:
    try:
        socket.create_connection(gateway.address, 1).close()
    except OSError:
        return False
    return True


# ---------------------------------------------------------------- telling


def test_metrics_tell_of_traffic(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    upstream.script(
        plain({"id": "i", "choices": [], "usage": USAGE}),
        stream(*events(chunk("Hi", "stop"), {**chunk(), "choices": [], "usage": USAGE}, b"[DONE]")),
    )
    gateway = start_gateway(relay_settings(upstream.url))
    with WireClient(gateway.address) as client:
        client.post_chat(chat())
        client.post_chat(chat(stream=True))
        client.post_chat(chat("none"))
        client.request("GET", "/v1/models")

    wait_until(
        lambda: gateway.metrics().get('tierway_errors_total{code="model_not_found",source="gateway"}') == 1, "it"
    )

    found = gateway.metrics()
    labels = 'model="relayed",team="demo",tier="none"'
    assert found['tierway_requests_total{model="relayed",route="chat",status="200",team="demo",tier="none"}'] == 2
    assert found[f'tierway_tokens_total{{class="input",{labels}}}'] == 18
    assert found[f'tierway_tokens_total{{class="output",{labels}}}'] == 6
    assert found[f"tierway_cost_usd_total{{{labels}}}"] == pytest.approx(30e-6)
    assert found['tierway_request_duration_seconds_count{model="relayed"}'] == 2
    assert found['tierway_time_to_first_token_seconds_count{model="relayed"}'] == 2
    assert found["tierway_overhead_seconds_count"] == 2
    operation = 'gen_ai_operation_name="chat",gen_ai_request_model="relayed"'
    assert found[f"gen_ai_server_request_duration_count{{{operation}}}"] == 2
    assert found[f'gen_ai_client_token_usage_sum{{{operation},gen_ai_token_type="input"}}'] == 18
    assert found['tierway_upstream_calls_total{upstream="scripted"}'] == 2
    assert found['tierway_upstream_received_bytes_total{upstream="scripted"}'] > 0
    assert found["tierway_in_flight"] == 1
    assert found["process_resident_memory_bytes"] > 0


def test_log_tells_who_asked_whom_and_never_what(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    settings = relay_settings(upstream.url, organisation={"teams": {"t": {"keys": [{"name": "n", "secret": KEY}]}}})
    gateway = start_gateway(settings)
    with WireClient(gateway.address) as client:
        client.post_chat(
            chat(content="a secret question"), ("authorization", f"Bearer {KEY}"), ("x-request-id", "told")
        )

    line = gateway.wait_for_log(request_id="told")

    assert line["route"] == "chat"
    assert line["status"] == 200
    assert (line["team"], line["key"]) == ("t", "n")
    assert (line["requested_model"], line["routed_model"], line["answered_model"]) == (
        "relayed",
        "relayed",
        "scripted-1",
    )
    assert line["upstream"] == "scripted"
    assert line["attempts"] == 1
    assert line["duration_us"] >= line["overhead_us"] > 0
    everything = json.dumps(gateway.log) + "".join(gateway.messages)
    assert "secret question" not in everything
    assert "Hello." not in everything
    assert KEY not in everything
    assert UPSTREAM_KEY not in everything


def test_probes_are_answered(start_gateway: StartGateway) -> None:
    gateway = start_gateway()

    live, state = json.loads(gateway.get("/livez")), ready(gateway)
    schema = json.loads(gateway.get("/schema"))

    assert live == {"status": "live"}
    assert state["status"] == "ready"
    assert state["degraded"] == {}
    assert state["config"]["hash"] == "built-in"
    assert schema["openapi"].startswith("3.1")
    assert "/v1/chat/completions" in schema["paths"]
