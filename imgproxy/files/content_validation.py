"""What a file is, when its client says one thing and its bytes another. Pure.

The bytes decide wherever they can; where they cannot, as between one kind of text and another, the client's
word stands. What bytes and word cannot both be is a lie, and refused; so is a size that is not the file's.
"""

from __future__ import annotations

from collections.abc import Iterable

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat
from imgproxy.files.mime_types import compatible, normal
from imgproxy.files.model import File
from imgproxy.files.sniff import UNKNOWN


def settle(said: str, found: str) -> str:
    """The type of a file that its client says is `said`, and its bytes `found`; raise `InvalidFormat`."""
    if not compatible(said, found):
        bytes_are = "of no type that is known" if found == UNKNOWN else found
        raise InvalidFormat(f"the file is said to be {normal(said)}, and its bytes are {bytes_are}")
    return found if normal(said) in (UNKNOWN, normal(found)) else normal(said)


def agree(file: File, *, mime_type: str, size: int) -> None:
    """Hold what is said of a file against what was found before; raise a `FilesError` for a lie."""
    settle(mime_type, file.mime_type)
    weigh(file.size, (size,))


def weigh(size: int, said: Iterable[int]) -> None:
    """Raise `FileTooLarge` or `FileTooSmall` for a size other than what was said."""
    for each in said:
        if size != each:
            kind = FileTooLarge if size > each else FileTooSmall
            raise kind(f"the file has {size} bytes, not {each} as was said")
