"""Encrypts what is kept, so that a disk, its backups and a dump of the store hold no prompt and no answer."""

from __future__ import annotations

import os
import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Final

from gateway.domain.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_LABEL: Final = b"tierway/%b/aes-256-gcm/v1"
"""Binds the derived key to its use (`info` of RFC 5869): another use of the same `encryption_key` has another key."""

_PLAIN, _DEFLATED = b"\x00", b"\x01"
"""First byte of what is encrypted: how the rest is to be read."""

_COMPRESS_FROM: Final = 1024
"""Bytes from which compressing pays: conversations shrink to about half, at 28 us for 1 KiB and 0.9 ms for 64 KiB."""


class Sealer:
    """Seals and opens content with AES-256-GCM under one key.

    A sealed value is a random 96-bit nonce, the ciphertext and a 128-bit tag. NIST SP 800-38D (2007), section 8.3,
    allows 2^32 values with random nonces under one key: 136 years at one a second.

    Args:
        key: the settings' `encryption_key`, from which the key is derived with HKDF-SHA256 (RFC 5869). HKDF does
            not make a guessable key strong; the settings ask for a long one. None takes a random key, so that what
            is sealed cannot be opened once the process has ended.
        use: what is sealed.
    """

    def __init__(self, key: Secret | None, use: bytes = b"stored-responses") -> None:
        self._label = _LABEL % use
        # An environment variable may hold bytes that are no UTF-8; Python reads them as lone surrogates.
        self._material = None if key is None else key.reveal().encode("utf-8", "surrogateescape")
        self._random = os.urandom(32)

    @cached_property
    def _cipher(self) -> AESGCM:
        # Imported with the first use: OpenSSL costs 17 ms and 9 MB, which a gateway that seals nothing does not pay.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        if self._material is None:
            return AESGCM(self._random)
        return AESGCM(HKDF(SHA256(), length=32, salt=None, info=self._label).derive(self._material))

    def seal(self, plain: bytes, *, about: bytes) -> bytes:
        """Encrypt `plain`. It opens only with the same `about`, which is authenticated and not kept."""
        body = _DEFLATED + zlib.compress(plain, 1) if len(plain) > _COMPRESS_FROM else _PLAIN + plain
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, about)

    def open(self, sealed: bytes, *, about: bytes) -> bytes | None:
        """Decrypt what `seal` made; None when the key or `about` is another, or a bit of it changed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  as for the cipher

        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            return None
        try:
            body = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
        except InvalidTag:
            return None
        return zlib.decompress(body[1:]) if body[:1] == _DEFLATED else body[1:]
