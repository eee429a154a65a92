"""Who starts, tells and replaces workers, with workers that only note what they are told."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import pytest

from tests.support.fake_worker import FAILED
from tests.support.live import ROOT, wait_until
from tests.support.moment import PATIENCE_S

_DRIVER: Final = """
import logging, sys
from gateway.edge.listening import open_listeners
from gateway.edge.workers import supervisor, worker
from gateway.settings import ServerSettings

folder, fake, count, end_s, has_file = sys.argv[1:]
worker.READY_S, supervisor.PAUSES_S, supervisor.FORCED_S = 2.0, (0.01,), 0.2
logging.basicConfig(level=logging.INFO, format="%(message)s")
plan = supervisor.Plan(
    command=[sys.executable, fake, folder],
    count=int(count),
    end_s=float(end_s),
    label_top_n=50,
    has_file=has_file == "True",
)
listeners = open_listeners(ServerSettings(), "127.0.0.1", 0)
print("port", listeners.main.getsockname()[1], file=sys.stderr, flush=True)
sys.exit(supervisor.supervise(plan, listeners, lambda banner: print("announced", banner, file=sys.stderr, flush=True)))
"""


class Supervised:
    """A supervisor of fake workers. Use as a context manager.

    Args:
        folder: where workers are told how to behave, and leave their notes.
        behaviour: of those that start next; see `tests.support.fake_worker`.
        count: workers.
        end_s: seconds they get to end.
        has_file: whether there are settings to load again.
    """

    def __init__(
        self, folder: Path, behaviour: str = "serve", *, count: int = 2, end_s: float = 20.0, has_file: bool = True
    ) -> None:
        self._folder = folder
        self._errors = folder / "errors"
        (folder / "events").touch()
        (folder / "tmp").mkdir()
        self.behave(behaviour)
        fake = ROOT / "tests" / "support" / "fake_worker.py"
        self._command = [sys.executable, "-c", _DRIVER, str(folder), str(fake), str(count), str(end_s), str(has_file)]

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self._folder / "tmp")}
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(self._command, env=environment, stderr=errors, stdout=errors)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for line in self.said("banner") + self.said(" is ready"):
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(int(line.replace("(", "").replace(")", "").split()[2]), signal.SIGKILL)

    def behave(self, behaviour: str) -> None:
        (self._folder / "behaviour").write_text(behaviour)

    def go(self) -> None:
        """Let those that linger end."""
        (self._folder / "go").touch()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def events(self) -> list[str]:
        return (self._folder / "events").read_text().splitlines()

    def said(self, part: str) -> list[str]:
        return [line for line in self._errors.read_text().splitlines() if part in line]

    def wait_for(self, *events: str) -> None:
        """Wait until all of these are noted."""
        wait_until(lambda: set(events) <= set(self.events), f"{events} among {self.events} {self.said('')}")

    def wait_until_said(self, part: str, count: int = 1) -> None:
        wait_until(lambda: len(self.said(part)) >= count, f"{part!r} among {self.said('')}")

    def pid_of(self, number: int) -> int:
        (line,) = self.said(f"worker {number} (")
        return int(line.partition("(")[2].partition(")")[0])

    def exit_status(self) -> int:
        return self.process.wait(PATIENCE_S)

    def left_behind(self) -> list[Path]:
        """Return what remains of its private folder."""
        return list((self._folder / "tmp").iterdir())

    @property
    def address(self) -> tuple[str, int]:
        (line,) = self.said("port ")
        return "127.0.0.1", int(line.removeprefix("port "))


Supervise = Callable[..., Supervised]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Start a supervisor; arguments as for `Supervised`, without the folder."""
    with ExitStack() as stack:

        def start(*arguments: object, **options: object) -> Supervised:
            return stack.enter_context(Supervised(tmp_path, *arguments, **options))  # type: ignore[arg-type]  # as told

        yield start


def test_banner_is_announced_once_when_all_are_ready(supervise: Supervise) -> None:
    supervised = supervise(count=3)
    supervised.wait_until_said("announced")
    supervised.send(signal.SIGUSR2)
    supervised.wait_until_said("the workers are replaced")

    assert len(supervised.said("announced banner")) == 1
    assert {f"{number} serves" for number in range(1, 7)} <= set(supervised.events)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_every_worker_and_leaves_nothing_behind(supervise: Supervise, sent: signal.Signals) -> None:
    supervised = supervise()
    supervised.wait_until_said("announced")

    supervised.send(sent)

    assert supervised.exit_status() == 0
    assert sorted(supervised.events[2:]) == ["1 drains", "1 has ended", "2 drains", "2 has ended"]
    assert supervised.left_behind() == []


def test_nobody_waits_on_sockets_while_the_workers_drain(supervise: Supervise) -> None:
    supervised = supervise("linger")
    supervised.wait_until_said("announced")
    supervised.send(signal.SIGTERM)
    supervised.wait_for("1 drains", "2 drains")
    supervised.go()

    assert supervised.exit_status() == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(supervised.address, 1)


def test_second_signal_ends_them_at_once(supervise: Supervise) -> None:
    supervised = supervise("linger")
    supervised.wait_until_said("announced")
    supervised.send(signal.SIGTERM)
    supervised.wait_for("1 drains", "2 drains")

    supervised.send(signal.SIGTERM)

    assert supervised.exit_status() == -signal.SIGTERM
    assert {"1 ends at once", "2 ends at once"} <= set(supervised.events)
    assert supervised.left_behind() == []


def test_worker_that_does_not_end_at_once_is_killed(supervise: Supervise) -> None:
    supervised = supervise("deaf", count=1)
    supervised.wait_until_said("announced")
    supervised.send(signal.SIGTERM)
    supervised.wait_for("1 drains")

    supervised.send(signal.SIGINT)

    assert supervised.exit_status() == -signal.SIGTERM


def test_worker_that_does_not_end_is_killed(supervise: Supervise) -> None:
    supervised = supervise("deaf", count=1, end_s=0.2)
    supervised.wait_until_said("announced")

    supervised.send(signal.SIGTERM)

    assert supervised.exit_status() == 1
    assert supervised.said("does not end and is killed")


def test_wish_to_load_settings_again_is_passed_on(supervise: Supervise) -> None:
    supervised = supervise()
    supervised.wait_until_said("announced")

    supervised.send(signal.SIGHUP)

    supervised.wait_for("1 reloads", "2 reloads")


def test_wish_to_load_settings_again_harms_nobody_who_has_none(supervise: Supervise) -> None:
    supervised = supervise(count=1, has_file=False)
    supervised.wait_until_said("announced")

    supervised.send(signal.SIGHUP)
    supervised.send(signal.SIGTERM)

    assert supervised.exit_status() == 0
    assert "1 reloads" not in supervised.events


def test_worker_that_dies_has_a_successor(supervise: Supervise) -> None:
    supervised = supervise()
    supervised.wait_until_said("announced")

    os.kill(supervised.pid_of(1), signal.SIGKILL)

    supervised.wait_for("3 serves")
    assert supervised.said("ended with status -9")
    supervised.send(signal.SIGTERM)
    assert supervised.exit_status() == 0


def test_worker_that_ends_by_itself_has_a_successor(supervise: Supervise) -> None:
    supervised = supervise(count=1)
    supervised.wait_until_said("announced")

    os.kill(supervised.pid_of(1), signal.SIGTERM)

    supervised.wait_for("1 has ended", "2 serves")


def test_workers_that_are_never_ready_end_everything_with_their_status(supervise: Supervise) -> None:
    supervised = supervise("fail", count=1)

    assert supervised.exit_status() == FAILED
    assert supervised.events == ["1 fails", "2 fails", "3 fails"]
    assert supervised.said("announced") == []
    assert supervised.left_behind() == []


def test_worker_that_hangs_at_its_start_counts_as_one_that_failed(supervise: Supervise) -> None:
    supervised = supervise("mute", count=1)
    supervised.wait_for("1 hangs")
    supervised.behave("serve")

    supervised.wait_for("2 serves")

    assert supervised.said("ended with status -9 before it was ready")


def test_workers_that_are_never_ready_do_not_end_those_that_serve(supervise: Supervise) -> None:
    supervised = supervise()
    supervised.wait_until_said("announced")
    supervised.behave("fail")
    os.kill(supervised.pid_of(1), signal.SIGKILL)
    supervised.wait_for("3 fails", "4 fails", "5 fails", "6 fails")

    supervised.behave("serve")

    wait_until(lambda: sum(event.endswith(" serves") for event in supervised.events) == 3, "a successor")
    assert "2 drains" not in supervised.events


def test_workers_are_replaced_one_by_one_each_after_its_successor_is_ready(supervise: Supervise) -> None:
    supervised = supervise()
    supervised.wait_until_said("announced")

    supervised.send(signal.SIGUSR2)

    supervised.wait_until_said("the workers are replaced")
    events = supervised.events[2:]
    assert [event for event in events if not event.endswith("has ended")] == [
        "3 serves",
        "1 drains",
        "4 serves",
        "2 drains",
    ]


def test_wish_to_replace_them_meanwhile_is_kept(supervise: Supervise) -> None:
    supervised = supervise("linger", count=1)
    supervised.wait_until_said("announced")
    supervised.send(signal.SIGUSR2)
    supervised.wait_for("1 drains")

    supervised.send(signal.SIGUSR2)
    supervised.send(signal.SIGUSR2)
    supervised.go()

    supervised.wait_until_said("the workers are replaced", 2)
    supervised.wait_for("3 serves", "2 drains")


def test_successor_that_fails_leaves_the_old_ones_where_they_are(supervise: Supervise) -> None:
    supervised = supervise()
    supervised.wait_until_said("announced")
    supervised.behave("fail")

    supervised.send(signal.SIGUSR2)

    supervised.wait_until_said("the workers that are left go on serving")
    assert [event for event in supervised.events if "drains" in event] == []
    supervised.behave("serve")
    supervised.send(signal.SIGUSR2)
    supervised.wait_until_said("the workers are replaced")


def test_signal_amid_a_replacement_ends_all_of_them_well(supervise: Supervise) -> None:
    supervised = supervise("linger")
    supervised.wait_until_said("announced")
    supervised.send(signal.SIGUSR2)
    supervised.wait_for("1 drains")

    supervised.send(signal.SIGTERM)
    supervised.wait_for("2 drains", "3 drains")
    supervised.go()

    assert supervised.exit_status() == 0
    assert "1 ends at once" not in supervised.events
