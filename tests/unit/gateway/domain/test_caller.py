from __future__ import annotations

import pytest

from tests.support.build import caller


def test_a_path_names_team_and_key() -> None:
    assert caller(team="search", key="ci").path == "search/ci"


@pytest.mark.parametrize(
    ("levels", "model", "allowed"),
    [
        ((), "anything", True),
        ((("*",),), "anything", True),
        ((("gpt-5",),), "gpt-5", True),
        ((("gpt-5",),), "gpt-5-nano", False),
        ((("gpt-5",),), "GPT-5", False),
        ((("auto/*",),), "auto/simple", True),
        ((("auto/*",),), "auto", False),
        ((("auto", "gpt-*"),), "gpt-5", True),
        ((("gpt-*",), ("gpt-5",)), "gpt-5", True),
        ((("gpt-*",), ("gpt-5",)), "gpt-4", False),
        ((("gpt-5",), ("*",)), "gpt-4", False),
        (((),), "gpt-5", False),
    ],
)
def test_every_level_must_admit_a_model(levels: tuple[tuple[str, ...], ...], model: str, *, allowed: bool) -> None:
    assert caller(models=levels).may_use(model) is allowed
