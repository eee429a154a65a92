from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.domain.usage import Usage
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from policies.stores.ledgers.base import Ledger, UsageRecord
from policies.stores.ledgers.embedded import EmbeddedLedger
from policies.stores.ledgers.redis import RedisLedger
from tests.support.live import write_settings
from tests.support.redis_server import shared_server
from tests.support.resilience import organisation_of
from tests.support.usage import usage_record

Run = Callable[..., tuple[int, str, str]]

USAGE = "date,model,input_tokens,cached_tokens,output_tokens,requests,cost_usd\n2027-01-15,small,110,10,20,1,0.0003\n"


async def keep(ledger: Ledger, *records: UsageRecord) -> None:
    for record in records:
        await ledger.append(record)
    await ledger.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_settings(
        tmp_path,
        {
            "state": f"sqlite:///{tmp_path}/tierway.db",
            "upstreams": {"openai": {"kind": "echo"}},
            "models": {"small": {"upstream": "openai"}},
        },
    )


@pytest.fixture
def recorded(tmp_path: Path) -> None:
    asyncio.run(keep(EmbeddedLedger(tmp_path / "tierway.db"), usage_record(), usage_record(team="\x1b[1mx")))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def start(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return start


@pytest.mark.usefixtures("recorded")
def test_usage_is_a_table(run: Run, config: Path) -> None:
    status, out, _ = run("usage", "--config", config, "--group-by", "team", "--since", "2027-01-01")

    assert status == 0
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["TEAM", "REQUESTS"],
        ["?[1mx", "1"],
        ["search", "1"],
        ["total", "2"],
    ]


@pytest.mark.usefixtures("recorded")
def test_usage_is_csv_and_json(run: Run, config: Path) -> None:
    _, table, _ = run("usage", "--config", config, "--team", "search", "--format", "csv")
    _, document, _ = run("usage", "--config", config, "--team", "search", "--format", "json")

    assert table.splitlines()[1].startswith("search,small,1,")
    assert json.loads(document)[0]["requests"] == 1


def test_a_gateway_that_never_ran_has_used_nothing(run: Run, config: Path) -> None:
    status, out, _ = run("usage", "--config", config)

    assert (status, len(out.splitlines())) == (0, 1)
    assert sorted(path.name for path in config.parent.iterdir()) == [config.name]


def test_a_bad_question_is_a_wrong_call(run: Run, config: Path) -> None:
    status, _, err = run("usage", "--config", config, "--since", "soon")

    assert status == 2
    assert "usage: 'since' must be a day" in err


@pytest.mark.usefixtures("recorded")
def test_a_broken_ledger_is_told(run: Run, config: Path) -> None:
    (config.parent / "tierway.ledger.db").write_bytes(b"no database" * 100)

    status, _, err = run("usage", "--config", config)

    assert status == 1
    assert "usage: the ledger's file fails (DatabaseError)" in err


def test_usage_on_redis(run: Run, tmp_path: Path) -> None:
    organisation, url = organisation_of(tmp_path), shared_server().url
    config = write_settings(
        tmp_path,
        {
            "state": url,
            "organisation": {"name": organisation},
            "upstreams": {"openai": {"kind": "echo"}},
            "models": {"small": {"upstream": "openai"}},
        },
    )

    async def record() -> None:
        await keep(RedisLedger(RedisConnection(parse_address(url)), organisation), usage_record())

    asyncio.run(record())

    status, out, _ = run("usage", "--config", config, "--group-by", "team")

    assert (status, out.splitlines()[1].split()[:2]) == (0, ["search", "1"])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "usage.csv"
    path.write_text(USAGE)
    return path


def test_an_export_that_agrees_ends_well(run: Run, config: Path, export: Path) -> None:
    asyncio.run(keep(EmbeddedLedger(config.parent / "tierway.db"), usage_record()))

    status, out, _ = run("reconcile", export, "--config", config)

    assert status == 0
    assert "small  all            130   130      0.0003  0.0003  0.00%" in out
    assert out.endswith("2027-01-15 to 2027-01-15: within the tolerance of 1.00%\n")


@pytest.mark.usefixtures("recorded")
def test_drift_ends_with_one_and_its_cause(run: Run, config: Path, export: Path) -> None:
    status, out, _ = run("reconcile", export, "--config", config, "--upstream", "openai")

    assert status == 1
    assert "more here than in the export" in out
    assert "2027-01-15" in out
    assert "beyond the tolerance" in out


@pytest.mark.usefixtures("recorded")
def test_a_larger_tolerance_lets_it_pass(run: Run, config: Path, export: Path) -> None:
    assert run("reconcile", export, "--config", config, "--tolerance", "0.6")[0] == 0


def test_only_the_days_that_are_asked_for_are_matched(run: Run, config: Path, export: Path) -> None:
    late = usage_record(at=1_800_000_000.0 + 86_400, usage=Usage(input_tokens=1))
    asyncio.run(keep(EmbeddedLedger(config.parent / "tierway.db"), usage_record(), late))

    assert run("reconcile", export, "--config", config, "--until", "2027-01-17")[0] == 1
    assert run("reconcile", export, "--config", config, "--until", "2027-01-16")[0] == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("colour\nred\n", "not an export that is known"),
        ("date,model,cost_usd\n", "the export has no lines"),
        ("date,model,cost_usd\nsoon,m,1\n", "line 2: 'date' must be a day"),
        (b"\xff\xfe\xff", "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    run: Run, config: Path, export: Path, content: str | bytes | None, problem: str
) -> None:
    export.unlink()
    if content is not None:
        export.write_bytes(content if isinstance(content, bytes) else content.encode())

    status, _, err = run("reconcile", export, "--config", config)

    assert status == 1
    assert problem in err


@pytest.mark.parametrize(
    "options", [("--tolerance", "2"), ("--since", "x"), ("--upstream", "nobody"), ("--since", "2028-01-01")]
)
def test_a_wrong_call_ends_with_two(run: Run, config: Path, export: Path, options: tuple[str, str]) -> None:
    assert run("reconcile", export, "--config", config, *options)[0] == 2
