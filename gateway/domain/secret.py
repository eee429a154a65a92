"""A value that must not be printed."""

from __future__ import annotations


class Secret:
    """A string whose `repr` and `str` hide it; `reveal` gives it to the one place that sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def material(self) -> bytes:
        """Return its bytes, for keys that are derived from it.

        An environment variable may hold bytes that are no UTF-8; Python reads them as lone surrogates.
        """
        return self._value.encode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
