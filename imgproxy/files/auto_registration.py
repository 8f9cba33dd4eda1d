"""Auto-registration of uploads, for clients that PUT and then use the key (`IMGPROXY_PUBLISH=auto`).

Only what its upload says is public, in a collection whose files are public unless told otherwise. Who asks
for a key first has it published, with all who ask at the same time; what was refused is not tried again
until other bytes are there, or a minute has passed.
"""

from __future__ import annotations

import asyncio
from functools import partial

from cachetools import TTLCache

from imgproxy.errors import Conflict, FileNotFound, FilesError, ImgproxyError, NotFound
from imgproxy.files.collections import CollectionLimits
from imgproxy.files.database import Database
from imgproxy.files.finalize import DeclaredContent, Finalizer
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Upload, UploadState, Visibility
from imgproxy.files.repository.uploads import upload_by_staging_key, upload_of_any_tenant
from imgproxy.files.upload_lease import acquire, is_available, new_lease
from imgproxy.image.source import Key
from imgproxy.storage import Storage

_REFUSED_MS = 60_000
_REFUSALS = 16_384
_A_FILE = (UploadState.PUBLISHED, UploadState.CONSUMED)


class AutoRegistration:
    """Registers uploads whose bytes have arrived."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        limits: CollectionLimits,
        ids: IdGenerator,
        finalizer: Finalizer,
    ) -> None:
        self._database = database
        self._objects = objects
        self._limits = limits
        self._ids = ids
        self._finalizer = finalizer
        self._under_way: dict[Key, asyncio.Task[bool]] = {}
        self._refused: TTLCache[tuple[Key, str], bool] = TTLCache(_REFUSALS, _REFUSED_MS, ids.clock)

    async def publish(self, key: Key) -> bool:
        """Register an upload that has arrived; return whether the key has a file. Raise a `SourceError`."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._publish(key))
            task.add_done_callback(partial(self._done, key))
        return await asyncio.shield(task)  # who leaves does not end it for the others

    async def arrived(self, staging_key: Key) -> bool:
        """Register the upload that was just written; return whether it is a file. Readers retry a failure."""
        try:
            upload = await self._database.read(
                lambda connection: upload_by_staging_key(connection, staging_key)
            )
            return upload is not None and await self.publish(upload.key)
        except ImgproxyError:
            return False

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    async def _publish(self, key: Key) -> bool:
        upload = await self._database.read(lambda connection: upload_of_any_tenant(connection, key))
        if upload is None or upload.state in _A_FILE:
            return upload is not None
        if not is_available(upload, now=self._ids.clock()) or not await self._is_public(upload):
            return False
        try:
            version = (await self._objects.head(upload.staging_key)).version
        except NotFound:
            return False
        if (key, version) in self._refused:
            return False
        try:
            await self._freeze(upload)
        except (Conflict, FileNotFound):  # somebody else is at it, or has just taken it away
            return False
        except FilesError:
            self._refused[key, version] = True
            return False
        return True

    async def _is_public(self, upload: Upload) -> bool:
        collection = await self._limits.named(upload.tenant, upload.collection)
        return upload.visibility is collection.default_visibility is Visibility.PUBLIC

    async def _freeze(self, upload: Upload) -> None:
        lease = new_lease(self._ids, upload.tenant)
        now = self._ids.clock()
        held = await self._database.write(partial(acquire, upload=upload, lease=lease, now=now))
        values = {"original_name": upload.declared_name}
        kinds = (upload.declared_type,) if upload.declared_type is not None else ()
        sizes = (upload.declared_size,) if upload.declared_size is not None else ()
        declared = DeclaredContent(upload.declared_name, kinds, sizes)
        await self._finalizer.finalize(held, lease, values, declared, to=UploadState.PUBLISHED)

    def _done(self, key: Key, task: asyncio.Task[bool]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen, should nobody wait any more
