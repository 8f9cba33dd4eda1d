"""Models of requests: they validate, and the OpenAPI is made from them.

Bodies are read strictly, as JSON's own types; queries are text, and may name nothing that is not here. Fields
of bodies that we do not know are left alone, but for a change, where one would believe that it was made.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from imgproxy.api.field_types import (
    FileName,
    KeyText,
    Line,
    MimeType,
    Name,
    PartNumber,
    Side,
    Size,
    UploadIdText,
)
from imgproxy.api.file_models import REQUIRED, with_inputs
from imgproxy.files.model import OwnerType, ShareType, Visibility


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, strict=True)


class Query(BaseModel):
    """A request's query."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="forbid")


class NewUpload(Body):
    """A file to upload."""

    filename: FileName
    content_type: MimeType = Field(description="The upload must carry exactly this `Content-Type`.")
    file_size: Size | None = Field(
        None, description="Bytes; when told, the URL takes exactly as many.", examples=[482113]
    )
    visibility: Visibility | None = Field(None, description="The collection's own unless told.")
    category: Name | None = Field(
        None, description="A collection's name, or any label of yours.", examples=["images"]
    )


class MultipartPart(Body):
    """One part of an upload that is to be signed."""

    upload_id: UploadIdText
    key: KeyText
    part_number: PartNumber


class MultipartAsked(Query):
    """The upload whose parts are asked for."""

    upload_id: UploadIdText
    key: KeyText


class MultipartAbort(Body):
    """The upload that is given up."""

    upload_id: UploadIdText
    key: KeyText


class UploadedPart(Body):
    """A part that was uploaded, with the `ETag` that its PUT was answered with; S3's own names do too."""

    part_number: PartNumber = Field(validation_alias=AliasChoices("partNumber", "PartNumber"))
    etag: Line = Field(
        min_length=1, validation_alias=AliasChoices("etag", "ETag", "eTag"), examples=['"9b2cf5…"']
    )


class MultipartComplete(Body):
    """The parts that make the file, in their order."""

    upload_id: UploadIdText
    key: KeyText
    parts: list[UploadedPart] = Field(fail_fast=True, min_length=1, max_length=10_000)


class UploadedFile(Body):
    """An upload to register; declared size and type are compared with the bytes."""

    s3_key: KeyText = Field(
        validation_alias=AliasChoices("s3Key", "key"), description="The `key` that the upload was given."
    )
    mime_type: MimeType
    size: Size
    width: Side | None = Field(None, description="Measured from the bytes; yours is only checked in form.")
    height: Side | None = None
    bucket: Name | None = Field(None, description="The upload's collection, if you name it.")


Registration = with_inputs("Registration", UploadedFile)


SortBy = Literal["createdAt", "updatedAt", "originalName", "size", "mimeType"]


class FileList(Query):
    """Filters, order and page of a list."""

    page: int = Field(1, ge=1, le=1_000_000, description="From 1; left out when there is a `cursor`.")
    limit: int = Field(20, ge=1, le=100, description="Files on a page.")
    sort_by: SortBy = "createdAt"
    sort_direction: Literal["asc", "desc"] = "desc"
    visibility: Visibility | None = None
    owner_type: OwnerType | None = Field(
        None, description="With a secret key; for a user `user`, beside the user's own `ownerId`."
    )
    owner_id: Line | None = Field(None, description="With a secret key; for a user their own id.")
    bucket: Name | None = Field(None, description="A collection.")
    mime_type: MimeType | None = None
    category: Name | None = None
    tag: Name | None = None
    search: Line | None = Field(
        None,
        description="Part of a file's name, description or alternative text, any case; at least three "
        "characters, else 422.",
    )
    cursor: str | None = Field(
        None,
        max_length=4096,
        description="`nextCursor` of the page before; keeps its place while files come and go.",
    )
    total: bool = Field(True, description="`false` leaves the number of files out of the response.")


class FileAsked(Query):
    """States of a file that may be shown."""

    deleted: bool = Field(
        False, description="Show it also if it is deleted, to who may restore it; else that is 404."
    )


class FileChange(Body):
    """New values of a file's fields: omitted ones stay, `null` empties, `metadata` is merged."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _no_emptying(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None and name in REQUIRED:
                raise ValueError(f"{to_camel(name)}: must be a value, got null")
        return self


FilePatch = with_inputs(
    "FilePatch",
    FileChange,
    optional=True,
    descriptions={
        "metadata": "Merged member by member (RFC 7396): `null` removes one; `null` alone removes all.",
        "alt": None,
        "visibility": None,
    },
)


class ShareGiven(Body):
    """Someone whom a file is shared with."""

    type: ShareType
    id: Line = Field(min_length=1, examples=["user-42"])
    expires_at: AwareDatetime | None = Field(None, description="When it ends; never unless told.")


class SharesGiven(Body):
    """The new shares of a file."""

    shares: list[ShareGiven] = Field(fail_fast=True, max_length=500)


class ShareRemoved(Query):
    """The one share to remove; all of them unless told."""

    type: ShareType | None = None
    id: Line | None = None


_MAX_DOWNLOAD_SECONDS = 7 * 24 * 3600  # as long as SigV4 lets a URL live
_EXPIRES_IN = (
    "Seconds; as many as `IMGPROXY_DOWNLOAD_TTL` unless told. More are cut to that: the response's "
    "`expiresIn` says for how long the URL holds."
)


class DownloadAsked(Body):
    """Options of a download; all have defaults."""

    expires_in: int | None = Field(None, ge=1, le=_MAX_DOWNLOAD_SECONDS, description=_EXPIRES_IN)
    disposition: Literal["attachment", "inline"] = "attachment"


class DownloadQuery(Query):
    """Options of a download; all have defaults."""

    expires_in: int | None = Field(None, ge=1, le=_MAX_DOWNLOAD_SECONDS, description=_EXPIRES_IN)
    disposition: Literal["attachment", "inline"] = "attachment"


class OutboxAsked(Query):
    """Filter of outbox tasks."""

    state: Literal["all", "waiting", "dead"] = "all"
    limit: int = Field(100, ge=1, le=1000)
