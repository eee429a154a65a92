"""How the word lists are written: words apart by spaces, groups of them by bars or line ends."""

from __future__ import annotations


def words(text: str) -> list[str]:
    """Return the words of a list."""
    return text.split()


def groups(text: str) -> list[list[str]]:
    """Return the groups of a list, each with its words."""
    found = [group.split() for group in text.replace("\n", "|").split("|")]
    return [group for group in found if group]
