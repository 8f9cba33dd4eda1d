"""What must hold whenever nothing is under way, found by walking the record and the storage.

Row first, Freeze, Immutable, Truth from storage, No dangling ready, Deletes finish: by what lies there.
What people see is the machine's to ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from imgproxy.files.fields import file_of_row
from imgproxy.files.model import File, FileState, Share, Task, Upload, UploadState
from imgproxy.files.repository import rows
from imgproxy.files.tables import files, outbox, shares, uploads
from imgproxy.image.source import Key
from imgproxy.storage import Head
from tests.files.machine.model import Body
from tests.files.machine.world import World
from tests.files.uploading import everything

TRIES = 10
PLACES = ("files/", "staging/")
_OPEN = (UploadState.ISSUED, UploadState.COMPLETING)


@dataclass(frozen=True)
class Record:
    """All that the record holds, at one moment."""

    files: dict[str, File]
    """By id."""
    uploads: dict[Key, Upload]
    """By the place where a client may write."""
    tasks: list[Task]
    shares: dict[str, tuple[Share, ...]]
    """By the id of the file."""

    def promised(self, kind: str) -> set[str]:
        """The keys of promises that are not kept yet, or were given up in plain sight."""
        return {task.payload["key"] for task in self.tasks if task.kind == kind}


def record(connection: Connection) -> Record:
    """Read everything, a table at a time: there are hundreds of rows, and this is done at each step."""
    found = [file_of_row(row) for row in connection.execute(select(files))]
    sent = [rows.upload(row) for row in connection.execute(select(uploads))]
    return Record(
        files={file.id: file for file in found},
        uploads={upload.staging_key: upload for upload in sent},
        tasks=[rows.task(row) for row in connection.execute(select(outbox))],
        shares={file.id: () for file in found} | _shares(connection),
    )


def _shares(connection: Connection) -> dict[str, tuple[Share, ...]]:
    found: dict[str, tuple[Share, ...]] = {}
    every = select(files.c.id, shares).join(shares, shares.c.seq == files.c.seq)
    for row in connection.execute(every.order_by(shares.c.type, shares.c.principal_id)):
        found[row.id] = (
            *found.get(row.id, ()),
            Share(row.type, row.principal_id, row.expires_at),
        )
    return found


@dataclass
class Laws:
    """The laws, and what they remember from one step to the next."""

    world: World
    foreign: dict[Key, str]
    """The versions of objects in the same storage that are none of ours."""
    bodies: dict[Key, bytes] = field(default_factory=dict)
    """What was ever seen where files lie."""
    gone: set[Key] = field(default_factory=set)
    writable: set[Key] = field(default_factory=set)
    """Where clients were ever given leave to write."""
    keys: dict[str, str] = field(default_factory=dict)
    """The file of each key ever seen, of clients' keys and of storage's."""
    seen: dict[str, File] = field(default_factory=dict)
    purges: Counter[str] = field(default_factory=Counter)
    """How many promises to tell whoever is in front there were, by key."""
    versions: dict[Key, str] = field(default_factory=dict)
    lying: dict[Key, Head] = field(default_factory=dict)
    """What lay where ours lies when they were last checked."""

    async def hold(self) -> Record:
        """Check them all; return what the record says."""
        found = await self.world.database.read(record)
        self.lying = stored = await self.stored()
        await self._look_at_bodies(stored)
        self._rows_first(found, stored)
        self._parts_have_rows(found, [each async for each in self.world.storage.multipart.list()])
        self._frozen_and_immutable(found, stored)
        self._promises_are_kept(found)
        self._changes_are_told(found)
        self.seen = found.files
        return found

    async def stored(self) -> dict[Key, Head]:
        """What lies where ours lies; beside it lies what is none of ours, as ever."""
        found = {key: head async for key, head in self.world.storage.list()}
        others = {key: head.version for key, head in found.items() if not key.startswith(PLACES)}
        assert others == self.foreign
        return {key: head for key, head in found.items() if key.startswith(PLACES)}

    def truth(self, file: File, body: Body) -> None:
        """What is said of a file is what its bytes are, and these are what was uploaded."""
        assert self.bodies[file.object_key] == body.bytes
        assert file.object_key not in self.gone, f"{file.id} is there, and its bytes are not"
        said = (file.size, file.mime_type, (file.width, file.height))
        assert said == (len(body.bytes), body.type, body.sides or (None, None))
        assert file.etag == self.versions[file.object_key]

    async def _look_at_bodies(self, stored: dict[Key, Head]) -> None:
        """Read what is new or has another version; nothing is read twice."""
        for key, head in stored.items():
            if not key.startswith("files/"):
                continue
            assert key not in self.gone, f"{key} is used again"
            if self.versions.get(key) != head.version:
                found = await everything(self.world.storage.read(key))
                assert self.bodies.setdefault(key, found) == found, f"{key} has changed"
                self.versions[key] = head.version
        self.gone |= self.bodies.keys() - stored.keys()
        for key, times in self.world.storage.writes.items():
            assert times == 1 or not key.startswith("files/"), f"{key} was written {times} times"

    def _rows_first(self, found: Record, stored: Iterable[Key]) -> None:
        live = {file.object_key for file in found.files.values() if file.state is not FileState.PURGED}
        open_ = {place for place, upload in found.uploads.items() if upload.state in _OPEN}
        for key in stored:
            if key in live:
                continue
            promised = key in found.promised("delete")
            if key.startswith("files/"):
                assert promised, f"nobody knows of {key}"
            else:
                assert key.startswith("staging/")
                assert key in found.uploads, f"{key} has no row"
                assert promised or key in open_, f"nobody will remove {key}"
        missing = live - set(stored)
        assert not missing, f"files without bytes: {missing}"

    def _parts_have_rows(self, found: Record, unfinished: Iterable[Any]) -> None:
        for each in unfinished:
            upload = found.uploads.get(each.key)
            assert upload is not None, f"parts of {each.key} have no row"
            known = upload.storage_upload == each.upload
            promised = each.key in found.promised("abort")
            assert upload.state in _OPEN or promised or not known, f"nobody will abort {each.key}"

    def _frozen_and_immutable(self, found: Record, stored: Iterable[Key]) -> None:
        for file in found.files.values():
            assert file.object_key not in self.writable, "a client may write to where a file lies"
            assert file.object_key.startswith(f"files/{file.tenant}/")
            for name in (file.key, file.object_key):
                assert self.keys.setdefault(name, file.id) == file.id, f"{name} is used twice"
            before = self.seen.get(file.id, file)
            assert (file.key, file.object_key, file.tenant) == (
                before.key,
                before.object_key,
                before.tenant,
            )
        assert self.seen.keys() <= found.files.keys(), "a row has gone"
        places = Counter(file.object_key for file in found.files.values())
        assert not [key for key, times in places.items() if times > 1]

    def _promises_are_kept(self, found: Record) -> None:
        for task in found.tasks:
            assert task.attempts <= TRIES + 1
            assert task.dead_at is None or task.attempts >= TRIES, f"{task} was given up early"

    def _changes_are_told(self, found: Record) -> None:
        """What the edge must know of has raised the generation, and is told to whoever is in front."""
        purges = Counter(task.payload["key"] for task in found.tasks if task.kind == "purge")
        told = purges + Counter(self.world.front.forgot)
        for file in found.files.values():
            before = self.seen.get(file.id)
            if before is None or (before.visibility, before.state) == (file.visibility, file.state):
                continue
            if file.state is FileState.PURGED:
                continue  # nobody has been shown it since it was deleted
            assert file.generation > before.generation, f"{file.id} changed in silence"
            assert told[file.key] > self.purges[file.key], f"nobody in front will hear of {file.key}"
        self.purges = purges
        self.world.front.forgot.clear()
