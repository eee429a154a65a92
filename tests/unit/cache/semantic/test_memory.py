from __future__ import annotations

import ctypes
from typing import Any

import pytest

from cache.semantic.memory import give_back


def test_what_is_free_is_asked_to_be_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Library:
        malloc_trim = staticmethod(asked.append)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library)
    give_back()

    assert asked == [0]


@pytest.mark.parametrize("library", [object(), OSError("none")])
def test_a_system_without_a_way_is_left_alone(monkeypatch: pytest.MonkeyPatch, library: Any) -> None:
    def load(name: None) -> Any:
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)

    give_back()
