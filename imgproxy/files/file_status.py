"""Statuses of files by key: the edge looks them up before it serves, on hits as on misses.

The edge believes nothing else. A change of visibility raises the record's generation, so whatever was made
under an older one is neither served nor kept. What is remembered here is believed only while the record
is heard of (`files/change_feed.py`), and forgotten at the first word of a change: an answer that was on its
way then is neither remembered nor given to anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final, Literal, NamedTuple, Protocol

from imgproxy.cache_sizes import DEFAULT
from imgproxy.files.change_feed import ChangeFeed
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import File, FileState, UploadState, Visibility
from imgproxy.files.policy import is_public
from imgproxy.files.recent import Recent
from imgproxy.files.repository.files import file_by_key
from imgproxy.files.repository.uploads import upload_of_any_tenant
from imgproxy.image.source import Key

_AWAITED = (UploadState.ISSUED, UploadState.COMPLETING)


@dataclass(frozen=True, slots=True)
class FileStatus:
    """Fields of a registered file that the edge uses."""

    key: Key
    visibility: Visibility
    version: str
    """Changes whenever the bytes do."""
    generation: int
    """From 1 on; raised by every change of state."""
    modified: float
    """Seconds since 1970."""
    tenant: str = ""
    object_key: Key | None = None
    """Key of the bytes in storage, if it is not the key."""
    state: FileState = FileState.READY
    size: int | None = None
    """Bytes."""

    @property
    def public(self) -> bool:
        """Return whether the edge may serve it."""
        return is_public(self)


class _Nothing(Enum):
    UNREGISTERED = "unregistered"


UNREGISTERED: Final = _Nothing.UNREGISTERED
"""It is known that no file is registered there."""

CachedStatus = FileStatus | Literal[_Nothing.UNREGISTERED]


class FileStatuses(Protocol):
    """The record of files as the edge sees it; answers from memory where it can."""

    async def look(self, key: Key) -> FileStatus | None:
        """The record of a key, or None if no file is registered there; raise `Unavailable`."""

    def at_hand(self, key: Key) -> CachedStatus | None:
        """Return the cached status of a key, or None if `look` must be called."""

    def changed(self, key: Key) -> None:
        """Forget a key that has changed."""


class MemoryFileStatuses:
    """Records in a dict, for tests."""

    def __init__(self) -> None:
        self._records: dict[Key, FileStatus] = {}

    async def look(self, key: Key) -> FileStatus | None:
        return self._records.get(key)

    def at_hand(self, key: Key) -> CachedStatus | None:
        return self._records.get(key, UNREGISTERED)

    def changed(self, key: Key) -> None:
        """Forget nothing: this is all there is."""

    def register(
        self,
        key: Key,
        visibility: Visibility,
        *,
        version: str,
        modified: float,
        tenant: str = "",
        object_key: Key | None = None,
    ) -> FileStatus:
        """Add a file, or change one; the generation goes up."""
        before = self._records.get(key)
        record = FileStatus(
            key=key,
            visibility=visibility,
            version=version,
            generation=before.generation + 1 if before else 1,
            modified=modified,
            tenant=tenant,
            object_key=object_key,
        )
        self._records[key] = record
        return record

    def forget(self, key: Key) -> None:
        """Delete a file's record."""
        self._records.pop(key, None)


class _Answer(NamedTuple):
    word: CachedStatus
    lasting: bool
    """True if it holds until a change is announced."""


@dataclass(slots=True, eq=False)
class _Question:
    """A look into the record, for all who wait for it."""

    task: asyncio.Task[_Answer]
    waiting: int = 0
    void: bool = False
    """True if the file has changed since the lookup began."""


class FileStatusCache:
    """Records of a database, remembered."""

    def __init__(
        self,
        database: Database,
        *,
        timer: Callable[[], float],
        publish: Callable[[Key], Awaitable[bool]] | None = None,
        entries: int = DEFAULT.file_rows,
    ) -> None:
        """`publish` registers the upload of a key, and returns whether the key is a file's."""
        self._database = database
        self._timer = timer
        self._publish = publish
        self._known: Recent[Key, FileStatus] = Recent(entries)
        self._absent: Recent[Key, Literal[_Nothing.UNREGISTERED]] = Recent(entries)
        self._questions: dict[Key, _Question] = {}
        self._tasks: set[asyncio.Task[_Answer]] = set()
        self._act: Callable[[Key], None] = lambda _: None
        self._feed = ChangeFeed(database, changed=self.changed, forget=self.forget_all, timer=timer)

    async def start(self) -> None:
        """Begin to hear of changes; raise `Unavailable`."""
        await self._feed.start()

    def when_changed(self, act: Callable[[Key], None]) -> None:
        """Have something done whenever a file that was known to be public has changed."""
        self._act = act

    async def look(self, key: Key) -> FileStatus | None:
        while (word := self.at_hand(key)) is None:
            if not self._is_told():
                await self._feed.catch_up()
            word = await self._ask(key)
            if word is not None:
                break
        return None if word is UNREGISTERED else word

    def at_hand(self, key: Key) -> CachedStatus | None:
        if not self._is_told():
            return None
        return self._known.get(key) or self._absent.get(key)

    def changed(self, key: Key) -> None:
        """Invalidate a key; lookups under way are repeated."""
        known = self._known.pop(key)
        self._absent.pop(key)
        question = self._questions.pop(key, None)
        if question is not None:
            question.void = True
        if known is not None and known.public:
            self._act(key)

    def forget_all(self) -> None:
        """Invalidate every key."""
        self._known.clear()
        self._absent.clear()
        for question in self._questions.values():
            question.void = True
        self._questions.clear()

    async def close(self) -> None:
        """Stop the change feed and the lookups."""
        await self._feed.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_told(self) -> bool:
        """Return whether cached statuses are valid."""
        return self._timer() < self._feed.until

    async def _ask(self, key: Key) -> CachedStatus | None:
        """Return the status by one lookup for all callers; None if the file has changed since it began."""
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = _Question(self._begin(key))
        question.waiting += 1
        try:
            word, lasting = await asyncio.shield(question.task)
        finally:
            question.waiting -= 1
            if not question.waiting:
                self._end(key, question)
        if question.void:
            return None
        if isinstance(word, FileStatus):
            self._known.put(key, word)
        elif lasting:
            self._absent.put(key, word)
        return word

    def _begin(self, key: Key) -> asyncio.Task[_Answer]:
        task = asyncio.create_task(self._find(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _end(self, key: Key, question: _Question) -> None:
        """Only now, not when the record has answered: until all have heard it, a change voids it."""
        if self._questions.get(key) is question:
            del self._questions[key]
        question.task.cancel()

    async def _find(self, key: Key) -> _Answer:
        """Return the status in the database, after auto-registration if an upload has arrived."""
        read = partial(_read, key=key, uploads=self._publish is not None)
        file, awaited = await self._database.read(read)
        if awaited and self._publish is not None and await self._publish(key):
            file, awaited = await self._database.read(read)
        return _Answer(UNREGISTERED if file is None else _record(file), lasting=not awaited)


def _read(connection: Connection, *, key: Key, uploads: bool) -> tuple[File | None, bool]:
    """The file of a key, or whether an upload may become one without being registered."""
    file = file_by_key(connection, key)
    if file is not None or not uploads:
        return file, False
    upload = upload_of_any_tenant(connection, key)
    return None, upload is not None and upload.state in _AWAITED


def _record(file: File) -> FileStatus:
    return FileStatus(
        key=file.key,
        visibility=file.visibility,
        version=file.etag,
        generation=file.generation,
        modified=file.created_at / 1000,  # the bytes never change after that
        tenant=file.tenant,
        object_key=file.object_key,
        state=file.state,
        size=file.size,
    )
