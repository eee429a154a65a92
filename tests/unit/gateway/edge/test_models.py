from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.edge.models import _page

NAMES = [f"m{number}" for number in range(25)]


def page(**query: Any) -> tuple[list[str], bool]:
    return _page(NAMES, {name: [str(value)] for name, value in query.items()})


def test_a_page_has_twenty_unless_asked_otherwise() -> None:
    assert page() == (NAMES[:20], True)
    assert page(limit=1000) == (NAMES, False)
    assert page(limit=25) == (NAMES, False)


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ("m0", (["m1", "m2"], True)),
        ("m22", (["m23", "m24"], False)),
        ("m24", ([], False)),
        ("nobody", (["m0", "m1"], True)),
    ],
)
def test_what_comes_after(after: str, found: tuple[list[str], bool]) -> None:
    assert page(limit=2, after_id=after) == found


@pytest.mark.parametrize(
    ("before", "found"),
    [("m24", (["m22", "m23"], True)), ("m2", (["m0", "m1"], False)), ("m1", (["m0"], False)), ("m0", ([], False))],
)
def test_what_comes_before(before: str, found: tuple[list[str], bool]) -> None:
    assert page(limit=2, before_id=before) == found


def test_pages_follow_one_another_without_a_gap() -> None:
    seen: list[str] = []
    has_more = True
    while has_more:
        names, has_more = page(limit=4, **({"after_id": seen[-1]} if seen else {}))
        seen += names

    assert seen == NAMES


def test_no_models_are_an_empty_page() -> None:
    assert _page([], {}) == ([], False)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.0", "\u00b2", "\u0665", "9" * 5000, " 1"])
def test_a_wrong_limit_is_refused(limit: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        page(limit=limit)

    assert caught.value.param == "limit"
