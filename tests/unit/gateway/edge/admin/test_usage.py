from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.types import HTTPScope, Message

from gateway.accounting.lines import from_line
from gateway.domain.errors import GatewayError
from gateway.edge.admin.usage import NEXT_HEADER, usage_router
from gateway.edge.errors import error_body
from policies.stores.ledgers.base import GROUPS
from policies.stores.ledgers.memory import MemoryLedger
from tests.support.usage import START, usage_record


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes


def _in_shape(_: Request[Any, Any, Any], error: GatewayError) -> Response[bytes]:
    return Response(error_body(error, "req-1"), status_code=error.status, media_type="application/json")


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(lambda: START)


@pytest.fixture
def app(ledger: MemoryLedger) -> Litestar:
    state = State({"current": SimpleNamespace(ledger=ledger)})
    return Litestar([usage_router()], state=state, exception_handlers={GatewayError: _in_shape}, openapi_config=None)


async def ask(app: Litestar, path: str = "/usage", query: str = "", **parameters: str) -> Answer:
    scope: HTTPScope = {  # type: ignore[typeddict-item]  # the framework adds the rest
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": (query or urlencode(parameters)).encode(),
        "headers": [],
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "app": app,
        "state": {},
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent[1:]))


async def test_usage_is_summed_up_in_json(app: Litestar, ledger: MemoryLedger) -> None:
    await ledger.append(usage_record(team="a"))
    await ledger.append(usage_record(team="b", cost_microusd=1_500_000))

    answer = await ask(app, group_by="team,model")

    document = json.loads(answer.body)
    assert (answer.status, document["group_by"]) == (200, ["team", "model"])
    first, second = document["data"]
    assert (first["team"], first["model"], first["requests"], first["cached_tokens"]) == ("a", "small", 1, 10)
    assert (second["cost_microusd"], second["cost_usd"]) == (1_500_000, 1.5)


async def test_everything_is_one_row_without_groups(app: Litestar, ledger: MemoryLedger) -> None:
    await ledger.append(usage_record())
    await ledger.append(usage_record())

    document = json.loads((await ask(app)).body)

    assert [row["requests"] for row in document["data"]] == [2]


async def test_usage_is_a_csv_file(app: Litestar, ledger: MemoryLedger) -> None:
    await ledger.append(usage_record())

    answer = await ask(app, group_by="day,team", format="csv")

    header, row = csv.reader(io.StringIO(answer.body.decode()))
    named = dict(zip(header, row, strict=True))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert header[:3] == ["day", "team", "requests"]
    assert (named["day"], named["cost_usd"], named["held_usd"]) == ("2027-01-15", "0.000300", "0.001000")


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "\r=1"])
async def test_no_cell_is_a_formula(app: Litestar, ledger: MemoryLedger, name: str) -> None:
    await ledger.append(usage_record(user=name))

    answer = await ask(app, group_by="user", format="csv")

    _, row = csv.reader(io.StringIO(answer.body.decode(), newline=""))
    assert row[0] == f"'{name}"


async def test_usage_of_a_time_and_a_team(app: Litestar, ledger: MemoryLedger) -> None:
    await ledger.append(usage_record(at=START))
    await ledger.append(usage_record(at=START - 86_400))
    await ledger.append(usage_record(team="other"))

    answer = await ask(app, since="2027-01-15", until="2027-01-15T10:00:00+01:00", team="search", key="search/ci")

    assert json.loads(answer.body)["data"][0]["requests"] == 1


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("since=yesterday", "since"),
        ("until=2026-13-01", "until"),
        ("since=nan", "since"),
        ("since=99999999999999", "since"),
        ("since=-5", "since"),
        ("since=2026-11-02&until=2026-11-01", "since"),
        ("group_by=colour", "group_by"),
        ("group_by=team,team", "group_by"),
        ("format=xml", "format"),
        ("groupby=team", None),
        ("team=a&team=b", None),
    ],
)
async def test_a_bad_question_is_a_400_that_names_what_is_wrong(app: Litestar, query: str, param: str | None) -> None:
    answer = await ask(app, query=query)

    error = json.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", param)


async def test_too_many_rows_are_a_400(app: Litestar, ledger: MemoryLedger) -> None:
    for number in range(10_001):
        await ledger.append(usage_record(user=str(number)))

    answer = await ask(app, group_by="user")

    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "too_many_rows")


async def test_records_are_exported_page_by_page(app: Litestar, ledger: MemoryLedger) -> None:
    records = [usage_record(at=START + number) for number in range(7)]
    for record in records:
        await ledger.append(record)

    first = await ask(app, "/usage/records", limit="5")
    second = await ask(app, "/usage/records", limit="5", after=first.headers[NEXT_HEADER])

    lines = (first.body + second.body).splitlines()
    assert [from_line(line) for line in lines] == records
    assert first.headers["content-type"] == "application/jsonl"
    assert NEXT_HEADER not in second.headers


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=5001", "limit=x", "after=!", "after=bm93aGVyZQ==", "group_by=team"]
)
async def test_a_bad_page_is_a_400(app: Litestar, query: str) -> None:
    assert (await ask(app, "/usage/records", query=query)).status == 400


async def test_every_group_can_be_asked_for(app: Litestar, ledger: MemoryLedger) -> None:
    await ledger.append(usage_record())

    document = json.loads((await ask(app, group_by=",".join(GROUPS))).body)

    assert set(GROUPS) <= set(document["data"][0])
