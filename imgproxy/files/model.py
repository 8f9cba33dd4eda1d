"""Values of the files API: frozen, without a database and without HTTP.

A client is issued an **upload**: a place nobody reads from, to which it may write for a while. What it
wrote is frozen into an object that nobody can write to, and becomes a **file**. Times are whole milliseconds
since 1970, ids are UUIDv7 in text, sizes are bytes. A tenant is whose data it is; it comes from the
credential alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, NewType

from imgproxy.image.source import Key

TenantId = NewType("TenantId", str)
FileId = NewType("FileId", str)
UploadId = NewType("UploadId", str)


class Visibility(StrEnum):
    """Visibility of a file."""

    PUBLIC = "public"
    PRIVATE = "private"
    PROTECTED = "protected"
    SHARED = "shared"


class UploadState(StrEnum):
    """State of an upload; the last three are final.

    It goes back once only: what was being completed and is refused, or fails, is `issued` again.
    """

    ISSUED = "issued"
    COMPLETING = "completing"
    PUBLISHED = "published"
    """A file by auto-registration: `IMGPROXY_PUBLISH=auto`."""
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
    """Owner of a file, within its tenant."""

    type: OwnerType
    id: str = ""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Tenant: an owner of data that is isolated from all other tenants."""

    id: TenantId
    name: str
    created_at: int
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """Limits, default visibility and retention of a kind of files."""

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
    """Key that the client may write to; no reader uses it."""
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
    """File that the upload became."""
    claimed_at: int | None = None
    """Time at which the lease began."""


InputType = Literal["file_name", "visibility", "name", "prose", "line", "tags", "metadata"]
"""Type of a value that clients set; `api.field_types` has the limits of each."""


@dataclass(frozen=True, slots=True)
class FieldRules:
    """Declaration of a field of `File`: its column, and its place in requests and responses.

    `files.fields` derives table, row mapping, patch and tombstone from it; `api` derives models.
    """

    read: Literal["client", "owner"] | None = None
    """Readers: clients that see the file, its owner and secret keys only, or none."""
    json: str = ""
    """Name in JSON, in snake case, if it is another than the field's."""
    input: InputType | None = None
    """Type of the value that clients give in a registration, form or patch; None if they cannot."""
    unique: bool = False
    is_time: bool = False
    purged: bool = False
    """A purge of the file removes the value."""
    description: str | None = None
    input_description: str | None = None
    example: Any = None


_TIME = FieldRules(read="client", is_time=True)
_INTERNAL = FieldRules()


@dataclass(frozen=True, slots=True)
class File:
    """One file; size, type, width and height are those of the stored bytes, not what the client declared."""

    id: Annotated[
        FileId, FieldRules(read="client", unique=True, example="0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10")
    ]
    tenant: Annotated[TenantId, _INTERNAL]
    collection: Annotated[str, FieldRules(read="client", json="bucket", example="images")]
    key: Annotated[
        Key, FieldRules(read="client", unique=True, example="images/4fQx1bTz9KcP0aLmE7uVwR/cat.jpg")
    ]
    object_key: Annotated[Key, FieldRules(unique=True)]
    """Key of the bytes in storage; no response contains it."""
    etag: Annotated[str, _INTERNAL]
    """Version of the object in storage; changes whenever the bytes do."""
    original_name: Annotated[str, FieldRules(read="client", input="file_name", example="cat.jpg")]
    mime_type: Annotated[str, FieldRules(read="client", example="image/jpeg")]
    size: Annotated[int, FieldRules(read="client", example=482113)]
    visibility: Annotated[
        Visibility,
        FieldRules(read="client", input="visibility", input_description="That of the upload by default."),
    ]
    owner: Annotated[Owner, FieldRules(read="owner")]
    state: Annotated[FileState, FieldRules(read="owner")]
    created_at: Annotated[int, _TIME]
    updated_at: Annotated[int, _TIME]
    row_version: Annotated[
        int, FieldRules(read="owner", json="version", description="What `ETag` and `If-Match` count.")
    ] = 1
    """Number of changes; `If-Match` is compared with it."""
    generation: Annotated[int, _INTERNAL] = 1
    """Number of changes that the edge must know of: visibility, state, bytes."""
    width: Annotated[int | None, FieldRules(read="client")] = None
    height: Annotated[int | None, FieldRules(read="client")] = None
    category: Annotated[str | None, FieldRules(read="client", input="name", purged=True)] = None
    description: Annotated[str | None, FieldRules(read="client", input="prose", purged=True)] = None
    alt: Annotated[
        str | None,
        FieldRules(
            read="client",
            input="prose",
            purged=True,
            input_description="Text for those who do not see the image.",
        ),
    ] = None
    related_entity_id: Annotated[str | None, FieldRules(read="owner", input="line", purged=True)] = None
    tags: Annotated[tuple[str, ...], FieldRules(read="client", input="tags", purged=True)] = ()
    metadata: Annotated[Mapping[str, Any], FieldRules(read="owner", input="metadata", purged=True)] = field(
        default_factory=dict
    )
    deleted_at: Annotated[int | None, FieldRules(read="owner", is_time=True)] = None
    purge_after: Annotated[
        int | None, FieldRules(read="owner", is_time=True, description="Until when it can be restored.")
    ] = None


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
