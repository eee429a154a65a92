from __future__ import annotations

import pytest

from cache.calibration.bounds import upper_bound
from cache.calibration.ledger import MOST_AUDITS, Ledger


def audited(right: int, wrong: int, similarity: float = 0.9) -> Ledger:
    ledger = Ledger()
    for at in range(right + wrong):
        ledger.audit(similarity, is_right=at < right)
    return ledger


def test_audits_below_a_threshold_do_not_count_for_it() -> None:
    ledger = audited(3, 1, 0.85)
    ledger.audit(0.95, is_right=True)

    assert ledger.audits_from(0.8) == (5, 1)
    assert ledger.audits_from(0.9) == (1, 0)


def test_a_likeness_out_of_range_is_counted_at_its_end() -> None:
    ledger = Ledger()
    ledger.audit(0.1, is_right=True)
    ledger.audit(1.2, is_right=False)

    assert ledger.audits_from(0.0) == (2, 1)
    assert ledger.audits_from(0.99) == (1, 1)


def test_the_measured_rate_is_the_wrong_share_of_hits_times_the_hit_rate() -> None:
    ledger = audited(19, 1)
    for at in range(200):
        ledger.count(is_hit=at < 50)

    measured = ledger.measured(0.8, 0.15)

    assert (measured.audits, measured.wrong, measured.hit_rate) == (20, 1, 0.25)
    assert measured.rate == pytest.approx(0.05 * 0.25)
    assert measured.bound == pytest.approx(upper_bound(1, 20) * 0.25)


def test_without_audits_nothing_is_promised() -> None:
    measured = Ledger().measured(0.8, 0.15)

    assert (measured.rate, measured.bound, measured.hit_rate) == (0.0, 1.0, 0.15)


def test_few_look_ups_say_nothing_of_the_hit_rate() -> None:
    ledger = Ledger()
    ledger.count(is_hit=True)

    assert ledger.hit_rate(0.15) == 0.15


def test_old_audits_are_forgotten_and_errors_last() -> None:
    ledger = audited(MOST_AUDITS, 0)
    ledger.audit(0.9, is_right=False)

    audits, wrong = ledger.audits_from(0.0)
    assert audits == MOST_AUDITS // 2 + 1
    assert wrong == 1


def test_a_move_stays_within_its_bounds() -> None:
    ledger = Ledger()
    ledger.move(0.5, -0.1, 0.2)
    ledger.audit(0.9, is_right=True)

    assert ledger.shift == 0.2
    assert ledger.audits_since_move == 1

    ledger.move(-5, -0.1, 0.2)
    assert ledger.shift == -0.1
    assert ledger.audits_since_move == 0


def test_evidence_is_judged_by_its_bounds() -> None:
    assert audited(90, 10).is_over(0.8, 0.05)
    assert not audited(95, 5).is_over(0.8, 0.05)
    assert not audited(95, 5).is_under(0.05)
    assert audited(100, 0).is_under(0.05)


def test_only_audits_since_the_last_move_speak_for_going_lower() -> None:
    ledger = audited(300, 0)
    ledger.move(-0.01, -1, 1)
    for _ in range(20):
        ledger.audit(0.9, is_right=True)

    assert not ledger.is_under(0.05)


def test_what_a_move_brought_is_not_hidden_by_what_was_right_before() -> None:
    ledger = audited(300, 0)
    ledger.move(-0.01, -1, 1)
    for at in range(20):
        ledger.audit(0.81, is_right=at >= 5)

    assert ledger.is_over(0.8, 0.05)


def test_the_share_of_hits_is_that_since_the_last_move_once_there_were_enough() -> None:
    ledger = Ledger()
    for _ in range(1000):
        ledger.count(is_hit=False)
    ledger.move(-0.01, -1, 1)
    before = ledger.hit_rate_now(0.5)
    for at in range(100):
        ledger.count(is_hit=at < 30)

    assert before == 0.001
    assert ledger.hit_rate_now(0.5) == 0.3
    assert ledger.hit_rate(0.5) == 30 / 1100


def test_counts_since_the_last_move_are_halved_too() -> None:
    ledger = Ledger()
    for at in range(MOST_AUDITS + 1):
        ledger.audit(0.9, is_right=at > 0)

    assert ledger.audits_since_move == MOST_AUDITS // 2
    assert ledger.wrong_since_move == 1
