"""What clients do to bring files in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from imgproxy.errors import (
    Conflict,
    FilesError,
    InvalidFormat,
)
from imgproxy.files.model import File, Visibility
from imgproxy.files.principal import Principal
from imgproxy.files.registration import UploadRegistration
from imgproxy.files.upload_lease import LEASE_MS
from imgproxy.files.uploads import UploadRequest
from tests.files.machine.base import Base, all_of, said_of
from tests.files.machine.faults import Fault
from tests.files.machine.lots import ANY, BODIES, FAULTS, OWNERS, VISIBILITIES, WHO
from tests.files.machine.model import (
    ANN,
    TYPES,
    Body,
    errors_of,
)
from tests.files.uploading import bytes_of


class UploadRules(Base):
    """Single uploads, and what is sent through us."""

    @rule(who=OWNERS, kind=BODIES, visibility=VISIBILITIES, told=st.booleans(), collection=st.booleans())
    def upload(self, who: Principal, kind: str, visibility: Visibility, told: bool, collection: bool) -> None:
        """Presign, PUT, and register truthfully."""
        found = self._body(kind)
        size = len(found.bytes) if told and found.bytes else None
        sent = self._sent(who, found.type, size, visibility, "temp" if collection else None)
        self._put(sent, found, found.type)
        self._register(sent, who, mime_type=found.type, size=len(found.bytes))

    @rule(
        who=OWNERS,
        mime_type=st.sampled_from(TYPES),
        size=st.sampled_from((None, 17, 20)),
        visibility=st.none() | VISIBILITIES,
        category=st.sampled_from((None, "avatars", "temp", "a label")),
    )
    def presign(
        self,
        who: Principal,
        mime_type: str,
        size: int | None,
        visibility: Visibility | None,
        category: str | None,
    ) -> None:
        """Ask for a URL, and do nothing with it yet."""
        if category == "avatars" and not mime_type.startswith("image/"):
            request = UploadRequest("cat.jpg", mime_type, size, visibility, category)
            self._refused(self.world.uploads.issue(who, request), (InvalidFormat,))
            return
        self._sent(who, mime_type, size, visibility, category)

    @rule(which=ANY, kind=BODIES, lie=st.booleans())
    def put(self, which: int, kind: str, lie: bool) -> None:
        """PUT any bytes to a URL, whatever has become of its upload."""
        sent = self._pick(which)
        if sent.url:
            self._put(sent, self._body(kind), "text/css" if lie else sent.upload.declared_type or "")

    @rule(
        which=ANY,
        who=st.none() | WHO,
        lie=st.sampled_from(("", "", "", "type", "size", "collection")),
        visibility=st.none() | VISIBILITIES,
    )
    def register(self, which: int, who: Principal | None, lie: str, visibility: Visibility | None) -> None:
        """Register an upload, whatever has become of it, as anybody, with or without a lie."""
        sent = self._pick(which)
        found = sent.staged or self._body("jpeg")
        self._register(
            sent,
            who or sent.principal,
            mime_type=other_type(found.type) if lie == "type" else found.type,
            size=len(found.bytes) + 1 if lie == "size" else len(found.bytes),
            collection="backups" if lie == "collection" else None,
            visibility=visibility,
        )

    @rule(which=ANY, fault=FAULTS)
    def register_in_trouble(self, which: int, fault: Fault) -> None:
        """Register while something fails, or leave before it is answered: it is a file then, or it is not."""
        sent = self._pick(which)
        if sent.state != "open" or sent.staged is None or sent.held_until > self.now:
            return
        said = said_of(sent, mime_type=sent.staged.type, size=len(sent.staged.bytes))
        self._in_trouble(fault, self.world.registrar.register(sent.principal, said))
        self._believe(sent)

    @rule(which=ANY, who=WHO, kind=BODIES)
    def race_to_register(self, which: int, who: Principal, kind: str) -> None:
        """Two register at once, and bytes are PUT meanwhile: one file at most, of whole bytes."""
        sent = self._pick(which)
        if sent.state != "open" or sent.staged is None or sent.held_until > self.now:
            return
        if self.now >= sent.url_ends:
            return
        said = said_of(sent, mime_type=sent.staged.type, size=len(sent.staged.bytes))
        before, after = sent.staged, self._body(kind)
        put = self.world.put(sent.url, after.bytes, sent.upload.declared_type)
        answers = self.run(
            all_of(
                self.world.registrar.register(sent.principal, said),
                self.world.registrar.register(who, said),
                put,
                self.world.outbox.drain(),
            )
        )
        if isinstance(answers[2], tuple) and answers[2][0] < 300:
            sent.staged = after
        made = [each for each in answers[:2] if isinstance(each, File)]
        assert len(made) <= 1
        for each in answers[:2]:
            assert isinstance(each, File | FilesError), each
        self._believe(sent, (before, after))
        assert (sent.state == "file") == bool(made)

    @rule(which=ANY)
    def register_too_slowly(self, which: int) -> None:
        """Who has been given up for dead, and overtaken, publishes nothing any more."""
        sent = self._pick(which)
        truth = sent.staged
        if sent.state != "open" or truth is None or sent.held_until > self.now:
            return
        said = said_of(sent, mime_type=truth.type, size=len(truth.bytes))
        late, made = self.run(self._overtaken(sent.principal, said))
        assert not isinstance(late, File)
        assert isinstance(made, File | FilesError)
        self._believe(sent)
        assert (sent.state == "file") == isinstance(made, File)

    async def _overtaken(self, who: Principal, said: UploadRegistration) -> tuple[Any, Any]:
        """What comes of a registration that takes too long, and of one that began after its lease.

        One that begins before is refused. The late one ends while the other is still at it.
        """
        slow, let_slow = await self._held_at_copy(self.world.registrar.register(who, said))
        early = (await all_of(self.world.registrar.register(who, said)))[0]
        assert isinstance(early, FilesError if slow.done() else Conflict), early
        self.world.clock.now += LEASE_MS + 1
        other, let_other = await self._held_at_copy(self.world.registrar.register(who, said))
        let_slow.set()
        late = (await all_of(slow))[0]
        let_other.set()
        return late, (await all_of(other))[0]

    async def _held_at_copy(
        self, work: Coroutine[Any, Any, File]
    ) -> tuple[asyncio.Task[File], asyncio.Event]:
        """Begin something, until it has copied or is over; return it, and what lets it go on."""
        go, storage = asyncio.Event(), self.world.storage
        storage.reached.clear()
        storage.hold_copy = go
        task = asyncio.create_task(work)
        reached = asyncio.create_task(storage.reached.wait())
        await asyncio.wait((task, reached), return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        storage.hold_copy = None
        return task, go

    @rule(who=OWNERS, kind=BODIES, lie=st.booleans(), broken=st.booleans(), visibility=VISIBILITIES)
    def stream(self, who: Principal, kind: str, lie: bool, broken: bool, visibility: Visibility) -> None:
        """Upload through us, and sometimes break off."""
        found = self._body(kind)
        said = other_type(found.type) if lie else found.type
        file = self._stream(who, found, said, visibility, broken=broken)
        if broken:
            self._refused(file, (ConnectionResetError, FilesError))
        elif wrong := errors_of(found, (said,)):
            self._refused(file, wrong)
        else:
            self._know(self.run(file), found, visibility)

    @rule(kind=st.sampled_from(("jpeg", "text")), fault=FAULTS)
    def stream_in_trouble(self, kind: str, fault: Fault) -> None:
        """Upload through us while something fails: it is a file then, or it is not."""
        found = self._body(kind)
        self._in_trouble(fault, self._stream(ANN, found, found.type, Visibility.PRIVATE))
        record = self.run(self.laws.hold())
        new = [file for file in record.files.values() if file.id not in self.files]
        assert len(new) <= 1
        for file in new:
            self._know(file, found, Visibility.PRIVATE)

    def _stream(
        self, who: Principal, found: Body, said: str, visibility: Visibility, *, broken: bool = False
    ) -> Awaitable[File]:
        chunks = broken_off(found.bytes) if broken else bytes_of(found.bytes)
        details = {"original_name": "cat.jpg"} | ({"visibility": visibility} if visibility else {})
        return self.world.streams.store(who, UploadRequest("cat.jpg", said), chunks, lambda: details)


async def broken_off(content: bytes) -> AsyncIterator[bytes]:
    yield content + bytes(10_000)
    raise ConnectionResetError


def other_type(mime_type: str) -> str:
    return "image/png" if mime_type != "image/png" else "image/jpeg"
