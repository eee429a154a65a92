"""The examples of a settings file: requests and what must come of them, tried whenever the file is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from gateway.domain.money import PER_MILLION, format_usd
from gateway.rehearsal.rehearsal import Outcome, Question, Rehearsal
from gateway.settings import Settings, SettingsError
from policies.settings import Example


def check_examples(settings: Settings) -> int:
    """Try every example; it runs an event loop of its own, so not on one.

    Returns:
        How many there are.

    Raises:
        SettingsError: one does not hold; says which, what was expected and what came.
    """
    examples = settings.organisation.examples
    if examples:
        asyncio.run(_check_all(settings))
    return len(examples)


async def _check_all(settings: Settings) -> None:
    rehearsal = Rehearsal(settings)
    for index, example in enumerate(settings.organisation.examples):
        outcome = await rehearsal.ask(question_of(example))
        differences = ", ".join(_differences(example, outcome))
        if differences:
            asked = f"{example.key} asks for '{example.model}'"
            came = f"; {outcome.message}" if outcome.message else ""
            raise SettingsError(f"organisation.examples[{index}]: {asked}: {differences}{came}")


def question_of(example: Example) -> Question:
    """Return the request that an example is about."""
    return Question(
        key=example.key,
        model=example.model,
        text=example.text,
        user=example.user,
        max_output_tokens=example.max_output_tokens,
    )


def _differences(example: Example, outcome: Outcome) -> Iterator[str]:
    expected = example.expect
    for name, wanted, found in (
        ("allow", expected.allow, outcome.allowed),
        ("code", expected.code, outcome.code or None),
        ("tier", expected.tier, outcome.tier),
    ):
        if wanted is not None and wanted != found:
            yield f"{name}: expected {_shown(wanted)}, came {_shown(found)}"
    if expected.ceiling_usd is not None and outcome.ceiling_microusd > round(expected.ceiling_usd * PER_MILLION):
        held = format_usd(outcome.ceiling_microusd).decode()
        yield f"ceiling_usd: expected at most {expected.ceiling_usd:g}, came {held}"


def _shown(value: object) -> str:
    return {None: "none", True: "true", False: "false"}.get(value, value)  # type: ignore[call-overload,no-any-return]  # a word
