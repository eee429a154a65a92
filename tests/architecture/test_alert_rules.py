"""The rules for Prometheus say what the gateway's own alerts say, over metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from gateway.alerts.budgets import EXHAUSTED_SHARE
from gateway.alerts.settings import AlertSettings
from gateway.alerts.traffic import _UNWATCHED
from gateway.telemetry import Record, Telemetry

ROOT: Final = Path(__file__).parents[2]
SHIPPED: Final = ROOT / "docs" / "alerts.rules.yaml"
TEXT: Final = SHIPPED.read_text()
RULES: Final[list[dict[str, Any]]] = yaml.safe_load(TEXT)["groups"][0]["rules"]
ALERTS: Final = {rule["alert"]: rule for rule in RULES if "alert" in rule}
DEFAULTS: Final = AlertSettings()

HISTOGRAM_PARTS: Final = ("_bucket", "_sum", "_count")


def test_the_chart_ships_the_same_rules() -> None:
    assert (ROOT / "helm" / "alerts.rules.yaml").read_text() == TEXT
    assert '.Files.Get "alerts.rules.yaml"' in (ROOT / "helm" / "templates" / "prometheusrule.yaml").read_text()


def test_every_metric_of_the_rules_exists() -> None:
    telemetry = Telemetry()
    telemetry.record(Record(0.0, "r", "chat", 200, routed_model="m"))
    known = {family.name for family in telemetry.collect()}
    # Families that are made of the running gateway's parts are only found by their names.
    known |= set(re.findall(r'"(tierway_\w+)"', "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))))

    used = set(re.findall(r"\btierway_\w+", "\n".join(rule["expr"] for rule in RULES)))

    assert used
    assert {name for name in used if plain(name) not in known} == set()


def plain(name: str) -> str:
    """Return the name of the family that a sample belongs to."""
    for part in ("_total", *HISTOGRAM_PARTS):
        name = name.removesuffix(part)
    return name


def test_every_record_is_used_and_every_used_record_exists() -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}

    used = set(re.findall(r"\btierway:[\w:]+", "\n".join(rule["expr"] for rule in ALERTS.values())))

    assert used == recorded


@pytest.mark.parametrize(
    ("alert", "threshold"),
    [
        ("TierwayTimeoutRate", DEFAULTS.timeout_rate),
        ("TierwayErrorRate", DEFAULTS.error_rate),
        ("TierwayTeamErrorRate", DEFAULTS.error_rate),
        ("TierwayCostPerWorkflow", DEFAULTS.cost_per_workflow_usd),
        ("TierwayLatencyP95", DEFAULTS.p95_latency_s),
    ],
)
def test_thresholds_are_the_defaults_of_the_settings(alert: str, threshold: float) -> None:
    rule = ALERTS[alert]

    assert float(re.findall(r" > ([\d.]+)$", rule["expr"], re.MULTILINE)[0]) == threshold
    assert re.findall(r"\* (\d+) >= (\d+)$", rule["expr"].strip()) == [
        (str(DEFAULTS.window_s), str(DEFAULTS.min_count))
    ]
    assert rule["for"] == rule["keep_firing_for"] == f"{DEFAULTS.for_s / 60:g}m"
    assert f"[{DEFAULTS.window_s // 60}m]" in rule["expr"]


def test_budgets_are_judged_as_the_gateway_does() -> None:
    spent = float(ALERTS["TierwayBudgetExhausted"]["expr"].split("<= ")[1].split()[0])

    assert spent == pytest.approx(1 - EXHAUSTED_SHARE)
    assert f"[30m], {DEFAULTS.forecast_within_s:g})" in ALERTS["TierwayBudgetForecast"]["expr"]


def test_rules_pass_over_the_routes_that_are_not_watched() -> None:
    named = {name for found in re.findall(r'route!~"([^"]+)"', TEXT) for name in found.split("|")}
    unrecorded = {"health", "metrics"}

    assert named == _UNWATCHED - unrecorded
    assert TEXT.count("tierway_requests_total{") == TEXT.count("tierway_requests_total{route!~")


@pytest.mark.parametrize(("status", "is_counted"), [(200, True), (400, False), (429, False), (499, True), (504, True)])
def test_refusals_do_not_count_but_callers_that_leave_do(status: int, is_counted: bool) -> None:  # noqa: FBT001
    patterns = set(re.findall(r'status!~"([^"]+)"', TEXT))

    assert {re.fullmatch(pattern, str(status)) is None for pattern in patterns} == {is_counted}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_severity_and_a_summary(alert: str) -> None:
    assert ALERTS[alert]["labels"]["severity"] in {"warning", "critical"}
    assert ALERTS[alert]["annotations"]["summary"]
