from __future__ import annotations

from typing import Any

import pytest

from gateway.rehearsal.examples import check_examples
from gateway.settings import SettingsError
from tests.support.policy import settings_of


def example(expect: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"key": "search/ci", "model": "big", **fields, "expect": expect}


def problem(*examples: dict[str, Any], **organisation: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        check_examples(settings_of(examples=list(examples), **organisation))
    return str(caught.value)


def test_a_file_without_examples_holds() -> None:
    assert check_examples(settings_of()) == 0


def test_examples_that_hold_are_counted() -> None:
    settings = settings_of(
        examples=[example({"allow": True}), example({"allow": False, "code": "model_not_found"}, model="none")],
    )

    assert check_examples(settings) == 2


def test_an_example_that_expects_nothing_holds() -> None:
    assert check_examples(settings_of(examples=[example({})])) == 1


@pytest.mark.parametrize(
    ("expect", "organisation", "difference"),
    [
        ({"allow": False}, {}, "allow: expected false, came true"),
        ({"allow": True}, {"models": ["small"]}, "allow: expected true, came false"),
        ({"code": "insufficient_quota"}, {"models": ["small"]},
         "code: expected insufficient_quota, came model_not_allowed"),
        ({"code": "model_not_allowed"}, {}, "code: expected model_not_allowed, came none"),
        ({"tier": "simple"}, {}, "tier: expected simple, came complex"),
        ({"tier": "simple"}, {"models": ["small"]}, "tier: expected simple, came none"),
        ({"ceiling_usd": 0.001}, {"budgets": [{"usd": 10}]}, "ceiling_usd: expected at most 0.001, came 0.1"),
    ],
)  # fmt: skip
def test_what_differs_is_told(expect: dict[str, Any], organisation: dict[str, Any], difference: str) -> None:
    assert problem(example(expect), **organisation).startswith(
        f"organisation.examples[0]: search/ci asks for 'big': {difference}"
    )


def test_the_example_that_does_not_hold_is_the_one_named() -> None:
    assert problem(example({"allow": True}), example({"allow": False})).startswith("organisation.examples[1]: ")


def test_the_message_of_a_refusal_is_shown() -> None:
    assert "This key may not use the model 'big'" in problem(example({"allow": True}), models=["small"])


def test_a_ceiling_that_is_not_passed_holds() -> None:
    settings = settings_of(budgets=[{"usd": 10}], examples=[example({"ceiling_usd": 0.01}, max_output_tokens=100)])

    assert check_examples(settings) == 1


def test_one_example_does_not_count_against_the_next() -> None:
    settings = settings_of(limits={"requests_per_day": 1}, examples=[example({"allow": True})] * 3)

    assert check_examples(settings) == 3


def test_a_key_that_is_no_longer_valid_is_still_an_example() -> None:
    keys = [{"name": "ci", "secret": "sk-tw-0123456789abcdef", "expires": "2000-01-01"}]

    assert check_examples(settings_of(teams={"search": {"keys": keys}}, examples=[example({"allow": True})])) == 1
