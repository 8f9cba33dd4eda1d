"""Everything that can go wrong, as one closed tree.

The second level says who is at fault; the message is written for whoever asked and names no path,
secret or library. HTTP statuses are not here: see `http/problems.py`.

    ImgproxyError
    ├── RequestError                the request itself
    │   ├── BadUrl                  not in any grammar we read
    │   ├── BadArgument             a filter, parameter or size that cannot be
    │   └── BadKey                  not a key an object could have
    ├── PolicyError                 understood, and not allowed
    │   ├── NotSigned               signature missing or wrong
    │   ├── RateLimited             too many requests, or too many at once
    │   └── NotFound                unknown, not public, deleted: all alike
    ├── SourceError                 the storage behind us
    │   ├── SourceTooLarge          more bytes than the limit
    │   ├── StorageFailed           refused, unreachable, or stopped half-way
    │   └── StorageSlow             did not answer in time
    ├── ImageError                  the source image's bytes
    │   ├── UnsupportedImage        not a type we read
    │   ├── BrokenImage             damaged
    │   ├── TransformFailed         of these bytes this result cannot be made, another may
    │   └── ImageTooLarge           too many pixels or frames
    ├── FilesError                  what is asked of the record of files
    │   ├── InvalidRequest          a body, query or header that cannot be read
    │   ├── InvalidName             a file's name
    │   ├── NameTooLong
    │   ├── InvalidPath             a key that we never gave
    │   ├── KeyTooLong
    │   ├── TypeTooLong
    │   ├── InvalidFormat           a type that the collection does not take, or that the bytes belie
    │   ├── NegativeSize
    │   ├── FileTooLarge            than its collection allows, or than was declared
    │   ├── FileTooSmall
    │   ├── InvalidPartNumber
    │   ├── InvalidParts            parts that make no file
    │   ├── BodyTooLarge            than what may be sent to us
    │   ├── AuthenticationRequired  missing or expired
    │   │   └── WrongCredential     shown, and not one of ours
    │   ├── AccessDenied            known, and not allowed this
    │   ├── FileNotFound            unknown, deleted, or another tenant's: all alike
    │   ├── UploadNotFound          unknown, aborted, or another's
    │   ├── UploadExpired           was issued too long ago
    │   ├── KeyExists               registered already
    │   ├── Conflict                not in the state that this needs
    │   ├── StillRunning            the same Idempotency-Key is being worked on
    │   ├── KeyReused               the same Idempotency-Key, another request
    │   ├── ListTooBroad            a list that takes too long, a search of fewer than three characters
    │   ├── Changed                 since the version that If-Match names
    │   ├── BucketNotConfigured     there is nowhere to write to
    │   └── UploadInitFailed        storage began no upload
    └── ServerError                 the server itself
        ├── Overloaded              the queue is full
        ├── Unavailable             what every request needs does not answer
        ├── DeadlinePassed          the transform took too long
        └── EngineFailed            a defect of ours; the log knows more
"""

from __future__ import annotations


class ImgproxyError(Exception):
    """The root; `str(error)` is fit for the asker to read."""


class RequestError(ImgproxyError):
    """The request is at fault: the same request will never succeed."""


class BadUrl(RequestError):
    """The path is in no grammar we read."""


class BadArgument(RequestError):
    """A filter, parameter or size is unknown or out of its range; the message names it."""


class BadKey(RequestError):
    """No object can have this key."""


class PolicyError(ImgproxyError):
    """The request is understood and not allowed."""


class NotSigned(PolicyError):
    """The signature is missing or wrong."""


class RateLimited(PolicyError):
    """Too many requests, or too many at once; come again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotFound(PolicyError):
    """No such public image: unknown, not public and deleted look alike."""


class SourceError(ImgproxyError):
    """The storage that holds the source image is at fault."""


class SourceTooLarge(SourceError):
    """The source image has more bytes than the limit."""


class StorageFailed(SourceError):
    """Storage refused, was unreachable, or stopped half-way."""


class StorageSlow(SourceError):
    """Storage did not answer in time."""


class ImageError(ImgproxyError):
    """The bytes of the source image are at fault: the same bytes will never succeed."""


class UnsupportedImage(ImageError):
    """Not a type we read."""


class BrokenImage(ImageError):
    """Damaged: the header cannot be read or a plain decode fails, whatever the URL asks for."""


class TransformFailed(ImageError):
    """This result cannot be made, another of the same source may: a damaged frame or overlay, or a crash."""


class ImageTooLarge(ImageError):
    """Too many pixels or frames."""


class FilesError(ImgproxyError):
    """What is asked of the record of files cannot be."""


class InvalidRequest(FilesError):
    """A body, query or header cannot be read; the message names the field and what is expected."""


class InvalidName(FilesError):
    """No file can have this name."""


class NameTooLong(FilesError):
    """The file's name has too many characters."""


class InvalidPath(FilesError):
    """We never gave this key."""


class KeyTooLong(FilesError):
    """The key has too many bytes."""


class TypeTooLong(FilesError):
    """The MIME type has too many characters."""


class InvalidFormat(FilesError):
    """The collection does not take this type, or the bytes are of another."""


class NegativeSize(FilesError):
    """A size is below zero."""


class FileTooLarge(FilesError):
    """More bytes than the collection allows, or than were declared."""


class FileTooSmall(FilesError):
    """Fewer bytes than the collection allows, or than were declared."""


class InvalidPartNumber(FilesError):
    """No part can have this number."""


class InvalidParts(FilesError):
    """These parts make no file: none, twice the same, in disorder, or not what storage has."""


class BodyTooLarge(FilesError):
    """The request's body has more bytes than may be sent."""


class AuthenticationRequired(FilesError):
    """Authentication is missing, expired, or not of ours."""


class WrongCredential(AuthenticationRequired):
    """A key or token that was shown is not of ours; it counts against the address."""


class AccessDenied(FilesError):
    """Whoever asks is known, and may not do this."""


class FileNotFound(FilesError):
    """Unknown, deleted and another tenant's look alike."""


class UploadNotFound(FilesError):
    """Unknown, aborted and another's look alike."""


class UploadExpired(FilesError):
    """The upload was issued too long ago."""


class KeyExists(FilesError):
    """The key is registered already."""


class Conflict(FilesError):
    """The file or upload is not in the state that this needs."""


class StillRunning(FilesError):
    """A request with the same Idempotency-Key is being worked on."""


class KeyReused(FilesError):
    """An Idempotency-Key comes again with another request."""


class ListTooBroad(FilesError):
    """The list takes too long, or its search is too short; the message says how to narrow it."""


class Changed(FilesError):
    """The file has changed since the version that was named."""


class BucketNotConfigured(FilesError):
    """There is nowhere to write to."""


class UploadInitFailed(FilesError):
    """Storage began no upload."""


class ServerError(ImgproxyError):
    """We are at fault: the same request may succeed later."""


class Overloaded(ServerError):
    """As many are running and waiting as may; try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ServerError):
    """What every request needs does not answer; try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def with_cause(error: ImgproxyError) -> str:
    """Return the message with the cause that an operator needs; clients get the message alone."""
    cause = error.__cause__ if isinstance(error, Unavailable) else None
    return f"{error}: {cause}" if cause else str(error)


class DeadlinePassed(ServerError):
    """The transform took longer than it may."""


class EngineFailed(ServerError):
    """A defect of ours."""
