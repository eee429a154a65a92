from __future__ import annotations

from gateway.alerts.book import KEEP_RESOLVED_S, MOST, AlertBook, Moment
from gateway.alerts.rules import Reading, Rule

RULE = Rule("error_rate", "share", "{} failed", 0.0)
BAD = Reading(0.5, 0.1, is_breached=True, is_cleared=False)
BETWEEN = Reading(0.09, 0.1, is_breached=False, is_cleared=False)
GOOD = Reading(0.0, 0.1, is_breached=False, is_cleared=True)


def at(seconds: float) -> Moment:
    return Moment(seconds, 1e9 + seconds)


def test_a_subject_with_nothing_wrong_takes_no_room() -> None:
    book = AlertBook()

    book.take(RULE, "a", "a", GOOD, at(0))

    assert book.views() == []


def test_a_resolved_alert_is_shown_for_a_while() -> None:
    book = AlertBook()
    for seconds, reading in ((0, BAD), (10, GOOD), (10 + KEEP_RESOLVED_S - 1, GOOD)):
        book.take(RULE, "a", "a", reading, at(seconds))
    assert [view.state for view in book.views()] == ["resolved"]

    book.take(RULE, "a", "a", GOOD, at(10 + KEEP_RESOLVED_S))

    assert book.views() == []


def test_an_alert_in_between_stays_as_it_is() -> None:
    book = AlertBook()
    for seconds, reading in ((0, BAD), (10, BETWEEN), (20, BETWEEN)):
        book.take(RULE, "a", "a", reading, at(seconds))

    assert [change.state for change in book.changes()] == ["firing"]
    assert [view.state for view in book.views()] == ["firing"]


def test_changes_of_one_alert_have_one_key_and_tell_when_it_fired() -> None:
    book = AlertBook()
    for seconds, reading in ((0, BAD), (50, GOOD)):
        book.take(RULE, "a", "a", reading, at(seconds))

    fired, resolved = book.changes()

    assert fired.key == resolved.key == "error_rate:a"
    assert fired.since == resolved.since == at(0).at
    assert resolved.summary.endswith("after 50.0 s")


def test_a_change_is_handed_out_once() -> None:
    book = AlertBook()
    book.take(RULE, "a", "a", BAD, at(0))

    assert len(book.changes()) == 1
    assert book.changes() == ()


def test_alerts_beyond_the_most_are_counted() -> None:
    book = AlertBook()

    for number in range(MOST + 3):
        book.take(RULE, f"s{number}", "s", BAD, at(0))

    assert len(book.views()) == MOST
    assert book.overlooked == 3


def test_a_resolved_alert_makes_room() -> None:
    book = AlertBook()
    for number in range(MOST):
        book.take(RULE, f"s{number}", f"s{number}", BAD, at(0))
    book.take(RULE, "s0", "s0", GOOD, at(1))

    book.take(RULE, "new", "new", BAD, at(2))

    assert {"s0", "new"} & {view.subject for view in book.views()} == {"new"}
    assert book.overlooked == 0
