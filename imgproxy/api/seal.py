"""Encryption of stored responses: a copy of the database holds no usable signed URL.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. A sealed text is bound to its place, so that
whoever can write to the database cannot move it to another client's row.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class Seal:
    """Encrypts and decrypts by one key of 32 bytes."""

    def __init__(self, key: bytes, *, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._cipher = AESGCM(key)
        self._draw = draw

    def close(self, text: bytes, *, place: bytes) -> bytes:
        """Encrypt a text that belongs to a place."""
        nonce = self._draw(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, place)

    def open(self, sealed: bytes, *, place: bytes) -> bytes | None:
        """Decrypt; None for what another key, another place or nobody has sealed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError):  # ValueError: a nonce that is too short
            return None
