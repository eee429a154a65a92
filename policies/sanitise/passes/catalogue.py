"""Chooses the engine that a machine has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Final, Literal

from policies.sanitise.passes.pattern import MultiPattern, Pattern

EngineName = Literal["hyperscan", "re2"]


def _hyperscan(patterns: Sequence[Pattern]) -> MultiPattern:
    from policies.sanitise.passes.hyperscan_pass import HyperscanPass  # noqa: PLC0415 # not installed everywhere

    return HyperscanPass(patterns)


def _re2(patterns: Sequence[Pattern]) -> MultiPattern:
    from policies.sanitise.passes.re2_pass import Re2Pass  # noqa: PLC0415 # only where Hyperscan is missing

    return Re2Pass(patterns)


ENGINES: Final[dict[EngineName, Callable[[Sequence[Pattern]], MultiPattern]]] = {"hyperscan": _hyperscan, "re2": _re2}
"""The judging is the same with each: they only say where to look."""


def compile_patterns(patterns: Sequence[Pattern], engine: EngineName | None = None) -> MultiPattern:
    """Return a pass over the patterns, with the fastest engine that is installed if none is named."""
    installed: EngineName = "hyperscan" if find_spec("hyperscan") is not None else "re2"
    return ENGINES[engine or installed](patterns)
