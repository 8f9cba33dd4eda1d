"""The sweep: what lies in storage and no row knows of, and files whose bytes are not there.

Every object has a row before it can be there, so the first should never be, and is removed: in two passes at
least an hour apart, so that nothing is taken that is just being made; looked up again in the transaction that
promises its removal; by the outbox, like everything. The second is told and left to a person. Only places of
ours are looked at, each prefix with its slash.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from imgproxy.errors import NotFound
from imgproxy.files import outbox_tasks
from imgproxy.files.database import Connection, Database
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Orphan, Task, TenantId
from imgproxy.files.repository.outbox import add_task
from imgproxy.files.repository.sweep import (
    FileObject,
    file_objects,
    insert_orphan,
    is_file_object,
    list_orphans,
    orphan_by_key,
    referenced_keys,
    remove_orphans,
)
from imgproxy.image.source import Key
from imgproxy.storage import Head, Storage

GRACE_MS = 3600 * 1000
STAGING, FILES = "staging/", "files/"
_BATCH = 500
T = TypeVar("T")
_LAST = "\U0010ffff"  # after every key of a prefix


@dataclass(slots=True)
class Findings:
    """Results of a sweep; of a dry one, those that it would have."""

    objects: int = 0
    noted: int = 0
    """Orphans seen for the first time, or not long enough ago."""
    removed: int = 0
    """Orphans whose removal is promised."""
    removed_bytes: int = 0
    aborted: int = 0
    """Multipart uploads that are aborted."""
    missing: list[FileObject] = field(default_factory=list)
    """Files whose bytes are not there."""


class Sweep:
    """Compares storage with the record once."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        ids: IdGenerator,
        say: Callable[[str], None] = lambda _: None,
        dry: bool = False,
    ) -> None:
        """`say` is told how far it is; when `dry`, nothing is written."""
        self._database = database
        self._objects = objects
        self._ids = ids
        self._say = say
        self._dry = dry
        self._orphans: set[Key] = set()
        self._found = Findings()

    async def run(self) -> Findings:
        """Sweep everything."""
        for prefix in (STAGING, FILES):
            await self._sweep(prefix)
        await self._sweep_parts()
        if not self._dry:
            await self._forget_candidates()
        return self._found

    async def _sweep(self, prefix: str) -> None:
        after = prefix
        async for batch in _batches(self._objects.list(prefix)):
            self._found.objects += len(batch)
            await self._treat_objects(batch)
            if prefix == FILES:
                last = max(key for key, _ in batch)
                await self._look_for_missing({key for key, _ in batch}, after=after, upto=last)
                after = max(after, last)
            self._say(f"{prefix} {self._found.objects} objects")
        if prefix == FILES:
            await self._look_for_missing(set(), after=after, upto=prefix + _LAST)

    async def _treat_objects(self, batch: Sequence[tuple[Key, Head]]) -> None:
        now = self._ids.clock()
        named = await self._database.read(partial(_named, keys=[key for key, _ in batch], now=now))
        orphans = [Orphan(key, now, head.size) for key, head in batch if key not in named]
        self._orphans.update(orphan.object_key for orphan in orphans)
        if orphans:
            await self._treat_orphans(orphans, now)

    async def _treat_orphans(self, orphans: Sequence[Orphan], now: int) -> None:
        removals = [
            outbox_tasks.delete_object(self._ids, _folder(each.object_key), each.object_key, at=now)
            for each in orphans
        ]
        pairs = list(zip(orphans, removals, strict=True))
        work = partial(_treat, pairs=pairs, now=now, dry=self._dry)
        gone = await (self._database.read(work) if self._dry else self._database.write(work))
        self._found.noted += len(orphans) - len(gone)
        self._found.removed += len(gone)
        self._found.removed_bytes += sum(orphan.size for orphan in gone)

    async def _look_for_missing(self, there: set[Key], *, after: str, upto: str) -> None:
        while True:
            page = partial(file_objects, after=after, upto=upto, limit=_BATCH)
            places = await self._database.read(lambda connection, page=page: page(connection))  # type: ignore[misc]
            for place in places:
                if place.object_key not in there and await self._is_missing(place):
                    self._found.missing.append(place)
            if len(places) < _BATCH:
                return
            after = places[-1].object_key

    async def _is_missing(self, place: FileObject) -> bool:
        """Look again: storage was listed a while ago, and the file may have gone since."""
        try:
            await self._objects.head(place.object_key)
        except NotFound:
            return await self._database.read(lambda connection: is_file_object(connection, place))
        return False

    async def _sweep_parts(self) -> None:
        now = self._ids.clock()
        async for batch in _batches(self._objects.multipart.list(STAGING)):
            old = [each for each in batch if each.begun * 1000 + GRACE_MS <= now]
            pairs = [
                (each.key, outbox_tasks.abort_upload(self._ids, _folder(each.key), each.key, each.upload))
                for each in old
            ]
            work = partial(_abort, pairs=pairs, now=now, dry=self._dry)
            self._found.aborted += await (
                self._database.read(work) if self._dry else self._database.write(work)
            )

    async def _forget_candidates(self) -> None:
        """Remove candidates that are no orphans: deleted, or referenced by a row."""
        after = ""
        while candidates := await self._database.read(partial(list_orphans, after=after, limit=_BATCH)):
            over = [each.object_key for each in candidates if each.object_key not in self._orphans]
            if over:
                await self._database.write(partial(remove_orphans, object_keys=over))
            after = candidates[-1].object_key


async def _batches(things: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    batch: list[T] = []
    async for each in things:
        batch.append(each)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _named(connection: Connection, *, keys: Iterable[Key], now: int) -> set[Key]:
    return referenced_keys(connection, keys, ended_before=now - GRACE_MS)


def _treat(
    connection: Connection, *, pairs: Iterable[tuple[Orphan, Task]], now: int, dry: bool
) -> list[Orphan]:
    """Note orphans, and promise the removal of those noted long ago; return these."""
    gone = []
    for orphan, removal in pairs:
        if _named(connection, keys=[orphan.object_key], now=now):
            continue
        noted = orphan_by_key(connection, orphan.object_key)
        is_ripe = noted is not None and noted.first_seen + GRACE_MS <= now
        if is_ripe:
            gone.append(orphan)
        if dry:
            continue
        if is_ripe:
            add_task(connection, removal)
            remove_orphans(connection, [orphan.object_key])
        else:
            insert_orphan(connection, orphan)
    return gone


def _abort(connection: Connection, *, pairs: Iterable[tuple[Key, Task]], now: int, dry: bool) -> int:
    aborted = 0
    for key, task in pairs:
        if not _named(connection, keys=[key], now=now):
            aborted += 1
            if not dry:
                add_task(connection, task)
    return aborted


def _folder(key: Key) -> TenantId:
    """Return the tenant that is named by an object's key."""
    return TenantId(key.split("/")[1])
