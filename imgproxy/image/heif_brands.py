"""Detection of AVIF and HEIC by the first box of an ISO base media file (ISO/IEC 14496-12 §4.3)."""

from __future__ import annotations

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_STILL = frozenset({b"mif1", b"msf1", b"mif2", b"miaf", b"MiHB"})


def is_avif(first: bytes) -> bool:
    """Return whether a file is AVIF: by a brand, or by a brand of any codec and an AV1 item."""
    declared = brands(first)
    if declared & _HEIC:
        return False
    return bool(declared & _AVIF) or (bool(declared & _STILL) and _has_item(first, b"av01"))


def is_heic(first: bytes) -> bool:
    """Return whether a file is an image of HEVC."""
    declared = brands(first)
    return bool(declared & _HEIC) or (bool(declared & _STILL) and not is_avif(first))


def brands(first: bytes) -> frozenset[bytes]:
    """Return the major and the compatible brands; none for other files."""
    if first[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(first[:4], "big"), 512)
    compatible = (first[at : at + 4] for at in range(16, end - 3, 4))
    return frozenset({first[8:12], *compatible})


def _has_item(first: bytes, kind: bytes) -> bool:
    """Return whether an item of this type is declared (ISO/IEC 14496-12 §8.11.6, `infe`)."""
    at = first.find(b"infe")
    while at >= 0:
        if kind in first[at + 4 : at + 20]:
            return True
        at = first.find(b"infe", at + 4)
    return False
