"""Models of responses, from which the OpenAPI is made, and their values from files.

Times are RFC 3339 in UTC with milliseconds. Who may not see everything of a file gets a `PublicRecord`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from imgproxy.api.file_models import output_values, with_outputs
from imgproxy.files.model import File, Share, ShareType, TaskKind
from imgproxy.files.policy import is_public


def instant(milliseconds: int) -> str:
    """Milliseconds since 1970 as RFC 3339, such as 2026-01-31T12:00:00.000Z."""
    seconds, rest = divmod(milliseconds, 1000)
    whole = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]  # strftime takes four times as long
    return f"{whole}.{rest:03d}Z"


Instant = Annotated[
    int,
    PlainSerializer(instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00.000Z"]}),
]
"""Milliseconds since 1970 within, RFC 3339 without."""


class Body(BaseModel):
    """An answer's body."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        json_schema_serialization_defaults_required=True,
    )


class PresignedUpload(Body):
    """Request that uploads the bytes: `method` to `url`, with exactly these `headers`."""

    url: str
    key: str = Field(examples=["images/4fQx1bTz9KcP0aLmE7uVwR/cat.jpg"])
    filename: str
    content_type: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str] = Field(examples=[{"Content-Type": "image/jpeg"}])
    expires_in: int = Field(examples=[900])
    expires_at: Instant


class MultipartUpload(Body):
    """An upload in parts that was begun."""

    upload_id: str
    key: str
    filename: str


class PresignedPart(Body):
    """URL to PUT one part to; the response's `ETag` is needed when the upload is completed."""

    url: str
    part_number: int
    expires_in: int = Field(examples=[900])
    expires_at: Instant


class PartStored(Body):
    """A part that has arrived."""

    part_number: int
    size: int
    etag: str


class PartsStored(Body):
    """The parts that have arrived."""

    parts: list[PartStored]


class MultipartCompleted(Body):
    """The upload is whole, and can be registered by its key."""

    key: str
    location: str = Field(description="Its URL on the image CDN once it is registered and public.")


class MultipartAborted(Body):
    """The upload is given up."""

    success: Literal[True] = True
    key: str


class PublicFileBase(Body):
    """Fields of a file for every client that may see it."""

    url: str | None = Field(None, description="On the image CDN; none unless the file is public.")


PublicRecord = with_outputs("PublicRecord", PublicFileBase, Instant, read="client")


class FileBase(PublicRecord):  # type: ignore[misc, valid-type]  # made of declarations
    """All fields of a file, for its owner and for secret keys."""

    s3_key: str = Field(description="The same as `key`.")


Record: type[PublicFileBase] = with_outputs("Record", FileBase, Instant, read="owner")


class Pagination(Body):
    """Position of a page.

    `total` counts up to 1,000 files where there is no search and at most one filter, or where few files are
    left to search. Otherwise it counts the files up to this page, or is null on a page by `cursor`.
    `totalIsExact` is false if there may be more.
    """

    total: int | None
    total_is_exact: bool = True
    page: int
    limit: int
    total_pages: int | None
    has_next_page: bool
    has_prev_page: bool
    has_next: bool
    has_prev: bool
    next_cursor: str | None = None


class FilePage(Body):
    """One page of files."""

    items: list[Record | PublicRecord]  # type: ignore[valid-type]
    pagination: Pagination


class Nothing(Body):
    """It is done, and there is nothing to say."""


class DownloadUrl(Body):
    """URL to the bytes, until `expiresAt`."""

    url: str
    filename: str
    content_type: str = Field(
        description="The file's own; what a browser could run is sent as `application/octet-stream`."
    )
    size: int
    expires_at: Instant
    download_url: str = Field(description="The same as `url`.")
    expires_in: int = Field(examples=[3600])


class ShareTold(Body):
    """Someone whom a file is shared with."""

    type: ShareType
    id: str
    expires_at: Instant | None = None


class SharesTold(Body):
    """Shares of a file."""

    shares: list[ShareTold]


class TaskTold(Body):
    """Work that was promised, and how often it was tried."""

    id: str
    kind: TaskKind
    state: Literal["waiting", "dead"]
    attempts: int
    last_error: str | None = None
    not_before: Instant
    created_at: Instant
    dead_at: Instant | None = None


class Outbox(Body):
    """Work that is promised and not done yet."""

    items: list[TaskTold]


class ErrorTold(Body):
    """Code and message of an error."""

    code: str = Field(examples=["file/not-found"])
    message: str


class Problem(BaseModel):
    """Every error's body."""

    model_config = ConfigDict(frozen=True)

    success: Literal[False]
    error: ErrorTold
    type: str = Field(examples=["/v1/docs/errors/file/not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["file/not-found"])
    detail: str
    message: str
    request_id: str


def public_record(file: File, *, base: str) -> PublicFileBase:
    """Return what others may know of a file; `base` is the public origin, such as https://img.example."""
    return PublicRecord(url=_url(file, base), **output_values(file, whole=False))


def record(file: File, *, base: str) -> PublicFileBase:
    """Return everything of a file; `base` is the public origin."""
    whole = output_values(file, whole=True)
    return Record(url=_url(file, base), s3_key=file.key, **whole)


def _url(file: File, base: str) -> str | None:
    return f"{base}/{quote(file.key)}" if is_public(file) else None


def shares_told(shares: list[Share]) -> SharesTold:
    """The shares of a file."""
    return SharesTold(
        shares=[ShareTold(type=each.type, id=each.id, expires_at=each.expires_at) for each in shares]
    )
