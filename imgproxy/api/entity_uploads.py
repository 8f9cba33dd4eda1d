"""Uploads and downloads by the path of the entity that they belong to, as some backends have them.

`/v1/users/42/avatar/upload-url` says whose file it is and which of its fields holds it: Backdrift's form, and
bkend's for avatars. Whose it is, only the client knows: it keeps the key in the entity's field, as it does
there, and names it when it wants the file back.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

from multidict import MultiDict
from pydantic import Field

from imgproxy import errors
from imgproxy.api.endpoints import Answer, Call, Endpoint, Group
from imgproxy.api.field_types import KeyText, Line, Name
from imgproxy.api.requests import NewUpload, Query
from imgproxy.api.responses import Body, Instant
from imgproxy.api.uploads import OF_DECLARING, OF_STORAGE, upload_request
from imgproxy.api.validation import read_query
from imgproxy.files.collections import DEFAULTS
from imgproxy.files.principal import Kind
from imgproxy.files.service import FilesService
from imgproxy.image.source import Key


class _EntityPath(Query):
    """The path of an entity's field."""

    collection: Name
    entity: Line
    field: Name


class EntityFile(Query):
    """The key that the entity's field holds."""

    file_key: KeyText


class EntityUpload(Body):
    """URL to `PUT` the bytes to, and the key to store; each under both names that clients use."""

    upload_url: str
    file_key: str = Field(examples=["avatars/4fQx1bTz9KcP0aLmE7uVwR/me.jpg"])
    url: str = Field(description="The same as `uploadUrl`.")
    key: str = Field(description="The same as `fileKey`.")
    expires_in: int = Field(examples=[900])


class EntityDownload(Body):
    """URL to the bytes, until `expiresAt`."""

    download_url: str
    expires_in: int = Field(examples=[3600])
    expires_at: Instant


async def _upload(service: FilesService, call: Call[NewUpload]) -> Answer:
    request = upload_request(call.given)
    path = read_query(_EntityPath, MultiDict(call.path))
    category = request.category or _category(path.collection, path.field)
    issued = await service.uploads.issue(call.principal, replace(request, category=category))
    url, key = urljoin(call.base, issued.url), issued.upload.key
    return Answer(EntityUpload(upload_url=url, file_key=key, url=url, key=key, expires_in=issued.expires_in))


async def _download(service: FilesService, call: Call[EntityFile]) -> Answer:
    id_ = await service.reader.identify(call.principal, Key(call.given.file_key))
    made = await service.reader.download(call.principal, id_)
    url = urljoin(call.base, made.url)
    return Answer(EntityDownload(download_url=url, expires_in=made.expires_in, expires_at=made.expires_at))


def _category(entities: str, field: str) -> str:
    """A user's `avatar` goes to our `avatars`; else the entities' name is a collection, or only a label."""
    words = (entities, field, f"{field}s")
    return next((word for word in words if word in DEFAULTS), entities)


_PATH = "/v1/{collection}/{entity}/{field}"

ENTITY_UPLOADS: Group[FilesService] = Group(
    "Files of entities",
    "The same by the path of what a file belongs to, such as `/v1/users/42/avatar/upload-url`. `field`, its "
    "plural, or `collection` may name a collection of files; keep the key in the entity.",
    (
        Endpoint(
            "POST",
            f"{_PATH}/upload-url",
            "createEntityUploadUrl",
            "Ask where to send an entity's file",
            _upload,
            takes=NewUpload,
            answers=EntityUpload,
            refuses=OF_DECLARING,
            creates=True,
            signs=True,
            text="The `PUT` must carry the `Content-Type` that was told. Then register the key, unless "
            "`IMGPROXY_PUBLISH=auto` does.",
        ),
        Endpoint(
            "GET",
            f"{_PATH}/download-url",
            "getEntityDownloadUrl",
            "Get a URL to the bytes of an entity's file",
            _download,
            Kind.ANONYMOUS,
            takes=EntityFile,
            answers=EntityDownload,
            refuses=(errors.InvalidPath, errors.KeyTooLong, errors.FileNotFound, *OF_STORAGE),
        ),
    ),
)
