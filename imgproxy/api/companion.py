"""Endpoints of Uppy's Companion, so that stock Uppy uploads here: `new AwsS3(uppy, {endpoint, headers})`.

The routes and the shapes are those of @uppy/companion 6 (https://uppy.io/docs/companion/#s3). They lie at
`/s3/`, and not below `/v1`, because they are not ours to number. Each is one of our own endpoints in other
words: what is uploaded is registered by `POST /v1/files` like anything else.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote, urljoin

from multidict import MultiDict
from pydantic import BaseModel, ConfigDict, Field, RootModel

from imgproxy import errors
from imgproxy.api.endpoints import Answer, Call, Endpoint, Group
from imgproxy.api.field_types import FileName, KeyText, MimeType, Name, PartNumber
from imgproxy.api.multipart import MAX_PARTS_BYTES
from imgproxy.api.requests import Body, MultipartAsked, Query, UploadedPart
from imgproxy.api.responses import Nothing
from imgproxy.api.uploads import OF_DECLARING, OF_STORAGE
from imgproxy.api.validation import read_query
from imgproxy.files.model import UploadId, Visibility
from imgproxy.files.multipart import UploadReference
from imgproxy.files.service import FilesService
from imgproxy.files.uploads import UploadRequest
from imgproxy.image.source import Key
from imgproxy.storage import Part

_UNKNOWN = "application/octet-stream"


class CompanionWish(Query):
    """A file to upload; of its meta fields, `category` and `visibility` are used."""

    model_config = ConfigDict(extra="ignore")

    filename: FileName
    type: MimeType = Field(_UNKNOWN, description="The upload must carry exactly this `Content-Type`.")
    category: Name | None = Field(None, alias="metadata[category]")
    visibility: Visibility | None = Field(None, alias="metadata[visibility]")


class CompanionMeta(BaseModel):
    """A file's meta fields, as far as they are heeded."""

    model_config = ConfigDict(frozen=True)

    category: Name | None = None
    visibility: Visibility | None = None


class CompanionBegin(Body):
    """A file to upload in parts."""

    filename: FileName
    type: MimeType = _UNKNOWN
    metadata: CompanionMeta = CompanionMeta()


class CompanionKey(Query):
    """The key that the upload was given."""

    key: KeyText


class _PartAsked(MultipartAsked):
    """A part, as path and query name it together."""

    part_number: PartNumber


class CompanionParts(Body):
    """The parts that make the file, in their order."""

    parts: list[UploadedPart] = Field(fail_fast=True, min_length=1, max_length=10_000)


class CompanionUpload(BaseModel):
    """URL to which Uppy sends the bytes."""

    method: Literal["PUT"] = "PUT"
    url: str
    fields: dict[str, str] = Field(description="`key` is what to register.")
    headers: dict[str, str] = Field(examples=[{"Content-Type": "image/jpeg"}])
    expires: int = Field(description="Seconds.", examples=[900])


class CompanionBegun(BaseModel):
    """An upload in parts that was begun."""

    key: str
    upload_id: str = Field(serialization_alias="uploadId")


class CompanionSigned(BaseModel):
    """URL to which Uppy sends a part."""

    url: str
    expires: int = Field(description="Seconds.", examples=[900])


class CompanionPart(BaseModel):
    """A part that has arrived, in S3's own words."""

    part_number: int = Field(serialization_alias="PartNumber", examples=[1])
    size: int = Field(serialization_alias="Size")
    etag: str = Field(serialization_alias="ETag")


class CompanionList(RootModel[list[CompanionPart]]):
    """The parts that have arrived."""


class CompanionDone(BaseModel):
    """The parts are one object; register its key."""

    location: str
    key: str


async def _params(service: FilesService, call: Call[CompanionWish]) -> Answer:
    asked = call.given
    request = UploadRequest(asked.filename, asked.type, visibility=asked.visibility, category=asked.category)
    issued = await service.uploads.issue(call.principal, request)
    return Answer(
        CompanionUpload(
            url=urljoin(call.base, issued.url),
            fields={"key": issued.upload.key},
            headers={"Content-Type": asked.type},
            expires=issued.expires_in,
        )
    )


async def _begin(service: FilesService, call: Call[CompanionBegin]) -> Answer:
    asked, meta = call.given, call.given.metadata
    request = UploadRequest(asked.filename, asked.type, visibility=meta.visibility, category=meta.category)
    upload = await service.uploads.issue_parts(call.principal, request)
    return Answer(CompanionBegun(key=upload.key, upload_id=upload.id))


async def _sign(service: FilesService, call: Call[CompanionKey]) -> Answer:
    asked = read_query(_PartAsked, _named(call, call.given.key, partNumber=call.path["part"]))
    signed = await service.multipart.sign(call.principal, _place(asked), number=asked.part_number)
    return Answer(CompanionSigned(url=urljoin(call.base, signed.url), expires=signed.expires_in))


async def _list(service: FilesService, call: Call[CompanionKey]) -> Answer:
    asked = read_query(MultipartAsked, _named(call, call.given.key))
    found = await service.multipart.parts(call.principal, _place(asked))
    told = [CompanionPart(part_number=part.number, size=part.size, etag=part.etag) for part in found]
    return Answer(CompanionList(told))


async def _complete(service: FilesService, call: Call[CompanionParts]) -> Answer:
    asked = read_query(MultipartAsked, _named(call, read_query(CompanionKey, call.http.query).key))
    parts = [Part(part.part_number, part.etag) for part in call.given.parts]
    upload = await service.multipart.complete(call.principal, _place(asked), parts)
    return Answer(CompanionDone(location=f"{call.base}/{quote(upload.key)}", key=upload.key))


async def _abort(service: FilesService, call: Call[CompanionKey]) -> Answer:
    asked = read_query(MultipartAsked, _named(call, call.given.key))
    await service.multipart.abort(call.principal, _place(asked))
    return Answer(Nothing())


def _named(call: Call[Any], key: str, **more: str) -> MultiDict[str]:
    """Half of what we ask in a query Companion has in the path."""
    return MultiDict({"uploadId": call.path["upload"], "key": key, **more})


def _place(asked: MultipartAsked) -> UploadReference:
    return UploadReference(UploadId(asked.upload_id), Key(asked.key))


_OF_NAMING = (errors.InvalidPath, errors.KeyTooLong, errors.UploadNotFound)

COMPANION: Group[FilesService] = Group(
    "Uppy",
    "Uploads for stock Uppy 5, in the words of its Companion: give `@uppy/aws-s3` this host as `endpoint` "
    "and the credentials as `headers`. Register the key that Uppy reports, as of any upload.",
    (
        Endpoint(
            "GET",
            "/s3/params",
            "companionParams",
            "Ask where to send a file",
            _params,
            takes=CompanionWish,
            answers=CompanionUpload,
            refuses=OF_DECLARING,
        ),
        Endpoint(
            "POST",
            "/s3/multipart",
            "companionBegin",
            "Begin an upload in parts",
            _begin,
            takes=CompanionBegin,
            answers=CompanionBegun,
            refuses=(*OF_DECLARING, errors.UploadInitFailed),
            creates=True,
        ),
        Endpoint(
            "POST",
            "/s3/multipart/{upload}/complete",
            "companionComplete",
            "Make the parts one file",
            _complete,
            takes=CompanionParts,
            answers=CompanionDone,
            refuses=(
                errors.InvalidParts,
                errors.InvalidPartNumber,
                errors.FileTooLarge,
                *_OF_NAMING,
                *OF_STORAGE,
            ),
            body_bytes=MAX_PARTS_BYTES,
            text="The upload's key is in the query, as `key`.",
        ),
        Endpoint(
            "GET",
            "/s3/multipart/{upload}/{part}",
            "companionSign",
            "Ask where to send a part",
            _sign,
            takes=CompanionKey,
            answers=CompanionSigned,
            refuses=(errors.InvalidPartNumber, *_OF_NAMING),
        ),
        Endpoint(
            "GET",
            "/s3/multipart/{upload}",
            "companionParts",
            "List the parts that have arrived",
            _list,
            takes=CompanionKey,
            answers=CompanionList,
            refuses=(*_OF_NAMING, *OF_STORAGE),
        ),
        Endpoint(
            "DELETE",
            "/s3/multipart/{upload}",
            "companionAbort",
            "Give an upload up",
            _abort,
            takes=CompanionKey,
            answers=Nothing,
            refuses=(errors.Conflict, *_OF_NAMING),
        ),
    ),
)
