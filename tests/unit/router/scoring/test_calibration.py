from __future__ import annotations

import numpy as np
import pytest

from router.scoring.artefact import load
from router.scoring.calibration import ENOUGH, Calibrator, Mix, Quality, Thresholds
from router.scoring.scorer import Assessment

REFERENCE = load().reference


def assessment(score: float, language: str = "en") -> Assessment:
    return Assessment("code", score, score, 0.4, 0.2, 1.0, ("code",), language)


def shares(scores: list[float], thresholds: Thresholds) -> tuple[float, float]:
    simple = float(np.mean([score < thresholds.simple_below for score in scores]))
    return simple, float(np.mean([score < thresholds.medium_below for score in scores])) - simple


def scores(count: int, seed: int = 0, *, low: float = 0.0, high: float = 1.0) -> list[float]:
    return np.random.default_rng(seed).uniform(low, high, count).tolist()  # type: ignore[no-any-return]


def test_thresholds_stand_before_any_traffic() -> None:
    found = Calibrator(Mix(0.5, 0.3), REFERENCE).thresholds("en")

    assert shares(REFERENCE[:, 0].tolist(), found) == pytest.approx((0.5, 0.3), abs=0.02)


def test_five_hundred_prompts_set_the_mix() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE)

    calibrator.fit(np.random.default_rng(5).permutation(np.linspace(0.4, 0.6, 500)).tolist())

    assert shares(scores(4000, 1, low=0.4, high=0.6), calibrator.thresholds()) == pytest.approx((0.5, 0.3), abs=0.05)


def test_live_traffic_takes_over_from_the_reference() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE)
    live = scores(2000, low=0.8, high=0.9)

    for score in live:
        calibrator.observe(assessment(score))

    assert shares(live, calibrator.thresholds("en")) == pytest.approx((0.5, 0.3), abs=0.05)


def test_little_traffic_moves_thresholds_part_of_the_way() -> None:
    start = Calibrator(Mix(0.5, 0.3), REFERENCE)
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE, every=50)

    for score in scores(100, low=0.9, high=0.95):
        calibrator.observe(assessment(score))

    assert start.thresholds().simple_below < calibrator.thresholds().simple_below < 0.9


def test_thresholds_change_only_every_so_often() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE, every=100)
    start = calibrator.thresholds()

    for score in scores(99, low=0.9, high=0.95):
        calibrator.observe(assessment(score))
    before = calibrator.thresholds()
    calibrator.observe(assessment(0.9))

    assert before is start
    assert calibrator.thresholds() != start


def test_a_language_with_enough_traffic_has_its_own_thresholds() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE, every=ENOUGH)
    german = scores(ENOUGH, low=0.8, high=0.9)

    for english, other in zip(scores(ENOUGH, 1, low=0.1, high=0.2), german, strict=True):
        calibrator.observe(assessment(english))
        calibrator.observe(assessment(other, "de"))

    assert shares(german, calibrator.thresholds("de")) == pytest.approx((0.5, 0.3), abs=0.05)


def test_a_language_with_little_traffic_shares_the_thresholds_of_all() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE, every=10)

    for score in scores(50):
        calibrator.observe(assessment(score, "fr"))

    assert calibrator.thresholds("fr") is calibrator.thresholds()


def test_languages_do_not_pile_up() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE)

    for number in range(1000):
        calibrator.observe(assessment(0.5, f"x{number}"))

    assert len(calibrator.dump()) < 100_000


def test_a_quality_is_a_target_as_well() -> None:
    strict, lax = (Calibrator(Quality(quality), REFERENCE).thresholds() for quality in (0.95, 0.75))

    assert lax.medium_below > strict.medium_below


def test_the_same_calls_give_the_same_thresholds() -> None:
    pair = [Calibrator(Mix(0.5, 0.3), REFERENCE) for _ in range(2)]

    for calibrator in pair:
        for score in scores(700):
            calibrator.observe(assessment(score))

    assert pair[0].thresholds("en") == pair[1].thresholds("en")


def test_what_was_dumped_goes_on_where_it_was() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE, every=1)
    for score in scores(600, low=0.6, high=0.8):
        calibrator.observe(assessment(score))
    calibrator.learn("code", "simple", failed=True, predicted=0.2)

    other = Calibrator(Mix(0.5, 0.3), REFERENCE)
    other.load(calibrator.dump())

    assert other.thresholds("en") == calibrator.thresholds("en")
    assert other.adjusted(assessment(0.5)) == calibrator.adjusted(assessment(0.5)) != assessment(0.5)


@pytest.mark.parametrize("stored", [b"", b"\xc0", b"\x94\x02\x90\x80\x80", b"nonsense"])
def test_what_was_not_dumped_is_refused_and_changes_nothing(stored: bytes) -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE)
    before = calibrator.thresholds()

    with pytest.raises(ValueError):  # noqa: PT011  msgspec's own and ours
        calibrator.load(stored)

    assert calibrator.thresholds() == before


def test_feedback_on_the_complex_tier_is_ignored() -> None:
    calibrator = Calibrator(Mix(0.5, 0.3), REFERENCE)

    calibrator.learn("code", "complex", failed=True, predicted=0.1)

    assert calibrator.adjusted(assessment(0.5)) == assessment(0.5)
