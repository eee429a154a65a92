from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.accounting.lines import to_line
from gateway.cli.main import main
from tests.support.policy import document_of
from tests.support.usage import START, usage_record

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def start(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return start


def write(path: Path, **organisation: Any) -> Path:
    path.write_text(json.dumps(document_of(**organisation)))
    return path


def test_check_counts_the_examples_that_hold(run: Run, tmp_path: Path) -> None:
    examples = [{"key": "search/ci", "expect": {"allow": True, "tier": "simple"}}]

    status, out, _ = run("check", "--config", write(tmp_path / "f.yaml", examples=examples))

    assert status == 0
    assert "good (1 upstreams, 3 models, 1 keys in the file; hash " in out
    assert "  examples: 1, all hold" in out


def test_check_refuses_a_file_whose_examples_do_not_hold(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "f.yaml", examples=[{"key": "search/ci", "expect": {"allow": False}}])

    status, _, err = run("check", "--config", path)

    assert status == 1
    assert f"{path}: organisation.examples[0]: search/ci asks for 'auto': allow: expected false, came true" in err


def test_check_prints_warnings_and_is_content(run: Run, tmp_path: Path) -> None:
    teams = {"search": {"limits": {"concurrency": 3}}}

    status, out, _ = run("check", "--config", write(tmp_path / "f.yaml", limits={"concurrency": 2}, teams=teams))

    assert status == 0
    assert "  warning: organisation.teams.search.limits.concurrency: 3 can never be reached" in out


def test_check_as_json(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("check", "--json", "--config", write(tmp_path / "f.yaml", budgets=[{"usd": 0.1}]))

    found = json.loads(out)
    assert status == 0
    assert (found["models"], found["keys"], found["examples"]) == (3, 1, 0)
    assert found["warnings"][0].startswith("organisation.budgets[0].usd: ")


def test_check_as_json_says_where_a_file_is_wrong(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("check", "--json", "--config", write(tmp_path / "f.yaml", user_header="a b"))

    assert status == 1
    assert json.loads(out)["error"].startswith("organisation.user_header: ")


def test_check_shows_what_holds_for_a_key(run: Run, tmp_path: Path) -> None:
    keys = [{"name": "ci", "secret": "sk-tw-0123456789abcdef", "budgets": [{"usd": 5}]}]
    teams = {"search": {"models": ["small", "auto"], "keys": keys}}
    path = write(tmp_path / "f.yaml", limits={"requests_per_minute": 100}, teams=teams)

    status, out, _ = run("check", "--config", path, "--key", "search/ci")

    rows = [line.split("  ") for line in out.splitlines()]
    cells = [tuple(cell.strip() for cell in row if cell.strip()) for row in rows]
    assert status == 0
    assert cells[:2] == [("search/ci",), ("RULE", "VALUE", "FROM")]
    assert ("models", "small, auto", "team 'search'") in cells
    assert ("limit", "100 requests a minute", "organisation 'default'") in cells
    assert ("budget", "5.00 USD a month", "key 'search/ci'") in cells


def test_check_says_when_a_key_is_not_in_the_file(run: Run, tmp_path: Path) -> None:
    _, out, _ = run("check", "--config", write(tmp_path / "f.yaml"), "--key", "search/other")

    assert "not in the file: its team's and the organisation's rules" in out


def test_check_shows_a_key_as_json(run: Run, tmp_path: Path) -> None:
    _, out, _ = run("check", "--config", write(tmp_path / "f.yaml"), "--key", "search/ci", "--json")

    found = json.loads(out)
    assert found["key"] == "search/ci"
    assert {"name": "models", "value": "*", "level": "default"} in found["rules"]


@pytest.mark.parametrize("arguments", [("check",), ("check", "--key", "ci")])
def test_a_wrong_call_of_check_is_status_2(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIERWAY_CONFIG", raising=False)
    config = () if len(arguments) == 1 else ("--config", write(tmp_path / "f.yaml"))

    assert run(*arguments, *config)[0] == 2


def test_plan_says_that_nothing_changes(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.yaml"), write(tmp_path / "new.yaml")

    assert run("plan", "--from", old, "--to", new) == (0, "nothing changes for anybody\n", "")


def test_plan_ends_with_3_when_somebody_is_newly_denied(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.yaml"), write(tmp_path / "new.yaml", models=["small", "auto*", "middle"])

    status, out, _ = run("plan", "--from", old, "--to", new)

    assert status == 3
    assert out == "newly denied:\n  */*, search/*, search/ci: 'big': model_not_allowed\n"


def test_plan_ends_with_0_when_only_limits_change(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.yaml"), write(tmp_path / "new.yaml", limits={"concurrency": 5})

    status, out, _ = run("plan", "--from", old, "--to", new)

    assert (status, out) == (0, "tighter limits:\n  organisation 'default': new: 5 requests at once\n")


def test_plan_with_replay_tells_whom_recorded_requests_would_have_been_denied(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.yaml"), write(tmp_path / "new.yaml", limits={"requests_per_minute": 1})
    usage = tmp_path / "usage.jsonl"
    usage.write_bytes(b"".join(to_line(usage_record(at=START + second)) for second in range(3)))

    status, out, _ = run("plan", "--from", old, "--to", new, "--replay", usage)

    assert status == 3
    assert "replay: 3 requests, 0 records skipped" in out
    assert "  denied by 1 requests a minute of organisation 'default': 0 -> 2" in out
    assert "  tier simple: 3 -> 1" in out


def test_plan_as_json(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.yaml"), write(tmp_path / "new.yaml", tiers=["simple"])
    usage = tmp_path / "usage.jsonl"
    usage.write_bytes(to_line(usage_record(requested_model="big")))

    status, out, _ = run("plan", "--json", "--from", old, "--to", new, "--replay", usage)

    found = json.loads(out)
    assert status == 3
    assert {change["what"] for change in found["changes"]["denied"]} >= {"'big': model_not_allowed"}
    assert found["replay"]["total"]["newly_denied"] == 1


def test_plan_names_the_file_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.yaml"), write(tmp_path / "new.yaml", tiers=[])

    status, _, err = run("plan", "--from", old, "--to", new)

    assert (status, err) == (1, f"tierway: plan: {new}: organisation.tiers: at least one tier is needed\n")


def test_plan_names_the_line_of_recorded_usage_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    old = write(tmp_path / "old.yaml")
    usage = tmp_path / "usage.jsonl"
    usage.write_text("{}\n")

    status, _, err = run("plan", "--from", old, "--to", old, "--replay", usage)

    assert status == 2
    assert f"{usage}: line 1: not a record of usage" in err


def test_plan_refuses_a_new_file_whose_examples_do_not_hold(run: Run, tmp_path: Path) -> None:
    examples = [{"key": "search/ci", "expect": {"allow": False}}]
    old, new = write(tmp_path / "old.yaml"), write(tmp_path / "new.yaml", examples=examples)

    status, _, err = run("plan", "--from", old, "--to", new)

    assert status == 1
    assert "organisation.examples[0]" in err
