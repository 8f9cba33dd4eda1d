"""Registration of the demo's images as public files of a tenant of their own, under readable keys."""

from __future__ import annotations

import mimetypes
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from imgproxy.errors import Conflict
from imgproxy.files.database import Connection, Database, open_database
from imgproxy.files.id_generator import uuid7
from imgproxy.files.model import File, FileId, FileState, Owner, Tenant, TenantId, Visibility
from imgproxy.files.repository.files import file_by_key, insert_file, update_file
from imgproxy.files.repository.tenants import insert_tenant
from imgproxy.files_api import milliseconds
from imgproxy.image.source import parse_key
from imgproxy.settings import Settings
from imgproxy.storage import Storage
from imgproxy.storage.signed_url import UrlSigner

TENANT = TenantId("demo")


async def register_images(settings: Settings, names: Sequence[str]) -> None:
    """Register objects in storage as files; a file that is registered already keeps its metadata."""
    storage = await settings.storage.connect(
        UrlSigner(settings.key_for("tickets"), clock=time.time), settings.hidden_prefixes
    )
    database = await open_database(settings.database)
    try:
        await database.migrate()
        with suppress(Conflict):
            await database.write(lambda record: insert_tenant(record, Tenant(TENANT, "Demo", milliseconds())))
        for name in names:
            await _register(database, storage, name)
    finally:
        await database.close()
        await storage.close()


async def _register(database: Database, storage: Storage, name: str) -> None:
    key, now = parse_key(name), milliseconds()
    head = await storage.head(key)
    file = File(
        id=FileId(uuid7(now, os.urandom)),
        tenant=TENANT,
        collection="images",
        key=key,
        object_key=key,
        etag=head.version,
        original_name=PurePosixPath(name).name,
        mime_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
        size=head.size,
        visibility=Visibility.PUBLIC,
        owner=Owner("service"),
        state=FileState.READY,
        created_at=now,
        updated_at=now,
    )
    await database.write(partial(_insert_or_update, file=file))


def _insert_or_update(connection: Connection, *, file: File) -> None:
    """Insert a file, or update it if its bytes were drawn anew."""
    before = file_by_key(connection, file.key)
    if before is None:
        insert_file(connection, file)
    elif before.etag != file.etag:
        after = replace(before, etag=file.etag, size=file.size, generation=before.generation + 1)
        update_file(connection, before, after)
