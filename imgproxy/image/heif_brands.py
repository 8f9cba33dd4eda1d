"""What the first box of an ISO base media file says: whether it is AVIF or HEIC (ISO/IEC 14496-12 §4.3)."""

from __future__ import annotations

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_STILL = frozenset({b"mif1", b"msf1", b"mif2", b"miaf", b"MiHB"})


def is_avif(first: bytes) -> bool:
    """Whether a file is AVIF: any brand says so, or one for any codec does and an item is of AV1."""
    found = brands(first)
    if found & _HEIC:
        return False
    return bool(found & _AVIF) or (bool(found & _STILL) and _has_item(first, b"av01"))


def is_heic(first: bytes) -> bool:
    """Whether a file is an image of HEVC."""
    found = brands(first)
    return bool(found & _HEIC) or (bool(found & _STILL) and not is_avif(first))


def brands(first: bytes) -> frozenset[bytes]:
    """The major and the compatible brands; empty for what is no such file."""
    if first[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(first[:4], "big"), 512)
    compatible = (first[at : at + 4] for at in range(16, end - 3, 4))
    return frozenset({first[8:12], *compatible})


def _has_item(first: bytes, kind: bytes) -> bool:
    """Whether an item of this type is declared (ISO/IEC 14496-12 §8.11.6, `infe`)."""
    at = first.find(b"infe")
    while at >= 0:
        if kind in first[at + 4 : at + 20]:
            return True
        at = first.find(b"infe", at + 4)
    return False
