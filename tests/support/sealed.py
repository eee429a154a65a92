"""What tests seal with."""

from __future__ import annotations

from typing import Final

from gateway.domain.secret import Secret
from gateway.sealing import Sealer

SEALER: Final = Sealer(Secret("a key for tests, as long as it has to be"), b"tests")
OTHER_SEALER: Final = Sealer(Secret("another one, which is as long as that"), b"tests")
"""Opens nothing of what `SEALER` has sealed."""
