from __future__ import annotations

import random

import pytest

from cache.calibration.keeper import HIGHEST, BudgetKeeper, KeeperSettings
from cache.calibration.ledger import LOWEST
from cache.calibration.table import STRICTEST, UNMEASURED, Step, Table, table, threshold_for

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
    audit(kept, 10, 2, scope="a")
    audit(kept, 10, 2, scope="b")
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


def test_what_was_learned_above_other_thresholds_is_refused() -> None:
    kept = keeper()
    kept.report_wrong("a", "", 0.9)
    other = BudgetKeeper(BUDGET, table=UNMEASURED)

    with pytest.raises(ValueError, match="all-MiniLM"):
        other.load(kept.dump())
    assert other.threshold("a") == STRICTEST


@pytest.mark.parametrize("saved", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x82\xa6format\x63\xa7ledgers\x90"])
def test_what_no_keeper_wrote_is_refused_and_nothing_changes(saved: bytes) -> None:
    kept = keeper()
    kept.report_wrong("a", "", 0.9)

    with pytest.raises(ValueError, match=r"nothing a budget keeper wrote|is not known"):
        kept.load(saved)
    assert kept.threshold("a") > BASE


def simulated(
    kept: BudgetKeeper, *, width: float = 1.0, slope: float = 1.5, repeats: float = 0.0, seed: int = 7
) -> list[bool]:
    """Return of each of 30,000 requests whether it was answered wrongly; a tenth of the hits is audited.

    Args:
        kept: told of each.
        width: of the embedder's scale: 1 for cosines around 0.72, less where they all lie closer to 1.
        slope: how fast answers get wrong the less alike the questions are.
        repeats: share of questions that say an earlier one again in nearly its words.
        seed: of the chance.
    """
    chance = random.Random(seed)  # noqa: S311  a simulation
    wrong = []
    for _ in range(30_000):
        likeness = min(1.0, chance.gauss(0.72, 0.12))
        if chance.random() < repeats:
            likeness = 1.0 - abs(chance.gauss(0.0, 0.01))
        similarity = 1.0 - width * (1.0 - likeness)
        is_hit = similarity >= kept.threshold("a")
        kept.count("a", is_hit=is_hit)
        is_wrong = is_hit and chance.random() < slope * (1.0 - likeness)
        if is_hit and chance.random() < 0.1:
            kept.audit("a", "", similarity, is_right=not is_wrong)
        wrong.append(is_wrong)
    return wrong


def test_a_budget_that_the_table_breaks_is_kept_once_audits_show_it() -> None:
    wrong = simulated(BudgetKeeper(BUDGET))

    assert sum(wrong[:5_000]) / 5_000 > BUDGET
    assert sum(wrong[-15_000:]) / 15_000 <= BUDGET


@pytest.mark.parametrize("width", [1.6, 1.0, 0.35, 0.2])
@pytest.mark.parametrize("slope", [1.5, 3.0])
@pytest.mark.parametrize("repeats", [0.0, 0.1])
def test_without_a_table_the_budget_is_kept_from_the_first_request_on(
    width: float, slope: float, repeats: float
) -> None:
    wrong = simulated(BudgetKeeper(BUDGET, table=UNMEASURED), width=width, slope=slope, repeats=repeats)

    assert sum(wrong) / len(wrong) <= BUDGET
    assert sum(wrong[-10_000:]) / 10_000 <= BUDGET


def test_without_a_table_audits_lead_down_to_more_hits() -> None:
    kept = BudgetKeeper(BUDGET, table=UNMEASURED)
    simulated(kept, width=0.35, slope=0.5, repeats=0.1)

    assert kept.threshold("a") < STRICTEST - 0.005


def test_a_keeper_says_whether_and_with_what_its_thresholds_were_measured() -> None:
    measured, other = BudgetKeeper(BUDGET), BudgetKeeper(BUDGET, table=UNMEASURED)

    assert (measured.is_measured, measured.embedder) == (True, table().embedder)
    assert (other.is_measured, other.embedder) == (False, "")


def test_without_a_table_a_scope_begins_where_little_but_the_same_words_is_a_hit() -> None:
    assert BudgetKeeper(BUDGET, table=UNMEASURED).threshold("a", "faq") == STRICTEST


def test_thresholds_are_those_of_the_table_that_is_given() -> None:
    given = Table("other@1+int8", "", (Step(BUDGET, 0.91, {}),))

    assert BudgetKeeper(BUDGET, table=given).threshold("a") == 0.91


def test_without_a_table_audits_lower_further_than_with_one() -> None:
    kept = BudgetKeeper(BUDGET, SETTINGS, table=UNMEASURED)
    for _ in range(5_000):
        kept.audit("a", "", 1.0, is_right=True)

    assert kept.threshold("a") == pytest.approx(STRICTEST - SETTINGS.most_lowered_unmeasured)
    assert SETTINGS.most_lowered_unmeasured > SETTINGS.most_lowered


def test_nothing_is_lowered_below_where_counting_begins() -> None:
    given = Table("other@1+int8", "", (Step(BUDGET, LOWEST + 0.02, {}),))
    kept = BudgetKeeper(BUDGET, SETTINGS, table=given)
    for _ in range(5_000):
        kept.audit("a", "", 1.0, is_right=True)

    assert kept.threshold("a") == pytest.approx(LOWEST)


def test_half_of_the_budget_stays_free_where_there_is_no_table() -> None:
    measured, other = keeper(), BudgetKeeper(BUDGET, SETTINGS, table=UNMEASURED)
    for kept in (measured, other):
        audit(kept, 60, 0)  # 0 of 60 still may be 4.9 %: below the 6.7 % of hits that may be wrong, above half of it

    assert measured.threshold("a") < BASE
    assert other.threshold("a") == STRICTEST
