"""Drives work that is cut into steps, for those who need not let others run in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def finish(steps: Generator[None, None, T]) -> T:
    """Take all steps at once and return what the last one gives."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
