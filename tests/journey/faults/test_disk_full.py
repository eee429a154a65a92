"""The disk on which a gateway by itself keeps its books is full."""

from __future__ import annotations

import resource
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.faults.conftest import Govern
from tests.support.faults import RULES, assert_all_is_well, degraded, ready, with_budget, without_budget
from tests.support.governed import COST, charged
from tests.support.live import LiveGateway, wait_until

DISK_BYTES = 4 * 2**20
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of a few megabytes, or say loudly that this machine does not let us."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        text = "tmpfs cannot be mounted here: a full disk is tested by the size limit of files only"
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn(text, stacklevel=2)
        pytest.skip(text)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607  the system's own


def fill(folder: Path) -> Path:
    """Write until there is no room."""
    path = folder / "filler"
    with pytest.raises(OSError, match="No space left"):
        write_for_ever(path)
    return path


def write_for_ever(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def assert_budgets_deny(gateway: LiveGateway) -> None:
    wait_until(lambda: with_budget(gateway).status == 503, "a refusal")
    assert "x-should-retry" not in with_budget(gateway).headers
    for _ in range(5):
        assert without_budget(gateway).status == 200
        assert with_budget(gateway).status == 503
    assert {"limits", "ledger"} <= degraded(gateway)
    found = ready(gateway)
    assert found["status"] == "ready"
    assert "requests with a budget are refused with 503" in found["when_lost"]["disk"]


def test_budgets_deny_while_a_disk_is_full_and_go_on_when_there_is_room(small_disk: Path, govern: Govern) -> None:
    gateway = govern(RULES, state=f"sqlite:///{small_disk}/tierway.db")
    assert_all_is_well(gateway)
    before = charged(gateway)

    filler = fill(small_disk)
    assert_budgets_deny(gateway)
    filler.unlink()

    assert_all_is_well(gateway)
    spent = charged(gateway)
    assert spent > before
    assert spent % COST == 0
    assert gateway.stop() == 0


def test_what_was_settled_on_a_full_disk_is_known_to_the_next_process(small_disk: Path, govern: Govern) -> None:
    state = f"sqlite:///{small_disk}/tierway.db"
    gateway = govern(RULES, state=state)
    assert_all_is_well(gateway)
    filler = fill(small_disk)
    assert_budgets_deny(gateway)
    filler.unlink()
    assert_all_is_well(gateway)
    spent = charged(gateway)

    gateway.kill()

    assert charged(govern(RULES, state=state)) == spent


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be set on Linux only")
def test_budgets_deny_while_no_file_may_grow(govern: Govern) -> None:
    gateway = govern(RULES)
    assert_all_is_well(gateway)

    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert_budgets_deny(gateway)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, NO_LIMIT)

    assert_all_is_well(gateway)
