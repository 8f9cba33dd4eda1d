"""What time brings, and those who work in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from imgproxy.files.model import File, FileState, UploadState
from tests.files.machine.base import Base, all_of
from tests.files.machine.faults import Fault
from tests.files.machine.lots import ANY
from tests.files.machine.model import (
    DAY,
    GRACE,
    HOUR,
    MINUTE,
    Known,
)


class BackgroundRules(Base):
    """The clock, the worker, retention, the sweep."""

    @rule(
        by=st.sampled_from(
            (1_000, 11_000, 2 * MINUTE, 6 * MINUTE, 17 * MINUTE, 3 * HOUR, 26 * HOUR, 31 * DAY)
        )
    )
    def wait(self, by: int) -> None:
        self.world.clock.now += by

    @rule(
        fault=st.none()
        | st.builds(Fault, st.sampled_from(("delete", "write")), st.sampled_from(("before", "after")))
    )
    def work(self, fault: Fault | None) -> None:
        """Keep what is promised and due, and fail once, perhaps."""
        if fault is None:
            self.run(self.world.outbox.drain())
        else:
            self._in_trouble(fault, self.world.outbox.drain())
        self._clear_staged()

    @rule()
    def retain(self) -> None:
        """End what has had its time."""
        self.run(self.world.retention.round())
        for known in self.files.values():
            if known.state == "deleted" and known.purge_after <= self.now:
                known.purge()
        record = self.run(self.laws.hold())
        for sent in self.sent:
            row = record.uploads[sent.upload.staging_key]
            due = sent.state == "open" and row.url_expires_at < self.now - GRACE
            if due and not (row.state is UploadState.COMPLETING and sent.held_until > self.now):
                self._look_for(sent)
                sent.state = "published" if sent.file else "over"

    @rule(which=ANY)
    def restore_while_it_is_purged(self, which: int) -> None:
        """A file that was found to be due and is restored meanwhile, by a slower clock, stays."""
        known = self._file(which)
        if known.state != "deleted" or self.now > known.purge_after:
            return
        restored = self.run(self._restored_meanwhile(known))
        known.state, known.purge_after = "ready", 0
        assert isinstance(restored, File)
        self.retain()

    async def _restored_meanwhile(self, known: Known) -> object:
        go, database = asyncio.Event(), self.world.database
        self.world.clock.now = known.purge_after
        database.reached.clear()
        database.hold_write = go
        purging = asyncio.create_task(self.world.retention.purge_files())
        await database.reached.wait()
        self.world.clock.now -= 1
        answers = await all_of(self._change(known, "restore"))
        self.world.clock.now += 1
        go.set()
        await purging
        return answers[0]

    @rule(dry=st.booleans())
    def sweep(self, dry: bool) -> None:
        """Nothing that somebody knows of goes, and no file is without its bytes."""
        found = self.run(self.world.sweep(dry=dry))
        assert found.missing == []

    @rule()
    def settle(self) -> None:
        """When all time has passed that anything waits for, nothing lies around."""
        for _ in range(3):
            self.world.clock.now += 31 * DAY
            self.retain()
            self.run(self.world.outbox.drain())
            self.run(self.world.sweep(dry=False))
        self.run(self.world.outbox.drain())
        self._clear_staged()
        record = self.run(self.laws.hold())
        assert record.tasks == []
        assert self.run(self._stored()) == {
            file.object_key for file in record.files.values() if file.state is not FileState.PURGED
        }
        assert self.run(self._unfinished()) == []

    async def _unfinished(self) -> Sequence[Any]:
        return [each async for each in self.world.storage.multipart.list()]
