"""What the keys of an organisation begin with, so that a cluster keeps them all in one slot."""

from __future__ import annotations


def slot_key(organisation: str) -> str:
    """Return the beginning of every key of an organisation; its hash tag keeps them in one slot of a cluster.

    Raises:
        ValueError: the name holds a brace, which would move the tag.
    """
    if not organisation or set("{}") & set(organisation):
        raise ValueError(f"{organisation!r} is no name of an organisation: it is empty or holds a brace")
    return f"tierway:{{{organisation}}}:"
