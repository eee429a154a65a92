"""The pages in docs/ say what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.telemetry import Record, Telemetry

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_pages_are_fresh() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


def test_a_stale_page_fails_the_check(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "generate.py").write_text((ROOT / "docs" / "generate.py").read_text())
    (docs / "settings.md").write_text("old")

    checked = subprocess.run(
        [sys.executable, str(docs / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 1
    assert "docs/settings.md is stale" in checked.stderr


@pytest.mark.parametrize("field", Record.__struct_fields__)
def test_every_field_of_the_log_is_described(field: str) -> None:
    assert f"`{field}`" in OPERATIONS


def test_every_metric_is_described() -> None:
    telemetry = Telemetry()

    names = {family.name for family in telemetry.collect()}

    assert {name for name in names if not re.search(rf"`{name}(_total)?`", OPERATIONS)} == set()


def test_no_metric_is_described_that_does_not_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    described = re.findall(r"^\| `tierway_(\w+?)(?:_total)?` \|", OPERATIONS, re.MULTILINE)

    missing = [name for name in described if name not in sources and not name.startswith("upstream_")]

    assert described
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []
