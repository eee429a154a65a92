"""What guards that others run are asked and what they say, whatever they speak."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from policies.sanitise.finding import Finding
from policies.sanitise.settings import STRICTNESS, Action

Side = Literal["input", "output"]

Result = Literal["clear", "found", "failed", "late", "resting"]
"""`failed`: it could not be reached or answered nonsense; `late`: its time was over; `resting`: it was not asked, as it
had failed again and again."""

UNHEARD: Final[frozenset[Result]] = frozenset({"failed", "late", "resting"})
"""Results of guards that have said nothing."""

OTHER: Final = "other"

_RULE: Final = re.compile(r"[A-Za-z0-9_./-]{1,64}")


class Told(msgspec.Struct, frozen=True):
    """A text, and who says it: `system`, `user`, `assistant` or `tool`."""

    role: str
    text: str

    def __repr__(self) -> str:
        return f"Told({self.role}, {len(self.text)} characters)"


class Question(msgspec.Struct, frozen=True):
    """What a guard is asked about one request or answer."""

    request_id: str
    side: Side
    texts: Sequence[Told]


class Placed(msgspec.Struct, frozen=True, gc=False):
    """A finding, and in which of the texts it is."""

    index: int
    finding: Finding


class Heard(msgspec.Struct, frozen=True):
    """What a guard has said.

    Attributes:
        found: with the scores it gave; whether they count is not decided yet.
        action: the most it asks for; None where it leaves that to the settings.
    """

    found: tuple[Placed, ...]
    action: Action | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What came of asking one guard.

    Attributes:
        guard: its name.
        action: what is to be done about `found`; `ignore` where there is nothing.
        microseconds: that it took.
        closed: whether the request must be refused because the guard has said nothing.
    """

    guard: str
    result: Result
    action: Action = "ignore"
    found: tuple[Placed, ...] = ()
    microseconds: int = 0
    closed: bool = False


class NonsenseError(Exception):
    """An answer that says nothing about the question. It carries no part of either."""


class Tongue(Protocol):
    """How guards of one kind are spoken to.

    Attributes:
        path: below the address, starting with a slash.
        query: of the address, without its question mark.
        is_by_text: whether what is said of a text does not depend on the others, so that it need not be asked again.
    """

    path: str
    query: bytes
    is_by_text: bool

    def ask(self, question: Question) -> Sequence[bytes]:
        """Return the bodies to be posted, at least one."""

    def hear(self, question: Question, answers: Sequence[bytes]) -> Heard:
        """Read the answers, one for each body.

        Raises:
            NonsenseError: one of them is none.
        """


def detector_of(name: str) -> str:
    """Return what findings of a guard carry as their detector."""
    return f"external.{name}"


def rule_of(said: str) -> str:
    """Return the name of a rule as a guard says it, if it can stand in a header."""
    return said if _RULE.fullmatch(said) else OTHER


def mildest(one: Action, other: Action) -> Action:
    """Return the milder of two actions."""
    return min(one, other, key=STRICTNESS.__getitem__)
