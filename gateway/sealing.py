"""Encrypts what is kept, so that a disk, its backups and a dump of the store hold no prompt and no answer."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from gateway.domain.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_ID_BYTES: Final = 4
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_LABEL: Final = b"tierway/%b/aes-256-gcm/v1"
"""Binds the derived key to its use (`info` of RFC 5869): another use of the same `encryption_key` has another key."""

_PLAIN, _DEFLATED = b"\x00", b"\x01"
"""First byte of what is encrypted: how the rest is to be read."""

_COMPRESS_FROM: Final = 1024
"""Bytes from which compressing pays: conversations shrink to about half, at 28 us for 1 KiB and 0.9 ms for 64 KiB."""


class Sealer:
    """Seals content with AES-256-GCM under one key, and opens it with that or an earlier one.

    A sealed value is the id of its key, a random 96-bit nonce, the ciphertext and a 128-bit tag; those of earlier
    versions of the gateway have no id and open too. NIST SP 800-38D (2007), section 8.3, allows 2^32 values with
    random nonces under one key: 136 years at one a second, 16 months at a hundred.

    Args:
        key: the settings' `encryption_key`, from which the key is derived with HKDF-SHA256 (RFC 5869). HKDF does
            not make a guessable key strong; the settings ask for a long one. None takes a random key, so that what
            is sealed cannot be opened once the process has ended.
        use: what is sealed.
        earlier: keys that nothing is sealed with any more.
    """

    def __init__(self, key: Secret | None, use: bytes = b"stored-responses", earlier: Sequence[Secret] = ()) -> None:
        self._label = _LABEL % use
        self._materials = [os.urandom(32) if key is None else key.material(), *(one.material() for one in earlier)]

    @cached_property
    def _keys(self) -> list[tuple[bytes, AESGCM]]:
        # Imported with the first use: OpenSSL costs 17 ms and 9 MB, which a gateway that seals nothing does not pay.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        length = 32 + KEY_ID_BYTES
        derived = [HKDF(SHA256(), length, salt=None, info=self._label).derive(one) for one in self._materials]
        return [(one[32:], AESGCM(one[:32])) for one in derived]

    def prepare(self) -> Self:
        """Load the ciphers now, for 10 ms, and not on the event loop with the first use; returns the sealer."""
        _ = self._keys
        return self

    def seal(self, plain: bytes, *, about: bytes) -> bytes:
        """Encrypt `plain`. It opens only with the same `about`, which is authenticated and not kept."""
        body = _DEFLATED + zlib.compress(plain, 1) if len(plain) > _COMPRESS_FROM else _PLAIN + plain
        nonce, (key_id, cipher) = os.urandom(NONCE_BYTES), self._keys[0]
        return b"%b%b%b" % (key_id, nonce, cipher.encrypt(nonce, body, key_id + about))

    def open(self, sealed: bytes, *, about: bytes) -> bytes | None:
        """Decrypt what `seal` made; None when the key or `about` is another, or a bit of it changed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  as for the ciphers

        for key_id, cipher in self._fitting(sealed):
            start = len(key_id)
            at = start + NONCE_BYTES
            try:
                body = cipher.decrypt(sealed[start:at], sealed[at:], key_id + about)
            except InvalidTag:
                continue
            return zlib.decompress(body[1:]) if body[:1] == _DEFLATED else body[1:]
        return None

    def _fitting(self, sealed: bytes) -> Iterator[tuple[bytes, AESGCM]]:
        """Yield what may open something: the cipher that its id names, then any of them without an id."""
        if len(sealed) >= KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES:
            yield from (key for key in self._keys if sealed.startswith(key[0]))
        if len(sealed) >= NONCE_BYTES + TAG_BYTES:
            yield from ((b"", cipher) for _, cipher in self._keys)
