"""May this key be served, and in which version: asked for every request, hit or miss, before any byte moves.

A registered file's record is the authority. Objects without a record follow the deployment: refused, or
public with the version that storage tells; that is believed for a while, and one question serves all who
wait. Who can do with an old word is given storage's last, and storage is asked behind their back (RFC 5861,
stale-while-revalidate); while it cannot tell, its last word holds for all (stale-if-error). Unknown, private
and deleted are one answer, `NotFound`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cachetools import TTLCache

from imgproxy.background_tasks import BackgroundTasks
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.singleflight import Singleflight
from imgproxy.cache_sizes import DEFAULT, CacheSizes
from imgproxy.errors import NotFound, SourceError
from imgproxy.files.file_status import UNREGISTERED, FileStatus, FileStatuses
from imgproxy.files.recent import Recent
from imgproxy.image.source import Key
from imgproxy.storage import OWN_PREFIXES, Storage

_log = logging.getLogger(__name__)

_ABSENT_SECONDS = 5.0  # how long «not there» is believed: an upload must not stay invisible


@dataclass(frozen=True, slots=True)
class SourceGrant:
    """Leave to serve one object, in one version; equal grants mean that nothing has changed."""

    key: Key
    version: str
    generation: int
    modified: float
    """Seconds since 1970."""
    tenant: str = ""
    epoch: int = 0
    """Purge epoch of the key; what was made under an older one is not served."""
    object_key: Key | None = None
    """Where a file's bytes lie, which is nobody's business; an object without a record lies at its key."""
    size: int | None = field(default=None, compare=False)
    """Bytes of the object, where they are known; a version says them, so they need no comparing."""
    old: bool = field(default=False, compare=False)
    """Whether it goes by a word of storage's that is being asked for anew."""

    @property
    def place(self) -> Key:
        """Where the bytes lie."""
        return self.object_key or self.key


def _absent() -> NotFound:
    return NotFound("there is no such public image")


class SourceAccess:
    """The authority on keys for one process."""

    def __init__(
        self,
        access: FileStatuses,
        storage: Storage,
        epochs: PurgeEpochs,
        *,
        unregistered: bool,
        ttl: float,
        timer: Callable[[], float],
        stale: float = 0,
        sizes: CacheSizes = DEFAULT,
    ) -> None:
        """`ttl` is for how many seconds storage's word is believed, `stale` for how many it is put up with.

        Without a `ttl` storage is asked each time, and nothing old is put up with but while it is down.
        """
        self._access = access
        self._storage = storage
        self._epochs = epochs
        self._unregistered = unregistered
        self._known: TTLCache[Key, SourceGrant] = TTLCache(sizes.source_versions, ttl, timer)
        self._absent: TTLCache[Key, int] = TTLCache(sizes.source_versions, min(ttl, _ABSENT_SECONDS), timer)
        self._last: TTLCache[Key, SourceGrant] = TTLCache(sizes.source_versions, stale, timer)
        self._before: TTLCache[Key, SourceGrant] = TTLCache(sizes.previous_versions, stale, timer)
        self._lenient = ttl > 0
        self._tasks = BackgroundTasks()
        self._flights: Singleflight[SourceGrant] = Singleflight()
        self._granted: Recent[Key, tuple[FileStatus, SourceGrant]] = Recent(sizes.file_rows)

    async def authorize(self, key: Key, *, old: bool = False) -> SourceGrant:
        """Leave to serve a key now; raise `NotFound`, or a `SourceError` or `Unavailable` if nobody can tell.

        `old` says that leave by an old word will do, so that nobody has to wait for storage.
        """
        record = await self._access.look(key)
        if record is not None:
            self._forget_storage(key)  # nothing of it is believed again, should the record go
            if not record.public:
                raise _absent()
            return self._grant(record)
        epoch = self._epochs.of(key)
        if not self._unregistered or key.startswith(OWN_PREFIXES) or self._absent.get(key) == epoch:
            raise _absent()
        known = self._current(self._known, key) or (self._old(key) if old else None)
        return known if known is not None else await self._join(key, epoch)

    def at_hand(self, key: Key) -> SourceGrant | None:
        """Return the grant that memory knows, perhaps an old one; None if `authorize` must be awaited."""
        word = self._access.at_hand(key)
        if word is UNREGISTERED:
            return (self._current(self._known, key) or self._old(key)) if self._unregistered else None
        return self._grant(word) if word is not None and word.public else None

    def place(self, key: Key) -> Key:
        """Where the bytes of a key lay when it was last granted."""
        granted = self._granted.get(key)
        return granted[1].place if granted is not None else key

    async def purge(self, key: Key, number: int = 0) -> None:
        """Void every grant of a key, and ask storage anew; see `PurgeEpochs.apply`."""
        try:
            await asyncio.to_thread(self._epochs.apply, key, number)
        except OSError as error:
            _log.warning("purge of '%s' holds in this process until it ends: %s", key, error)

    def _grant(self, record: FileStatus) -> SourceGrant:
        granted, epoch = self._granted.get(record.key), self._epochs.of(record.key)
        if granted is not None and granted[0] is record and granted[1].epoch == epoch:
            return granted[1]
        grant = SourceGrant(
            key=record.key,
            version=record.version,
            generation=record.generation,
            modified=record.modified,
            tenant=record.tenant,
            epoch=epoch,
            object_key=record.object_key,
            size=record.size,
        )
        self._granted.put(record.key, (record, grant))
        return grant

    def forget(self, key: Key) -> None:
        """Ask storage anew for the next request: the object is known to have changed."""
        last = self._last.get(key)
        self._forget_storage(key)
        if last is not None:
            self._before[key] = last

    def before(self, grants: Sequence[SourceGrant]) -> list[tuple[SourceGrant, ...]]:
        """What stood in the place of these: where one has changed, it by itself, then all together.

        A version before counts if it was only the bytes that changed, and not longer ago than `stale`.
        """
        changed = {grant: before for grant in grants if (before := self._version_before(grant))}
        steps = [{grant: before} for grant, before in changed.items()]
        if len(changed) > 1:
            steps.append(changed)
        return [tuple([step.get(grant, grant) for grant in grants]) for step in steps]

    def voided(self, grant: SourceGrant) -> bool:
        """Return whether its key was purged since it was given."""
        return self._epochs.of(grant.key) != grant.epoch

    async def close(self) -> None:
        """Ask no more."""
        await self._tasks.close()

    def _version_before(self, grant: SourceGrant) -> SourceGrant | None:
        before = self._before.get(grant.key)
        if before is None or (before.generation, before.epoch) != (grant.generation, grant.epoch):
            return None
        return before if before.version != grant.version else None

    def _current(self, words: TTLCache[Key, SourceGrant], key: Key) -> SourceGrant | None:
        grant = words.get(key)
        return grant if grant is not None and grant.epoch == self._epochs.of(key) else None

    def _forget_storage(self, key: Key) -> None:
        for words in (self._known, self._absent, self._last, self._before):
            words.pop(key, None)

    def _old(self, key: Key) -> SourceGrant | None:
        """Leave by storage's last word; storage is asked for a new one meanwhile."""
        last = self._current(self._last, key) if self._lenient else None
        if last is None:
            return None
        self._tasks.spawn((key, last.epoch), lambda: self._join(key, last.epoch))
        return replace(last, old=True)

    async def _join(self, key: Key, epoch: int) -> SourceGrant:
        grant, _ = await self._flights.run((key, epoch), lambda: self._ask(key, epoch))
        return grant

    async def _ask(self, key: Key, epoch: int) -> SourceGrant:
        """Return storage's word; it is remembered with the epoch of the question, for a purge to void it."""
        try:
            head = await self._storage.head(key)
        except NotFound:
            self._forget_storage(key)
            self._absent[key] = epoch
            raise _absent() from None
        except SourceError:
            last = self._current(self._last, key)
            if last is None:
                raise
            self._known[key] = last
            return last
        grant = SourceGrant(key, head.version, 0, head.modified, epoch=epoch, size=head.size)
        self._note(grant)
        return grant

    def _note(self, grant: SourceGrant) -> None:
        last = self._last.get(grant.key)
        if last is not None and last.version != grant.version:
            self._before[grant.key] = last
        self._known[grant.key] = self._last[grant.key] = grant
