"""Endpoints that bring files in: a URL to upload to, registering what was uploaded, and sending it to us."""

from __future__ import annotations

from urllib.parse import urljoin

from imgproxy import errors
from imgproxy.api.endpoints import FORM, Answer, Call, Endpoint, Group, version_tag
from imgproxy.api.form import FileForm, Form, FormBody
from imgproxy.api.requests import NewUpload, Registration, UploadedFile
from imgproxy.api.responses import PresignedUpload, Record, record
from imgproxy.files import registration
from imgproxy.files.fields import given_values
from imgproxy.files.model import File
from imgproxy.files.service import FilesService
from imgproxy.files.uploads import UploadRequest
from imgproxy.image.source import Key

_FORM_BYTES = 1024**2
"""More than a form has beside its file: 64 KiB of fields, their headers and boundaries."""


async def _presign(service: FilesService, call: Call[NewUpload]) -> Answer:
    issued = await service.uploads.issue(call.principal, upload_request(call.given))
    upload = issued.upload
    return Answer(
        PresignedUpload(
            url=urljoin(call.base, issued.url),
            key=upload.key,
            filename=call.given.filename,
            content_type=call.given.content_type,
            headers={"Content-Type": call.given.content_type},
            expires_in=issued.expires_in,
            expires_at=upload.url_expires_at,
        )
    )


async def _register(service: FilesService, call: Call[UploadedFile]) -> Answer:
    file = await service.registrar.register(call.principal, _said(call.given))
    return _created(file, call.base)


async def _send(service: FilesService, call: Call[FormBody]) -> Answer:
    form = await Form.open(call.http, call.fingerprint)
    at_least = (call.http.content_length or 0) - _FORM_BYTES
    file = await service.streams.store(
        call.principal, form.request, form.chunks(), form.details, at_least=at_least
    )
    return _created(file, call.base)


def upload_request(given: NewUpload) -> UploadRequest:
    """Return the upload request of a body."""
    return UploadRequest(
        name=given.filename,
        mime_type=given.content_type,
        size=given.file_size,
        visibility=given.visibility,
        category=given.category,
    )


def _said(given: UploadedFile) -> registration.UploadRegistration:
    return registration.UploadRegistration(
        key=Key(given.s3_key),
        mime_type=given.mime_type,
        size=given.size,
        values=given_values(given),
        collection=given.bucket,
    )


def _created(file: File, base: str) -> Answer:
    told = record(file, base=base)
    return Answer(told, etag=version_tag(file), headers={"Location": f"/v1/files/{file.id}"})


OF_DECLARING = (
    errors.InvalidName,
    errors.NameTooLong,
    errors.TypeTooLong,
    errors.InvalidFormat,
    errors.NegativeSize,
    errors.FileTooLarge,
    errors.FileTooSmall,
)
OF_STORAGE = (errors.StorageFailed, errors.StorageSlow)

UPLOADS: Group[FilesService] = Group(
    "Uploads",
    "Bring a file in: ask for a URL, `PUT` the bytes there, register them. Or send it in one request.",
    (
        Endpoint(
            "POST",
            "/v1/files/presigned-url",
            "createUploadUrl",
            "Ask where to send a file",
            _presign,
            takes=NewUpload,
            answers=PresignedUpload,
            refuses=OF_DECLARING,
            creates=True,
            signs=True,
            text="The URL takes one `PUT` of exactly this type, and of exactly this size if it is told. "
            "Nothing is a file before it is registered.",
        ),
        Endpoint(
            "POST",
            "/v1/files",
            "createFile",
            "Register what was uploaded",
            _register,
            takes=Registration,
            answers=Record,
            status=201,
            refuses=(
                *OF_DECLARING,
                errors.InvalidPath,
                errors.KeyTooLong,
                errors.FileNotFound,
                errors.KeyExists,
                errors.Conflict,
                errors.UploadExpired,
                *OF_STORAGE,
            ),
            creates=True,
            text="The bytes are frozen: what is `PUT` to the URL afterwards changes nothing. Size and type "
            "are those of the bytes; saying others is refused, and may be tried again after another `PUT`. "
            "Width and height are measured, and what you say of them is not looked at.",
        ),
        Endpoint(
            "POST",
            "/v1/files",
            "sendFile",
            "Send a file",
            _send,
            takes=FileForm,
            answers=Record,
            status=201,
            refuses=(*OF_DECLARING, errors.BodyTooLarge, *OF_STORAGE),
            creates=True,
            media=FORM,
            text="One field `file`; others may stand before or after it, but `category` before.",
        ),
    ),
)
