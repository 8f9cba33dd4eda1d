"""S3's rules for the parts of an upload, for storages that join parts themselves.

At least one part; each one received, by number and ETag; in order; none but the last below 5 MiB.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from imgproxy.errors import FileTooLarge
from imgproxy.storage import MAX_PARTS, MIN_PART_BYTES, BadParts, Part


def select_parts(listed: Iterable[Part], received: Mapping[int, Part]) -> list[Part]:
    """Return the received parts that a client lists, or raise `BadParts`."""
    selected = [_match(part, received) for part in require_order(listed)]
    if any(part.size < MIN_PART_BYTES for part in selected[:-1]):
        raise BadParts(f"every part but the last has at least {MIN_PART_BYTES} bytes")
    return selected


def require_order(listed: Iterable[Part]) -> list[Part]:
    """Return the listed parts, or raise `BadParts`: some servers that speak S3 do not check the order."""
    parts = list(listed)
    if not parts:
        raise BadParts("an object is made of at least one part")
    if any(later.number <= earlier.number for earlier, later in pairwise(parts)):
        raise BadParts("the parts are not in order of their numbers")
    return parts


def require_part_number(number: int) -> None:
    """Raise `BadParts` unless a part can have this number."""
    if not 1 <= number <= MAX_PARTS:
        raise BadParts(f"the parts are numbered from 1 to {MAX_PARTS}")


def require_parts_at_most(limit: int, sizes: Iterable[tuple[int, int]]) -> None:
    """Raise `FileTooLarge` if parts, stored or arriving, exceed an upload's limit.

    `sizes` are numbers and bytes. Of one number only one part stays, so the largest counts. A client can
    resend a part before the server notices that its first connection broke. All bytes together are at most
    twice the limit, however often parts are sent again.
    """
    largest: dict[int, int] = {}
    total = 0
    for number, size in sizes:
        total += size
        largest[number] = max(size, largest.get(number, 0))
    if sum(largest.values()) > limit or total > 2 * limit:
        raise FileTooLarge(f"the parts of the upload must have at most {limit} bytes together")


def _match(part: Part, received: Mapping[int, Part]) -> Part:
    """Return the received part; clients send its ETag with quotes or without."""
    found = received.get(part.number)
    if found is None or found.etag.strip('"') != part.etag.strip('"'):
        raise BadParts(f"part {part.number} is not what was received under that number")
    return found
