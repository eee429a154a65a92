"""Masks random texts, restores them cut at every position, and tells of the first that comes back changed.

Started by hand from the root: `PYTHONPATH=. python tests/unit/policies/sanitise/redaction/every_split.py 100000`. It
prints how many texts and cuts were tried and the most characters that a stream held back.
"""

from __future__ import annotations

import random
import sys

from policies.sanitise.finding import Finding
from policies.sanitise.redaction.placeholder import longest_placeholder
from policies.sanitise.redaction.redactor import Redactor
from policies.sanitise.redaction.restorer import StreamRestorer

_PIECES = (
    "[[",
    "]]",
    "[",
    "]",
    "_",
    " ",
    "EMAIL",
    "email_1",
    "SECRET_",
    "1",
    "22",
    '"',
    "\\",
    "\n",
    "é",
    "\u200b",
    "😀",
    "ann@firm.org",
)
_RULES = (
    ("personal", "email"),
    ("personal", "phone"),
    ("personal", "pl_pesel"),
    ("secrets", "github"),
    ("custom", "x"),
)


def main(texts: int, seed: int = 7) -> int:
    """Return the number of texts that were not restored."""
    source = random.Random(seed)  # noqa: S311 # reproducible, guards nothing
    cuts = failures = most_held = 0
    for _ in range(texts):
        text, masked, redactor = _masked(source)
        longest = longest_placeholder(redactor.vault.suffix)
        for cut in range(len(masked) + 1):
            stream = StreamRestorer(redactor.vault)
            restored = stream.feed(masked[:cut])
            most_held = max(most_held, stream.held)
            restored += stream.feed(masked[cut:]) + stream.flush()
            cuts += 1
            failures += restored != text or most_held > longest
    print(f"{texts} texts, {cuts} cuts, {failures} failures, at most {most_held} characters held back")  # noqa: T201
    return failures


def _masked(source: random.Random) -> tuple[str, str, Redactor]:
    text = "".join(source.choices(_PIECES, k=source.randrange(1, 14)))
    marks = sorted(source.sample(range(len(text) + 1), min(len(text) + 1, 2 * source.randrange(4))))
    findings = [
        Finding(*source.choice(_RULES), start, end, source.random())
        for start, end in zip(marks[::2], marks[1::2], strict=False)
    ]
    redactor = Redactor()
    return text, redactor.mask(text, findings), redactor


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000) > 0)
