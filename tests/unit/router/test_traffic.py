from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from router.scoring.prompt import Prompt
from router.settings import Target
from router.traffic import Traffic, shares_of

PROMPTS = [f"Explain step {n} of the proof that {n * 7} is not a prime number." for n in range(40)]


@pytest.mark.parametrize(
    ("given", "shares"),
    [
        ((0.5, 0.3, 0.2), (0.5, 0.3, 0.2)),
        ((0.5, 0.3, None), (0.5, 0.3, 0.2)),
        ((5, 3, 2), (0.5, 0.3, 0.2)),
        ((0.6, None, None), (0.6, 0.2, 0.2)),
        ((1, None, None), (1.0, 0.0, 0.0)),
        ((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)),
    ],
)
def test_shares_sum_to_one(given: tuple[float | None, ...], shares: tuple[float, ...]) -> None:
    assert shares_of(given) == pytest.approx(shares)


def test_nothing_is_loaded_before_a_prompt_is_scored() -> None:
    script = (
        "import sys; from router.learned import Learned; from router.settings import RouterSettings;"
        "Learned(RouterSettings(), ['m']); print('numpy' in sys.modules)"
    )

    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == "False"


def test_what_was_seen_outlives_a_restart() -> None:
    traffic = Traffic(Target(simple=0.5, medium=0.3))
    for prompt in PROMPTS * 10:
        traffic.score(Prompt(text=prompt))
    stored = traffic.dump()

    later = Traffic(Target(simple=0.5, medium=0.3))
    later.recall(stored or b"")

    assert later.calibrator.dump() == stored
    assert later.calibrator.thresholds() != Traffic(Target(simple=0.5, medium=0.3)).calibrator.thresholds()


def test_what_cannot_be_read_is_told_of_and_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    traffic = Traffic(Target(simple=0.5, medium=0.3))
    traffic.recall(b"of another version")

    with caplog.at_level(logging.WARNING):
        traffic.score(Prompt(text="Hi"))

    assert "of another version" in caplog.text


def test_a_new_target_moves_the_thresholds_of_the_same_traffic() -> None:
    traffic = Traffic(Target(simple=0.5, medium=0.3))
    for prompt in PROMPTS * 20:
        traffic.score(Prompt(text=prompt))

    cheaper = traffic.adapted(Target(simple=0.9, medium=0.1))

    assert cheaper.scorer is traffic.scorer
    assert cheaper.calibrator.thresholds().simple_below > traffic.calibrator.thresholds().simple_below


def test_unused_traffic_has_nothing_to_keep() -> None:
    traffic = Traffic(Target(quality=0.9))

    assert traffic.dump() is None
    assert not traffic.adapted(Target(quality=0.8)).is_used


def test_feedback_of_failures_sends_a_kind_of_task_up() -> None:
    traffic = Traffic(Target(simple=0.5, medium=0.3))
    prompt = Prompt(text="Translate 'good morning' into French.")
    before, _ = traffic.score(prompt)

    for _ in range(200):
        traffic.learn(before.kind, "simple", before.simple_fails, failed=True)
    after, _ = traffic.score(prompt)

    assert after.score > before.score
