"""Endpoints of uploads in parts."""

from __future__ import annotations

from urllib.parse import quote, urljoin

from imgproxy import errors
from imgproxy.api.endpoints import Answer, Call, Endpoint, Group
from imgproxy.api.requests import (
    MultipartAbort,
    MultipartAsked,
    MultipartComplete,
    MultipartPart,
    NewUpload,
)
from imgproxy.api.responses import (
    MultipartAborted,
    MultipartCompleted,
    MultipartUpload,
    PartsStored,
    PartStored,
    PresignedPart,
)
from imgproxy.api.uploads import OF_DECLARING, OF_STORAGE, upload_request
from imgproxy.files.model import UploadId
from imgproxy.files.multipart import UploadReference
from imgproxy.files.service import FilesService
from imgproxy.image.source import Key
from imgproxy.storage import Part

MAX_PARTS_BYTES = 2 * 1024**2
"""Of JSON that names 10,000 parts: some 90 bytes each, twice that if it is indented."""


async def _begin(service: FilesService, call: Call[NewUpload]) -> Answer:
    upload = await service.uploads.issue_parts(call.principal, upload_request(call.given))
    return Answer(MultipartUpload(upload_id=upload.id, key=upload.key, filename=call.given.filename))


async def _presign(service: FilesService, call: Call[MultipartPart]) -> Answer:
    number = call.given.part_number
    signed = await service.multipart.sign(call.principal, _place(call.given), number=number)
    return Answer(
        PresignedPart(
            url=urljoin(call.base, signed.url),
            part_number=number,
            expires_in=signed.expires_in,
            expires_at=signed.expires_at,
        )
    )


async def _list(service: FilesService, call: Call[MultipartAsked]) -> Answer:
    found = await service.multipart.parts(call.principal, _place(call.given))
    parts = [PartStored(part_number=part.number, size=part.size, etag=part.etag) for part in found]
    return Answer(PartsStored(parts=parts))


async def _complete(service: FilesService, call: Call[MultipartComplete]) -> Answer:
    parts = [Part(part.part_number, part.etag) for part in call.given.parts]
    upload = await service.multipart.complete(call.principal, _place(call.given), parts)
    return Answer(MultipartCompleted(key=upload.key, location=f"{call.base}/{quote(upload.key)}"))


async def _abort(service: FilesService, call: Call[MultipartAbort]) -> Answer:
    await service.multipart.abort(call.principal, _place(call.given))
    return Answer(MultipartAborted(key=call.given.key))


def _place(given: MultipartPart | MultipartAsked | MultipartComplete | MultipartAbort) -> UploadReference:
    return UploadReference(UploadId(given.upload_id), Key(given.key))


_OF_NAMING = (errors.InvalidPath, errors.KeyTooLong, errors.UploadNotFound)

MULTIPART: Group[FilesService] = Group(
    "Uploads in parts",
    "Large files: each part has a URL of its own, is sent alone, and alone again if it fails. Every part but "
    "the last has at least 5 MiB. Then register the key, as of any upload.",
    (
        Endpoint(
            "POST",
            "/v1/files/multipart/init",
            "beginMultipart",
            "Begin an upload in parts",
            _begin,
            takes=NewUpload,
            answers=MultipartUpload,
            refuses=(*OF_DECLARING, errors.UploadInitFailed),
            creates=True,
        ),
        Endpoint(
            "POST",
            "/v1/files/multipart/presigned-url",
            "createPartUrl",
            "Ask where to send a part",
            _presign,
            takes=MultipartPart,
            answers=PresignedPart,
            refuses=(errors.InvalidPartNumber, *_OF_NAMING),
        ),
        Endpoint(
            "GET",
            "/v1/files/multipart/parts",
            "listParts",
            "List the parts that have arrived",
            _list,
            takes=MultipartAsked,
            answers=PartsStored,
            refuses=(*_OF_NAMING, *OF_STORAGE),
        ),
        Endpoint(
            "POST",
            "/v1/files/multipart/complete",
            "completeMultipart",
            "Make the parts one file",
            _complete,
            takes=MultipartComplete,
            answers=MultipartCompleted,
            refuses=(
                errors.InvalidParts,
                errors.InvalidPartNumber,
                errors.FileTooLarge,
                *_OF_NAMING,
                *OF_STORAGE,
            ),
            body_bytes=MAX_PARTS_BYTES,
            text="Asked again, it is answered again.",
        ),
        Endpoint(
            "POST",
            "/v1/files/multipart/abort",
            "abortMultipart",
            "Give an upload up",
            _abort,
            takes=MultipartAbort,
            answers=MultipartAborted,
            refuses=(errors.Conflict, *_OF_NAMING),
            text="Its parts are removed. Asked again, it is answered again.",
        ),
    ),
)
