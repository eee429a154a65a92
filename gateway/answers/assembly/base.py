"""The seam of an assembler."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gateway.answers.reading import Document
from gateway.domain.usage import Usage


class Assembled(msgspec.Struct, frozen=True):
    """A whole answer made of its stream.

    Attributes:
        document: the answer as its plain form would be.
        is_exact: whether it says all that the events did.
    """

    document: Document
    is_exact: bool


Assembler = Callable[[Sequence[Document], Usage], Assembled | None]
"""From the events of a stream that was read to its end, decoded, and what it consumed, which not every stream tells.
None where the events make no answer."""
