"""Answers by meaning, through running gateways: alone, again after a restart, and on two replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.live import LiveGateway, wait_until
from tests.support.moment import Moment
from tests.support.redis_server import RedisServer
from tests.support.semantic import CAPITAL, EGG, THE_EGG
from tests.support.thinking_server import ThinkingServer, measured

ADMIN = {"authorization": "Bearer admin-key-of-the-cache-tests"}
SEAL = "encryption-key-of-the-cache-tests"

Start = Callable[..., LiveGateway]


class Asked:
    """What came of one request."""

    def __init__(self, reply: httpx2.Response) -> None:
        self.status, self.headers, self.text = reply.status_code, reply.headers, reply.text
        self.cached = reply.headers.get("x-tierway-cache", "")
        self.id = reply.headers["x-request-id"]


def ask(gateway: LiveGateway, text: str, *, stream: bool = False) -> Asked:
    document = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream}
    return Asked(httpx2.post(f"{gateway.api}/chat/completions", json=document, timeout=30.0))


def operate(gateway: LiveGateway, method: str, path: str) -> Any:
    return httpx2.request(method, f"{gateway.url}/admin/cache{path}", headers=ADMIN, timeout=30.0).json()


def wait_for_entries(gateway: LiveGateway, count: int) -> None:
    """Wait until questions can be found."""

    def holds() -> bool:
        shown = operate(gateway, "GET", "/")["semantic"]
        return bool(shown["is_warm"]) and shown["entries"] >= count

    wait_until(holds, f"{count} questions")


@pytest.fixture
def thinker() -> Iterator[ThinkingServer]:
    with ThinkingServer() as server:
        yield server


@pytest.fixture
def start(start_gateway: Start, thinker: ThinkingServer, tmp_path: Path) -> Start:
    environment = measured(tmp_path / "models")

    def started(**sections: Any) -> LiveGateway:
        settings = thinker.settings(**sections.pop("cache", {}))
        gateway = start_gateway({**settings, **sections}, environment=environment)
        wait_for_entries(gateway, 0)
        return gateway

    return started


def test_a_question_that_means_the_same_costs_nothing(start: Start, thinker: ThinkingServer) -> None:
    gateway = start()
    first = ask(gateway, EGG)
    wait_for_entries(gateway, 1)

    plain, streamed = ask(gateway, THE_EGG), ask(gateway, THE_EGG, stream=True)
    other = ask(gateway, CAPITAL)

    assert first.cached == "miss;empty"
    assert [one.cached.split(";")[0] for one in (plain, streamed)] == ["semantic", "semantic"]
    assert plain.headers["x-tierway-cost"] == "0.000000"
    assert '"answer 1"' in plain.text
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert other.cached.startswith("miss;")
    assert len(thinker.asked) == 2
    assert gateway.metrics()['tierway_semantic_lookups_total{result="hit"}'] == 2


@pytest.mark.parametrize("by", ["operator", "caller"])
def test_a_wrong_hit_is_forgotten_and_never_comes_again(start: Start, thinker: ThinkingServer, by: str) -> None:
    gateway = start()
    ask(gateway, EGG)
    wait_for_entries(gateway, 1)
    wrong = ask(gateway, THE_EGG)
    entry = wrong.cached.rpartition("entry=")[2]

    if by == "operator":
        assert operate(gateway, "DELETE", f"/{entry}") == {"deleted": 1}
    else:
        told = {"request_id": wrong.id, "rating": "bad"}
        assert httpx2.post(f"{gateway.api}/feedback", json=told, timeout=30.0).status_code == 200
        wait_until(lambda: operate(gateway, "GET", "/")["semantic"]["entries"] == 0, "an empty cache")
    ask(gateway, EGG)
    wait_for_entries(gateway, 1)
    again = ask(gateway, THE_EGG)

    assert again.cached == "miss;barred"
    assert operate(gateway, "GET", "/")["false_hits"]["wrong"] == 1


def test_answers_can_be_forgotten_by_who_made_or_shares_them(start: Start, thinker: ThinkingServer) -> None:
    gateway = start()
    ask(gateway, EGG)
    wait_for_entries(gateway, 1)

    refused = operate(gateway, "DELETE", "/")
    unknown = operate(gateway, "DELETE", "/0123456789abcdef")
    of_others = operate(gateway, "DELETE", "/?tenant=team:nobody/nothing")
    of_all = operate(gateway, "DELETE", "/?all=true")
    again = ask(gateway, THE_EGG)

    assert refused["error"]["code"] == "missing_required_parameter"
    assert unknown["error"]["code"] == "entry_not_found"
    assert (of_others, of_all) == ({"deleted": 0}, {"deleted": 1})
    assert again.cached == "miss;gone"


def test_hits_are_checked_upstream_and_the_share_of_wrong_ones_is_told(start: Start, thinker: ThinkingServer) -> None:
    gateway = start(cache={"audit_share": 1.0})
    thinker.says = "Seven minutes."
    ask(gateway, EGG)
    wait_for_entries(gateway, 1)
    ask(gateway, THE_EGG)
    wait_until(lambda: operate(gateway, "GET", "/")["false_hits"]["audits"] == 1, "an audit")

    told = operate(gateway, "GET", "/")["false_hits"]

    assert (told["wrong"], told["rate"]) == (0, 0.0)
    assert 0 < told["bound"] < 1
    assert [document["messages"][0]["content"] for document in thinker.asked] == [EGG, THE_EGG]


def test_a_restart_forgets_nothing_and_the_files_tell_nothing(start: Start, thinker: ThinkingServer) -> None:
    thinker.says = "Seven minutes and a pinch of salt."
    gateway = start(encryption_key=SEAL)
    ask(gateway, EGG)
    wait_for_entries(gateway, 1)
    gateway.stop()
    written = b"".join(path.read_bytes() for path in gateway.folder.glob("tierway.*") if path.is_file())

    again = start(encryption_key=SEAL)
    wait_for_entries(again, 1)
    exact, semantic = ask(again, EGG), ask(again, THE_EGG)

    assert [one.cached.split(";")[0] for one in (exact, semantic)] == ["exact", "semantic"]
    assert len(thinker.asked) == 1
    assert not [word for word in (b"peeled", b"pinch of salt") if word in written]


def test_other_settings_find_none_of_the_answers(start: Start, thinker: ThinkingServer) -> None:
    gateway = start(encryption_key=SEAL)
    ask(gateway, EGG)
    ask(gateway, CAPITAL)
    wait_for_entries(gateway, 2)
    gateway.stop()
    model = {"upstream": "thinker", "model": "another", "price": {"input": 1.0, "output": 2.0}}

    again = start(encryption_key=SEAL, models={"m": model})
    wait_for_entries(again, 2)

    assert ask(again, THE_EGG).cached.startswith("miss;")
    assert ask(again, CAPITAL).cached.startswith("miss;")


@pytest.fixture
def replicas(thinker: ThinkingServer, tmp_path: Path) -> Iterator[tuple[LiveGateway, LiveGateway]]:
    environment = measured(tmp_path / "models")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        settings = {**thinker.settings(), "state": redis.url, "encryption_key": SEAL}
        gateways = []
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir()
            gateways.append(stack.enter_context(LiveGateway(folder, settings, environment=environment)))
        for gateway in gateways:
            wait_for_entries(gateway, 0)
        yield gateways[0], gateways[1]


def test_what_one_replica_was_told_the_other_knows(
    replicas: tuple[LiveGateway, LiveGateway], thinker: ThinkingServer
) -> None:
    one, other = replicas
    ask(one, EGG)
    wait_for_entries(other, 1)

    exact, semantic = ask(other, EGG), ask(other, THE_EGG)
    entry = semantic.cached.rpartition("entry=")[2]
    operate(other, "DELETE", f"/{entry}")
    wait_until(lambda: operate(one, "GET", "/")["semantic"]["entries"] == 0, "one without entries")

    assert [found.cached.split(";")[0] for found in (exact, semantic)] == ["exact", "semantic"]
    assert ask(one, EGG).cached.startswith("miss;")
    assert len(thinker.asked) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_equal_requests_on_two_replicas_make_one_call(
    replicas: tuple[LiveGateway, LiveGateway], thinker: ThinkingServer, *, stream: bool
) -> None:
    thinker.gate = gate = Moment("the answer")
    with ThreadPoolExecutor(100) as pool:
        asking = [pool.submit(ask, replicas[number % 2], EGG, stream=stream) for number in range(100)]
        wait_until(lambda: len(thinker.asked) == 1, "a call")
        wait_until(lambda: sum(_waiting(gateway) for gateway in replicas) == 100, "100 requests")
        gate.happen()
        answers = [future.result() for future in asking]

    assert [answer.status for answer in answers] == [200] * 100
    assert len(thinker.asked) == 1
    assert sum(answer.cached.startswith("miss;") for answer in answers) == 1


def _waiting(gateway: LiveGateway) -> int:
    return int(gateway.metrics()["tierway_in_flight"]) - 1
