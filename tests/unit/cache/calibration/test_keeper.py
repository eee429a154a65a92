from __future__ import annotations

import random

import pytest

from cache.calibration.keeper import HIGHEST, BudgetKeeper, KeeperSettings
from cache.calibration.table import threshold_for

BUDGET = 0.01
BASE = threshold_for(BUDGET)
SETTINGS = KeeperSettings(own_audits=20, patience=10)


def keeper(settings: KeeperSettings = SETTINGS) -> BudgetKeeper:
    return BudgetKeeper(BUDGET, settings)


def audit(kept: BudgetKeeper, right: int, wrong: int, scope: str = "a", category: str = "") -> None:
    for at in range(right + wrong):
        kept.audit(scope, category, 0.95, is_right=at < right)


def test_a_scope_begins_at_the_threshold_of_the_table() -> None:
    assert keeper().threshold("a", "faq") == BASE


def test_a_reported_wrong_hit_raises_its_scope_at_once() -> None:
    kept = keeper()
    kept.report_wrong("a", "faq", 0.9)

    assert kept.threshold("a", "faq") == pytest.approx(BASE + SETTINGS.raise_by)
    assert kept.threshold("a", "other") == BASE
    assert kept.threshold("b", "faq") == BASE


def test_reports_never_raise_beyond_the_highest_threshold() -> None:
    kept = keeper()
    for _ in range(50):
        kept.report_wrong("a", "", 0.9)

    assert kept.threshold("a") == HIGHEST


def test_audits_that_find_too_many_errors_raise() -> None:
    kept = keeper()
    audit(kept, 20, 10)

    assert kept.threshold("a") > BASE


def test_one_error_among_many_audits_does_not_raise() -> None:
    kept = keeper(KeeperSettings(patience=1000))
    audit(kept, 99, 1)

    assert kept.threshold("a") == BASE


def test_audits_without_errors_lower_slowly_and_not_too_far() -> None:
    kept = keeper()
    audit(kept, 60, 0)
    first = kept.threshold("a")
    audit(kept, 2000, 0)

    assert BASE - 6 * SETTINGS.lower_by <= first < BASE
    assert kept.threshold("a") == pytest.approx(BASE - SETTINGS.most_lowered)


def test_nothing_is_lowered_before_the_bound_is_within_the_budget() -> None:
    kept = keeper()
    audit(kept, 30, 0)  # 0 of 30 still may be 9.5 %, and 6.7 % of hits may be wrong

    assert kept.threshold("a") == BASE


def test_a_scope_follows_all_until_it_has_audits_of_its_own() -> None:
    kept = keeper()
    audit(kept, 10, 9, scope="a")
    audit(kept, 10, 9, scope="b")

    assert kept.threshold("never seen") > BASE


def test_a_category_decides_for_a_scope_that_did_not_move() -> None:
    kept = keeper(KeeperSettings(own_audits=20, patience=1000))
    audit(kept, 400, 0, scope="a", category="faq")
    for scope in ("a", "b", "c"):
        audit(kept, 10, 5, scope=scope, category="code")

    assert kept.threshold("never seen", "code") > BASE
    assert kept.threshold("never seen", "faq") == BASE


def test_a_scope_starts_from_where_the_wider_level_stands() -> None:
    kept = keeper()
    audit(kept, 10, 9, scope="a")
    audit(kept, 10, 9, scope="b")
    everywhere = kept.threshold("c")
    kept.report_wrong("c", "", 0.9)

    assert kept.threshold("c") == pytest.approx(everywhere + SETTINGS.raise_by)


def test_what_was_measured_is_told_for_all_and_for_one() -> None:
    kept = keeper()
    audit(kept, 10, 0, scope="a")
    audit(kept, 5, 0, scope="b", category="faq")

    assert kept.measured().audits == 15
    assert kept.measured("a").audits == 10
    assert kept.measured("b", "faq").audits == 5
    assert kept.measured(category="faq").audits == 5
    assert kept.measured("nobody").bound == 1.0


def test_the_share_of_hits_is_counted() -> None:
    kept = keeper()
    for at in range(200):
        kept.count("a", is_hit=at < 20)

    assert kept.measured().hit_rate == 0.1


def test_the_least_recently_used_scopes_are_forgotten() -> None:
    kept = keeper(KeeperSettings(most_scopes=2))
    for scope in ("a", "b", "c"):
        kept.report_wrong(scope, "", 0.9)

    assert kept.threshold("a") == BASE
    assert kept.threshold("c") > BASE


def test_a_dump_is_taken_over_whole() -> None:
    kept = keeper()
    audit(kept, 5, 4, scope="a", category="faq")
    kept.report_wrong("b", "", 0.9)
    kept.count("a", "faq", is_hit=True)
    other = keeper()
    other.load(kept.dump())

    assert other.dump() == kept.dump()
    assert other.threshold("b") == kept.threshold("b")
    assert other.measured("a", "faq") == kept.measured("a", "faq")


@pytest.mark.parametrize("saved", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x82\xa6format\x63\xa7ledgers\x90"])
def test_what_no_keeper_wrote_is_refused_and_nothing_changes(saved: bytes) -> None:
    kept = keeper()
    kept.report_wrong("a", "", 0.9)

    with pytest.raises(ValueError, match=r"nothing a budget keeper wrote|is not known"):
        kept.load(saved)
    assert kept.threshold("a") > BASE


def test_a_budget_that_the_table_breaks_is_kept_once_audits_show_it() -> None:
    chance = random.Random(7)  # noqa: S311  a simulation
    kept = BudgetKeeper(BUDGET)
    wrong = []
    for _ in range(30_000):
        similarity = min(1.0, chance.gauss(0.72, 0.12))
        is_hit = similarity >= kept.threshold("a")
        kept.count("a", is_hit=is_hit)
        is_wrong = is_hit and chance.random() < 1.5 * (1.0 - similarity)
        if is_hit and chance.random() < 0.1:
            kept.audit("a", "", similarity, is_right=not is_wrong)
        wrong.append(is_wrong)

    assert sum(wrong[:5_000]) / 5_000 > BUDGET
    assert sum(wrong[-15_000:]) / 15_000 <= BUDGET
