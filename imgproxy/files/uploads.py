"""Issuing of uploads: permission to write one object to a key that no reader uses.

The row is there before the URL is, so that nothing can lie in storage that no row knows of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from imgproxy.errors import ImgproxyError, UploadInitFailed
from imgproxy.files.collections import CollectionLimits, check_size, check_type, size_limit
from imgproxy.files.database import Connection, Database
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Collection, Upload, UploadId, UploadKind, UploadState, Visibility
from imgproxy.files.principal import Principal
from imgproxy.files.repository.uploads import insert_upload, set_storage_upload, transition_upload
from imgproxy.storage import Storage


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """Parameters of an upload that a client requests."""

    name: str
    mime_type: str
    size: int | None = None
    visibility: Visibility | None = None
    """The collection's own unless told."""
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """An upload, and where to send its bytes."""

    upload: Upload
    url: str
    """Absolute, or a path of our own."""
    expires_in: int
    """Seconds."""


class Uploads:
    """Issues uploads."""

    def __init__(
        self, *, database: Database, objects: Storage, limits: CollectionLimits, ids: IdGenerator, ttl: int
    ) -> None:
        """URLs are good for `ttl` seconds."""
        self._database = database
        self._objects = objects
        self._limits = limits
        self._ids = ids
        self._ttl = ttl

    async def issue(self, principal: Principal, request: UploadRequest) -> Issued:
        """Allow one PUT of exactly this type, and size if it is told; raise a `FilesError`."""
        upload, collection = await self._insert(principal, request, "single")
        url = await self._objects.presign(
            "PUT",
            upload.staging_key,
            expires=self._ttl,
            content_type=request.mime_type,
            content_length=request.size,
            limit=size_limit(collection, request.size),
        )
        return Issued(upload, url, self._ttl)

    async def issue_parts(self, principal: Principal, request: UploadRequest) -> Upload:
        """Begin an upload in parts; raise a `FilesError`, `UploadInitFailed` if storage begins none."""
        upload, _ = await self._insert(principal, request, "multipart")
        try:
            begun = await self._objects.multipart.begin(upload.staging_key, content_type=request.mime_type)
        except ImgproxyError as error:
            await self._database.write(partial(_abandon, upload=upload, now=self._ids.clock()))
            raise UploadInitFailed("storage began no upload: try again") from error
        await self._database.write(
            lambda connection: set_storage_upload(connection, upload.tenant, upload.id, begun)
        )
        return replace(upload, storage_upload=begun)

    async def _insert(
        self, principal: Principal, request: UploadRequest, kind: UploadKind
    ) -> tuple[Upload, Collection]:
        collection = await self._limits.choose(
            principal.tenant, category=request.category, mime_type=request.mime_type
        )
        check_type(collection, request.mime_type)
        if request.size is not None:
            check_size(collection, request.size)
        upload = draw_upload(self._ids, principal, request, collection, kind=kind, seconds=self._ttl)
        await self._database.write(partial(insert_upload, upload=upload))
        return upload, collection


def draw_upload(
    ids: IdGenerator,
    principal: Principal,
    request: UploadRequest,
    collection: Collection,
    *,
    kind: UploadKind,
    seconds: int,
) -> Upload:
    """A new upload, whose URL is good for so many seconds."""
    now, id_ = ids.clock(), UploadId(ids.id())
    return Upload(
        id=id_,
        tenant=principal.tenant,
        collection=collection.name,
        key=ids.key(collection.name, request.name),
        staging_key=ids.staging_key(principal.tenant, id_),
        kind=kind,
        declared_name=request.name,
        declared_type=request.mime_type,
        declared_size=request.size,
        category=request.category,
        visibility=request.visibility or collection.default_visibility,
        owner=principal.owner,
        state=UploadState.ISSUED,
        url_expires_at=now + seconds * 1000,
        created_at=now,
    )


def may_use(principal: Principal, upload: Upload) -> bool:
    """Return whether a principal may continue an upload."""
    if principal.tenant != upload.tenant:
        return False
    return principal.is_service or (principal.owner == upload.owner and upload.owner.type == "user")


def _abandon(connection: Connection, *, upload: Upload, now: int) -> None:
    transition_upload(
        connection,
        upload.tenant,
        upload.id,
        from_states=(UploadState.ISSUED,),
        to=UploadState.ABORTED,
        now=now,
    )
