"""instructor: typed answers over chat and over responses."""

# The client is in an environment of its own, which the type checker does not see.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

import instructor
from instructor.core import InstructorRetryException
from openai import OpenAI
from pydantic import BaseModel

from tests.interop.steps import IMAGE_URL, Journey, equals, raises

journey = Journey()
logging.getLogger("instructor").setLevel(logging.CRITICAL)
MODES = {
    "tools": ("chat", instructor.Mode.TOOLS),
    "strict tools": ("chat", instructor.Mode.TOOLS_STRICT),
    "JSON": ("chat", instructor.Mode.JSON),
    "JSON schema": ("chat", instructor.Mode.JSON_SCHEMA),
    "responses tools": ("responses", instructor.Mode.RESPONSES_TOOLS),
}


class City(BaseModel):
    """A city."""

    name: str
    population: int


class Heard(BaseModel):
    """What the answer in JSON says."""

    heard: str


def client(mode: Any, key: str = journey.key) -> Any:
    return instructor.from_openai(OpenAI(base_url=journey.api, api_key=key, max_retries=0), mode=mode)


def create(mode: Any, kind: Any, content: Any, **more: Any) -> Any:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    given = {"model": journey.model, "messages": messages, "response_model": kind, "max_retries": 1}
    return client(mode, more.pop("key", journey.key)).chat.completions.create(**{**given, **more})


def typed(mode: Any) -> None:
    if mode is instructor.Mode.JSON:
        assert create(mode, Heard, "Describe it in json.").heard
    else:
        answer = create(mode, City, "Describe the city for Oslo.")
        equals((answer.name, answer.population), ("Oslo", 7))


def errors(mode: Any) -> None:
    error = raises(InstructorRetryException, lambda: create(mode, City, "Hi", model="no-such-model"))
    assert "404" in str(error), error
    error = raises(InstructorRetryException, lambda: create(mode, City, "Hi", key="wrong-key-0000000000"))
    assert "401" in str(error), error


for _name, (_route, _mode) in MODES.items():
    journey.step(f"structured output by {_name}", _route)(partial(typed, _mode))
    journey.step(f"unknown model and wrong key, {_name}", _route)(partial(errors, _mode))


@journey.step("image", "chat")
def _() -> None:
    parts = [
        {"type": "text", "text": "Describe the city for Oslo."},
        {"type": "image_url", "image_url": {"url": IMAGE_URL}},
    ]
    equals(create(instructor.Mode.TOOLS, City, parts).name, "Oslo")


@journey.step("partial objects from a stream", "chat")
def _() -> None:
    asked = [{"role": "user", "content": "Describe the city for Oslo."}]
    partials = list(
        client(instructor.Mode.TOOLS).chat.completions.create_partial(
            model=journey.model, messages=asked, response_model=City
        )
    )
    assert len(partials) > 1, partials
    equals((partials[-1].name, partials[-1].population), ("Oslo", 7))


@journey.step("several objects from a stream", "chat")
def _() -> None:
    asked = [{"role": "user", "content": "Describe the city for Oslo."}]
    found = list(
        client(instructor.Mode.TOOLS).chat.completions.create_iterable(
            model=journey.model, messages=asked, response_model=City
        )
    )
    equals(found, [City(name="Oslo", population=7)])


if __name__ == "__main__":
    sys.exit(journey.run())
