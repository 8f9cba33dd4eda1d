"""What the record of files is made of: frozen values, without a database and without HTTP.

A client is issued an **upload**: a place nobody reads from, to which it may write for a while. What it
wrote is frozen into an object that nobody can write to, and becomes a **file**. Times are whole milliseconds
since 1970, ids are UUIDv7 in text, sizes are bytes. A tenant is whose data it is; it comes from the
credential alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NewType

from imgproxy.image.source import Key

TenantId = NewType("TenantId", str)
FileId = NewType("FileId", str)
UploadId = NewType("UploadId", str)


class Visibility(StrEnum):
    """Who may see a file."""

    PUBLIC = "public"
    PRIVATE = "private"
    PROTECTED = "protected"
    SHARED = "shared"


class UploadState(StrEnum):
    """How far an upload has come; the last three are ends.

    It goes back once only: what was being completed and is refused, or fails, is `issued` again.
    """

    ISSUED = "issued"
    COMPLETING = "completing"
    PUBLISHED = "published"
    """A file already, though nobody has registered it: `IMGPROXY_PUBLISH=auto`."""
    CONSUMED = "consumed"
    ABORTED = "aborted"
    EXPIRED = "expired"


class FileState(StrEnum):
    """`deleted` can be restored until its retention ends; `purged` has no bytes and never comes back."""

    READY = "ready"
    DELETED = "deleted"
    PURGED = "purged"


UploadKind = Literal["single", "multipart", "stream"]
OwnerType = Literal["user", "session", "service", "public"]
ShareType = Literal["user", "role", "group"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a file belongs to, within its tenant."""

    type: OwnerType
    id: str = ""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose data it is; nobody of one tenant learns of another's."""

    id: TenantId
    name: str
    created_at: int
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """What files of one kind may be, and what becomes of them."""

    name: str
    default_visibility: Visibility
    max_size: int
    types: tuple[str, ...] = ()
    """Allowed types, such as `image/*` or `application/pdf`; empty allows any."""
    min_size: int = 1
    retention: int = 30 * 24 * 3600
    """Seconds for which a deleted file can be restored."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Leave to write one object; the row is there before the first URL is."""

    id: UploadId
    tenant: TenantId
    collection: str
    key: Key
    """The name that the file will have: unguessable, stable, the path on the edge."""
    staging_key: Key
    """Where the client may write, and nobody reads."""
    kind: UploadKind
    declared_name: str
    visibility: Visibility
    owner: Owner
    state: UploadState
    url_expires_at: int
    """When the last URL ever signed for `staging_key` ends."""
    created_at: int
    declared_type: str | None = None
    declared_size: int | None = None
    category: str | None = None
    storage_upload: str | None = None
    """Storage's own name of a multipart upload."""
    file_id: FileId | None = None
    """What it became."""
    claimed_at: int | None = None
    """When whoever is completing it began; long ago means that he never ended."""


@dataclass(frozen=True, slots=True)
class File:
    """One file; size, type, width and height are those of the frozen bytes, never the client's word."""

    id: FileId
    tenant: TenantId
    collection: str
    key: Key
    object_key: Key
    """Where the bytes lie; nobody outside is told."""
    etag: str
    """Storage's version of the object; changes whenever the bytes do."""
    original_name: str
    mime_type: str
    size: int
    visibility: Visibility
    owner: Owner
    state: FileState
    created_at: int
    updated_at: int
    row_version: int = 1
    """Raised by every change; what `If-Match` is held against."""
    generation: int = 1
    """Raised by every change that the edge must know of: visibility, state, bytes."""
    width: int | None = None
    height: int | None = None
    category: str | None = None
    description: str | None = None
    alt: str | None = None
    related_entity_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    deleted_at: int | None = None
    purge_after: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """Someone whom a `shared` file is shared with."""

    type: ShareType
    id: str
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a tenant; the key itself is known to its holder only."""

    id: str
    tenant: TenantId
    kind: Literal["pk", "sk"]
    sha256: bytes
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


TaskKind = Literal["delete", "abort", "purge"]
"""Remove an object; abort a multipart upload; have caches in front forget a key."""


@dataclass(frozen=True, slots=True)
class Task:
    """A row of the outbox: work that was promised in the transaction that made it necessary."""

    id: str
    tenant: TenantId
    kind: TaskKind
    payload: Mapping[str, str]
    not_before: int
    created_at: int
    attempts: int = 0
    last_error: str | None = None
    dead_at: int | None = None
    """When it was given up, after the last try; an operator may have it tried again."""


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request with an Idempotency-Key, and its answer if it has one."""

    request_sha256: bytes
    created_at: int
    status: int | None = None
    """None while it is being worked on."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that no row names; removed if a later pass of the sweep finds it so again."""

    object_key: Key
    first_seen: int
    size: int
