"""Fuzzes the gateway: hostile requests, hostile upstreams, and whatever its OpenAPI document gives rise to.

No 5xx that is the gateway's own fault, no hang, no crash, no leak, whatever is sent. `make fuzz` runs it. A case is a
number: `--mode M --seed S --only N` sends one again and shows both sides of it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.described import fuzz_described
from tests.fuzz.fuzzer import MODES, fuzz, show

_SHARES = {"requests": 0.4, "answers": 0.25, "described": 0.35}
"""Of the cases, by what is hostile; `described` are those that schemathesis makes of /schema."""

_ALIKE = 3
"""Violations shown of those that begin alike."""


def main() -> int:
    """Fuzz; exit 1 on a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=20_000, help="of all modes together")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--mode", choices=_SHARES, help="only this one")
    parser.add_argument("--only", type=int, help="send this one case of a mode and show it")
    arguments = parser.parse_args()
    if arguments.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            show(Path(folder), arguments.mode or "requests", arguments.seed, arguments.only)
        return 0
    modes = {arguments.mode: 1.0} if arguments.mode else _SHARES
    failed = [mode for mode, share in modes.items() if not _passes(mode, int(arguments.cases * share), arguments)]
    return 1 if failed else 0


def _passes(mode: str, cases: int, arguments: argparse.Namespace) -> bool:
    """Run one mode, print what came of it, and tell whether all is well."""
    with tempfile.TemporaryDirectory() as folder:
        if mode not in MODES:
            return fuzz_described(Path(folder), seed=arguments.seed, cases=cases)
        report = fuzz(
            Path(folder),
            mode,
            seed=arguments.seed,
            cases=cases,
            connections=arguments.connections,
            progress=True,
        )
    shown: Counter[str] = Counter()
    for violation in report.violations:
        fault = violation.partition("): ")[2][:60]
        shown[fault] += 1
        if shown[fault] <= _ALIKE:
            print(violation, file=sys.stderr)
    print(report.summary(), f"(seed {arguments.seed})", flush=True)
    return not report.violations


if __name__ == "__main__":
    sys.exit(main())
