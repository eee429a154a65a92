from __future__ import annotations

from gateway.guarding.external.memo import MOST_TEXTS, Memo
from policies.sanitise.finding import Finding

FOUND = (Finding("external.hook", "r", 0, 1, 1.0),)


def test_what_was_said_of_a_text_is_remembered() -> None:
    memo = Memo()

    memo.put("a", FOUND)
    memo.put("b\ud800", ())

    assert (memo.get("a"), memo.get("b\ud800"), memo.get("c")) == (FOUND, (), None)


def test_text_that_was_asked_about_least_recently_goes_first() -> None:
    memo = Memo()
    for number in range(MOST_TEXTS):
        memo.put(str(number), ())

    memo.get("0")
    memo.put("one more", ())

    assert memo.get("0") == ()
    assert memo.get("1") is None


def test_long_lists_are_not_remembered() -> None:
    memo = Memo()

    memo.put("a", FOUND * 65)

    assert memo.get("a") is None
