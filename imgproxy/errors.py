"""Everything that can go wrong, as one closed tree.

The second level says who is at fault; the message is written for whoever asked and names no path,
secret or library. HTTP statuses are not here: see `edge/problems.py`.

    ImgproxyError
    ├── AskerError                  the request itself
    │   ├── BadUrl                  not in any grammar we read
    │   ├── BadArgument             a filter, parameter or size that cannot be
    │   └── BadKey                  not a key an object could have
    ├── PolicyError                 understood, and not allowed
    │   ├── NotSigned               signature missing or wrong
    │   └── NotFound                unknown, not public, deleted: all alike
    ├── SourceError                 the storage behind us
    │   ├── SourceTooLarge          more bytes than the limit
    │   ├── StorageFailed           refused, unreachable, or stopped half-way
    │   └── StorageSlow             did not answer in time
    ├── ImageError                  the original's bytes
    │   ├── UnsupportedImage        not a type we read
    │   ├── BrokenImage             damaged, or it brought its worker down
    │   └── ImageTooLarge           too many pixels or frames
    └── OurError                    ourselves
        ├── Overloaded              the queue is full
        ├── DeadlinePassed          the transform took too long
        └── EngineFailed            a defect of ours; the log knows more
"""

from __future__ import annotations


class ImgproxyError(Exception):
    """The root; `str(error)` is fit for the asker to read."""


class AskerError(ImgproxyError):
    """The request is at fault: the same request will never succeed."""


class BadUrl(AskerError):
    """The path is in no grammar we read."""


class BadArgument(AskerError):
    """A filter, parameter or size is unknown or out of its range; the message names it."""


class BadKey(AskerError):
    """No object can have this key."""


class PolicyError(ImgproxyError):
    """The request is understood and not allowed."""


class NotSigned(PolicyError):
    """The signature is missing or wrong."""


class NotFound(PolicyError):
    """No such public image: unknown, not public and deleted look alike."""


class SourceError(ImgproxyError):
    """The storage that holds the original is at fault."""


class SourceTooLarge(SourceError):
    """The original has more bytes than the limit."""


class StorageFailed(SourceError):
    """Storage refused, was unreachable, or stopped half-way."""


class StorageSlow(SourceError):
    """Storage did not answer in time."""


class ImageError(ImgproxyError):
    """The bytes of the original are at fault: the same bytes will never succeed."""


class UnsupportedImage(ImageError):
    """Not a type we read."""


class BrokenImage(ImageError):
    """Damaged, or it brought its worker down."""


class ImageTooLarge(ImageError):
    """Too many pixels or frames."""


class OurError(ImgproxyError):
    """We are at fault: the same request may succeed later."""


class Overloaded(OurError):
    """As many are running and waiting as may; try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlinePassed(OurError):
    """The transform took longer than it may."""


class EngineFailed(OurError):
    """A defect of ours."""
