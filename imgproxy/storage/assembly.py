"""Which parts become an object: S3's rules, for storages that put parts together by themselves.

At least one; each one that was received, by number and ETag; in order; none but the last below 5 MiB.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from imgproxy.errors import FileTooLarge
from imgproxy.storage import MAX_PARTS, MIN_PART_BYTES, BadParts, Part


def chosen(asked: Iterable[Part], held: Mapping[int, Part]) -> list[Part]:
    """Return what storage holds of the parts asked for, or raise `BadParts`."""
    found = [_received(part, held) for part in in_order(asked)]
    if any(part.size < MIN_PART_BYTES for part in found[:-1]):
        raise BadParts(f"every part but the last has at least {MIN_PART_BYTES} bytes")
    return found


def in_order(asked: Iterable[Part]) -> list[Part]:
    """Return the parts asked for, or raise `BadParts`: not every server that speaks S3 minds."""
    wanted = list(asked)
    if not wanted:
        raise BadParts("an object is made of at least one part")
    if any(later.number <= earlier.number for earlier, later in pairwise(wanted)):
        raise BadParts("the parts are not in order of their numbers")
    return wanted


def numbered(number: int) -> None:
    """Raise `BadParts` unless a part can have this number."""
    if not 1 <= number <= MAX_PARTS:
        raise BadParts(f"the parts are numbered from 1 to {MAX_PARTS}")


def refuse_parts_above(limit: int, sizes: Iterable[tuple[int, int]]) -> None:
    """Raise `FileTooLarge` if parts, kept or on their way, are more than an upload may have.

    `sizes` are numbers and bytes. Of one number only one part will stay, at most the largest. So a client can
    send a part again before the server has noticed that its first connection broke. All bytes together are at
    most twice the limit, however often parts are sent again.
    """
    largest: dict[int, int] = {}
    total = 0
    for number, size in sizes:
        total += size
        largest[number] = max(size, largest.get(number, 0))
    if sum(largest.values()) > limit or total > 2 * limit:
        raise FileTooLarge(f"the parts of the upload must have at most {limit} bytes together")


def _received(part: Part, held: Mapping[int, Part]) -> Part:
    """Find a part; clients give its ETag back with quotes or without."""
    found = held.get(part.number)
    if found is None or found.etag.strip('"') != part.etag.strip('"'):
        raise BadParts(f"part {part.number} is not what was received under that number")
    return found
