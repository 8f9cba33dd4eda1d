"""What every part of the machine stands on: where it runs, and what must hold after each step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from imgproxy.errors import (
    Conflict,
    FileNotFound,
    FilesError,
    InvalidRequest,
    KeyExists,
    SourceError,
    Unavailable,
    UploadExpired,
)
from imgproxy.files.model import File, Upload, UploadState, Visibility
from imgproxy.files.multipart import UploadReference
from imgproxy.files.principal import Principal
from imgproxy.files.registration import UploadRegistration
from imgproxy.files.upload_lease import LEASE_MS
from imgproxy.files.uploads import UploadRequest
from imgproxy.image.source import Key
from tests.files.machine.faults import Fault
from tests.files.machine.laws import Laws, Record
from tests.files.machine.model import (
    ANN,
    ELSEWHERE,
    ITSELF,
    Body,
    Known,
    Sent,
    body,
    lies_of,
)
from tests.files.machine.world import URL_SECONDS, World
from tests.files.uploading import bytes_of

T = TypeVar("T")

FOREIGN = {
    Key("filesystem.txt"): b"mine",
    Key("files-of-mine/cat.jpg"): b"\xff\xd8\xff\xe0 mine",
    Key("staging-area/cat.jpg"): b"\xff\xd8\xff\xe0 mine too",
    Key("images/cat.jpg"): b"\xff\xd8\xff\xe0 and mine",
}


class Base(RuleBasedStateMachine):
    """A deployment (`place`), a model, and the laws."""

    steps = 0
    """Of all runs together."""
    auto = False
    """Whether nobody needs to register."""
    strict_parts = True
    """Whether the storage refuses small parts that are not the last."""

    def place(self) -> AbstractAsyncContextManager[World]:
        """An empty deployment."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.files: dict[str, Known] = {}
        self.touched: set[str] = set()
        self.numbers = iter(range(1_000_000))
        self.loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.world = self.run(self._stack.enter_async_context(self.place()))
        self.laws = Laws(self.world, self.run(self._store_foreign()))

    def teardown(self) -> None:
        try:
            self.run(self._stack.aclose())
            self.run(self.loop.shutdown_default_executor())
        finally:
            self.loop.close()

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(_awaited(work))

    @property
    def now(self) -> int:
        return self.world.clock()

    @initialize()
    def begin(self) -> None:
        """Some files and uploads, so that there is something to do with whatever comes first."""
        for visibility in (Visibility.PUBLIC, Visibility.SHARED):
            self._upload(ANN, "jpeg", visibility)
        self._upload(ELSEWHERE, "png", Visibility.PUBLIC)
        self._sent(ANN, "image/jpeg", None, None, None)

    @invariant()
    def laws_hold(self) -> None:
        type(self).steps += 1
        record = self.run(self.laws.hold())
        assert {*record.files} == {*self.files}
        for id_, known in self.files.items():
            self._compare(record, record.files[id_], known)
        for sent in self.sent:
            self._compare_upload(record, sent)
            lost = sent.state == "open" and sent.staged and sent.upload.staging_key not in self.laws.lying
            assert not lost, f"{sent} has lost its bytes"
        self.run(self._compare_edge())

    def _compare(self, record: Record, row: File, known: Known) -> None:
        said = (row.state, row.visibility, row.tags, row.metadata, record.shares[row.id])
        expected = (known.state, known.visibility, known.tags, known.metadata, known.shares)
        assert said == expected, f"{said} is recorded, {expected} expected"
        assert (row.tenant, row.owner.id, row.key) == (known.tenant, known.owner, known.key)
        if known.state != "purged":
            self.laws.truth(row, known.body)

    def _compare_upload(self, record: Record, sent: Sent) -> None:
        row = record.uploads[sent.upload.staging_key]
        expected = {
            "open": (UploadState.ISSUED, UploadState.COMPLETING),
            "published": (UploadState.PUBLISHED,),
            "file": (UploadState.CONSUMED,),
            "over": (UploadState.ABORTED, UploadState.EXPIRED),
        }
        assert row.state in expected[sent.state]
        ends = max([sent.url_ends, *(ends for _, ends in sent.part_urls.values())])
        assert row.url_expires_at >= ends, "a URL is good for longer than the record knows"

    async def _compare_edge(self) -> None:
        """What this process knows of each key, and what it serves of those that were touched."""
        for known in self.files.values():
            record = await self.world.access.look(Key(known.key))
            assert record is not None
            assert record.public == known.shown
        for id_ in self.touched:
            known = self.files[id_]
            status, content = await self.world.picture(known.key)
            if known.shown:
                assert (status, content) == (200, known.body.bytes[:1_000] + b" at 10")
            else:
                assert status == 404
        self.touched.clear()

    def _pick(self, which: int) -> Sent:
        """An open one more often than one to which most has happened that can, and a late one."""
        open_ = [sent for sent in self.sent if sent.state in ("open", "published") and sent.url]
        some = [*self.sent[-2:], *open_[-4:]]
        return some[which % len(some)]

    def _file(self, which: int) -> Known:
        found = [*self.files.values()]
        return found[-1 - which % min(len(found), 6)]

    def _body(self, kind: str) -> Body:
        return body(kind, next(self.numbers))

    def _upload(self, who: Principal, kind: str, visibility: Visibility) -> None:
        found = self._body(kind)
        sent = self._sent(who, found.type, None, visibility, None)
        self._put(sent, found, found.type)
        self._register(sent, who, mime_type=found.type, size=len(found.bytes))

    def _sent(
        self,
        who: Principal,
        mime_type: str,
        size: int | None,
        visibility: Visibility | None,
        category: str | None,
    ) -> Sent:
        request = UploadRequest("cat.jpg", mime_type, size, visibility, category)
        issued = self.run(self.world.uploads.issue(who, request))
        sent = self._note(who, issued.upload)
        sent.url, sent.url_ends = issued.url, self.now + URL_SECONDS * 1000
        self.laws.writable.add(issued.upload.staging_key)
        return sent

    def _note(self, who: Principal, upload: Upload) -> Sent:
        self.sent.append(Sent(upload, who))
        return self.sent[-1]

    def _is_ours(self, url: str) -> bool:
        """Whether the URL is told by our clock that it has ended."""
        return url.startswith("/")

    def _put(self, sent: Sent, found: Body, content_type: str) -> None:
        if self.now >= sent.url_ends and not self._is_ours(sent.url):
            return
        status, _ = self.run(self.world.put(sent.url, found.bytes, content_type))
        bound = sent.upload.declared_size
        fits = content_type == sent.upload.declared_type and bound in (None, len(found.bytes))
        if self.now < sent.url_ends and fits:
            assert status == 200
            sent.staged = found
            if self._is_ours(sent.url):
                self._look_for(sent)
        else:
            assert status == 403

    def _register(self, sent: Sent, who: Principal, **told: Any) -> None:
        said = said_of(sent, **told)
        work = self.world.registrar.register(who, said)
        if not self._may_use(who, sent):
            self._refused(work, (FileNotFound,))
        elif told.get("collection") is not None and sent.upload.collection != told["collection"]:
            self._refused(work, (InvalidRequest,))
        elif sent.state == "file":
            self._refused(work, (KeyExists,))
        elif sent.state == "over":
            self._refused(work, (UploadExpired,))
        elif sent.file is not None:
            self._register_published(sent, sent.file, said, work)
        elif sent.held_until > self.now:
            self._refused(work, (Conflict,))
        elif wrong := sent.errors_of_register(who, mime_type=said.mime_type, size=said.size):
            self._refused(work, wrong)
            sent.held_until = 0
        else:
            visibility = said.values.get("visibility") or sent.upload.visibility
            sent.file = self._know(self.run(work), sent.staged, visibility)
            sent.state, sent.held_until = "file", 0

    def _register_published(
        self, sent: Sent, known: Known, said: UploadRegistration, work: Awaitable[File]
    ) -> None:
        """What is a file already stays as it is, but for what is said of it now."""
        if known.state != "ready":
            self._refused(work, (KeyExists,))
        elif wrong := lies_of(known.body, said.mime_type, said.size):
            self._refused(work, wrong)
        else:
            assert self.run(work).id == known.id
            known.visibility = said.values.get("visibility") or known.visibility
            sent.state = "file"
            self.touched.add(known.id)

    def _look_for(self, sent: Sent) -> None:
        """Now that somebody has looked for it, it is a file, if nobody needs to register it."""
        if not self.auto or not sent.is_to_be_published(self.now):
            return
        record = self.run(self.laws.hold())
        row = record.uploads[sent.upload.staging_key]
        assert row.state is UploadState.PUBLISHED, f"nobody has published {sent}"
        sent.file = self._know(record.files[row.file_id or ""], sent.staged, sent.upload.visibility)
        sent.state, sent.held_until = "published", 0

    def _know(self, file: File, found: Body | None, visibility: Visibility) -> Known:
        assert found is not None
        owner = file.owner.id
        assert file.visibility == visibility
        self.touched.add(file.id)
        self.files[file.id] = Known(
            file.id,
            file.key,
            file.tenant,
            owner,
            file.collection,
            found,
            visibility.value,
        )
        return self.files[file.id]

    def _believe(self, sent: Sent, bodies: Sequence[Body | None] = ()) -> None:
        """Take over what came of a registration that was disturbed."""
        record = self.run(self.laws.hold())
        row = record.uploads[sent.upload.staging_key]
        sent.held_until = 0
        if row.state is UploadState.COMPLETING:
            sent.held_until = (row.claimed_at or 0) + LEASE_MS + 1
        elif row.state in (UploadState.CONSUMED, UploadState.PUBLISHED):
            sent.state = "file" if row.state is UploadState.CONSUMED else "published"
            if sent.file is None:
                sent.file = self._found(sent, record.files[row.file_id or ""], bodies or (sent.staged,))

    def _found(self, sent: Sent, file: File, bodies: Sequence[Body | None]) -> Known:
        """A file that has come of an upload, of one of these bodies."""
        stored = self.laws.bodies[file.object_key]
        for found in bodies:
            if found is not None and found.bytes == stored:
                return self._know(file, found, sent.upload.visibility)
        raise AssertionError(f"{file.id} has bytes that nobody sent: {stored!r}")

    def _may_use(self, who: Principal, sent: Sent) -> bool:
        if who.tenant != sent.upload.tenant:
            return False
        return who is ITSELF or (who.user != "" and who.user == sent.principal.user)

    def _refused(self, work: Awaitable[Any], expected: tuple[type[BaseException], ...]) -> None:
        """It must fail so."""
        try:
            answer = self.run(work)
        except expected:
            return
        raise AssertionError(f"one of {expected} was expected, not {answer!r}")

    def _in_trouble(self, fault: Fault, work: Awaitable[Any]) -> None:
        self.world.faults.plan(fault)
        answer = self.run(all_of(work))[0]
        self.world.faults.clear()
        fine = (FilesError, SourceError, Unavailable, asyncio.CancelledError)
        assert not isinstance(answer, BaseException) or isinstance(answer, fine), answer

    def _change(self, known: Known, change: str) -> Awaitable[Any]:
        who, changes = master_of(known), self.world.changes
        if change in ("private", "public"):
            return changes.patch(who, known.id, {"visibility": Visibility(change)})
        if change == "tags":
            return changes.patch(who, known.id, {"tags": ["changed"]})
        return changes.delete(who, known.id) if change == "delete" else changes.restore(who, known.id)

    def _expect(self, known: Known, change: str) -> None:
        """What a change makes of the model."""
        if change == "delete":
            known.delete(self.now)
        elif change == "restore" and known.state == "deleted" and known.purge_after > self.now:
            known.state, known.purge_after = "ready", 0
        elif known.state == "ready" and change in ("private", "public"):
            known.visibility = change
        elif known.state == "ready" and change == "tags":
            known.tags = ("changed",)

    def _clear_staged(self) -> None:
        """What the worker removed is there no more."""
        there = self.run(self._stored())
        for sent in self.sent:
            if sent.upload.staging_key not in there:
                assert sent.staged is None or sent.state != "open", "an upload has lost its bytes"
                sent.staged = None

    async def _stored(self) -> set[Key]:
        """Where something of ours lies."""
        return {*await self.laws.stored()}

    async def _store_foreign(self) -> dict[Key, str]:
        """Return the version of each."""
        storage = self.world.storage
        return {key: (await storage.put(key, bytes_of(content))).version for key, content in FOREIGN.items()}


async def _awaited(work: Awaitable[T]) -> T:
    return await work


async def all_of(*work: Awaitable[Any]) -> list[Any]:
    """The answers of all, whatever they are."""
    return await asyncio.gather(*work, return_exceptions=True)


def place_of(sent: Sent) -> UploadReference:
    return UploadReference(sent.upload.id, sent.upload.key)


def said_of(
    sent: Sent,
    *,
    mime_type: str,
    size: int,
    collection: str | None = None,
    visibility: Visibility | None = None,
) -> UploadRegistration:
    values = {"original_name": "cat.jpg"} | ({"visibility": visibility} if visibility else {})
    return UploadRegistration(sent.upload.key, mime_type, size, values, collection)


def master_of(known: Known) -> Principal:
    return next(who for who in (ITSELF, ELSEWHERE) if known.masters(who))
