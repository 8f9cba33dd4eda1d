"""Endpoints of files that are there: read, list, change, delete, restore, and URLs to their bytes."""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin

from imgproxy import errors
from imgproxy.api.endpoints import Answer, Call, Endpoint, Group, version_tag
from imgproxy.api.requests import DownloadAsked, DownloadQuery, FileAsked, FileChange, FileList, FilePatch
from imgproxy.api.responses import (
    DownloadUrl,
    FilePage,
    Nothing,
    Pagination,
    PublicFileBase,
    PublicRecord,
    Record,
    public_record,
    record,
)
from imgproxy.files.cursor import Sort
from imgproxy.files.model import File
from imgproxy.files.policy import has_full_access
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository.lists import ListPage
from imgproxy.files.service import FilesService


async def _list(service: FilesService, call: Call[FileList]) -> Answer:
    asked = call.given
    listed = await service.reader.list(
        call.principal,
        visibility=asked.visibility,
        owner_type=asked.owner_type,
        owner_id=asked.owner_id,
        collection=asked.bucket,
        mime_type=asked.mime_type,
        category=asked.category,
        tag=asked.tag,
        search=asked.search,
        sort=Sort(asked.sort_by),
        descending=asked.sort_direction == "desc",
        limit=asked.limit,
        page=asked.page,
        cursor=asked.cursor,
    )
    items = [_told(call.principal, file, call.base) for file in listed.items]
    await asyncio.sleep(0)  # a hundred take 0.5 ms to put together, and 0.7 to write: others go in between
    return Answer(FilePage(items=items, pagination=_pagination(asked, listed)))


async def _get(service: FilesService, call: Call[FileAsked]) -> Answer:
    file = await service.reader.get(call.principal, call.file_id, deleted=call.given.deleted)
    return Answer(_told(call.principal, file, call.base), etag=_tag(call.principal, file))


async def _patch(service: FilesService, call: Call[FileChange]) -> Answer:
    patch = {name: getattr(call.given, name) for name in call.given.model_fields_set}
    file = await service.editor.patch(call.principal, call.file_id, patch, check=call.require_match)
    return _changed(file, call.base)


async def _delete(service: FilesService, call: Call[None]) -> Answer:
    await service.editor.delete(call.principal, call.file_id, check=call.require_match)
    return Answer(Nothing())


async def _restore(service: FilesService, call: Call[None]) -> Answer:
    return _changed(await service.editor.restore(call.principal, call.file_id), call.base)


async def _download(service: FilesService, call: Call[DownloadAsked] | Call[DownloadQuery]) -> Answer:
    made = await service.reader.download(
        call.principal, call.file_id, disposition=call.given.disposition, ttl=call.given.expires_in
    )
    url = urljoin(call.base, made.url)
    return Answer(
        DownloadUrl(
            url=url,
            filename=made.file.original_name,
            content_type=made.file.mime_type,
            size=made.file.size,
            expires_at=made.expires_at,
            download_url=url,
            expires_in=made.expires_in,
        )
    )


def _told(principal: Principal, file: File, base: str) -> PublicFileBase:
    return record(file, base=base) if has_full_access(principal, file) else public_record(file, base=base)


def _tag(principal: Principal, file: File) -> str:
    """Another one for those who are told less: a browser may be two users', one after the other."""
    whole = version_tag(file)
    return whole if has_full_access(principal, file) else f'{whole[:-1]}-public"'


def _changed(file: File, base: str) -> Answer:
    return Answer(record(file, base=base), etag=version_tag(file))


def _pagination(asked: FileList, listed: ListPage) -> Pagination:
    total = listed.total if asked.total else None
    before = asked.page > 1 or asked.cursor is not None
    return Pagination(
        total=total,
        total_is_exact=listed.total_is_exact,
        page=asked.page,
        limit=asked.limit,
        total_pages=None if total is None else -(-total // asked.limit),
        has_next_page=listed.has_next,
        has_prev_page=before,
        has_next=listed.has_next,
        has_prev=before,
        next_cursor=listed.next_cursor,
    )


_DOWNLOAD = (
    "Whoever holds the URL may have the bytes as they were uploaded, until it ends: after `expiresIn` "
    "seconds, and at once when the file is deleted or its visibility changes. A URL of the bucket itself "
    "(`IMGPROXY_DOWNLOADS=direct`) cannot end early. `inline` is heeded for images, sound, video, PDF and "
    "plain text; what a browser could run, SVG too, is always an attachment."
)
_OF_STORAGE = (errors.StorageFailed, errors.StorageSlow)

FILES: Group[FilesService] = Group(
    "Files",
    "Records of files. Who is not the owner sees what visibility allows, and public fields only.",
    (
        Endpoint(
            "GET",
            "/v1/files",
            "listFiles",
            "List files",
            _list,
            Kind.ANONYMOUS,
            takes=FileList,
            answers=FilePage,
            refuses=(errors.ListTooBroad,),
            text="A publishable key alone sees public files; a user sees those, protected ones, his own, and "
            "what is shared with him; a secret key sees all. Fields that somebody is not shown cannot be "
            "filtered by: another owner's files are 403. Pages by number reach as far as 10,000 files, "
            "`nextCursor` goes on from there. A list ends as 422 after half a second: filter by fewer "
            "fields or a rarer value, or search for a longer text.",
        ),
        Endpoint(
            "GET",
            "/v1/files/{id}",
            "getFile",
            "Get a file's record",
            _get,
            Kind.ANONYMOUS,
            takes=FileAsked,
            answers=(Record, PublicRecord),
        ),
        Endpoint(
            "PATCH",
            "/v1/files/{id}",
            "changeFile",
            "Change a file's record",
            _patch,
            takes=FilePatch,
            answers=Record,
            refuses=(errors.InvalidName, errors.NameTooLong, errors.Changed),
            text="A file that is not public any more is not shown by the image CDN any more when this "
            "answers; caches in front are purged, and forget it by themselves after `s-maxage`.",
        ),
        Endpoint(
            "DELETE",
            "/v1/files/{id}",
            "deleteFile",
            "Delete a file",
            _delete,
            answers=Nothing,
            refuses=(errors.Changed,),
            text="It is gone for everybody at once, and can be restored until its collection's retention "
            "ends; its bytes go then. A file that is deleted already is answered alike.",
        ),
        Endpoint(
            "POST",
            "/v1/files/{id}/restore",
            "restoreFile",
            "Bring a deleted file back",
            _restore,
            answers=Record,
            text="As it was, under the same key. Too late, and it is not found.",
        ),
        Endpoint(
            "POST",
            "/v1/files/{id}/download-url",
            "createDownloadUrl",
            "Get a URL to the bytes",
            _download,
            Kind.ANONYMOUS,
            takes=DownloadAsked,
            answers=DownloadUrl,
            refuses=_OF_STORAGE,
            text=_DOWNLOAD,
        ),
        Endpoint(
            "GET",
            "/v1/files/{id}/download-url",
            "getDownloadUrl",
            "Get a URL to the bytes",
            _download,
            Kind.ANONYMOUS,
            takes=DownloadQuery,
            answers=DownloadUrl,
            refuses=_OF_STORAGE,
            text=_DOWNLOAD,
        ),
    ),
)
