"""Keys that clients never reach by themselves: the files API's own objects, and what belongs to the store.

What is hidden is neither served, listed nor written, by any storage; what is the files API's own is, but only
through its file rows (`edge/admission.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from imgproxy.errors import NotFound

OWN_PREFIXES = ("staging/", "files/")
"""Where the files API keeps its objects."""

HIDDEN_PREFIXES = (".uploads/", ".minio.sys/", "lost+found/", "@eaDir/", "#recycle/", "$RECYCLE.BIN/")
"""Folders of SeaweedFS, MinIO, ext4, Synology and Windows."""


def is_hidden(key: str, prefixes: Sequence[str]) -> bool:
    """Whether a key begins with a prefix, or has a segment that begins with a dot."""
    if key.startswith(OWN_PREFIXES):
        return False
    return key.startswith((".", *prefixes)) or "/." in key


def require_visible(key: str, prefixes: Sequence[str]) -> None:
    """Raise `NotFound` for a hidden key."""
    if is_hidden(key, prefixes):
        raise NotFound("no such object")
