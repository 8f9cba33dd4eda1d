"""What people see."""

from __future__ import annotations

import asyncio

from hypothesis import strategies as st
from hypothesis.stateful import rule
from sqlalchemy import Connection, select

from imgproxy.errors import (
    FileNotFound,
)
from imgproxy.files.principal import Principal
from imgproxy.files.tables import files, uploads
from imgproxy.image.source import Key
from tests.files.machine.base import Base, all_of
from tests.files.machine.lots import ANY, WHO
from tests.files.machine.model import (
    EVERYBODY,
    Known,
)


class SightRules(Base):
    """Records, bytes and pictures, asked for by everybody."""

    @rule(which=ANY, late=st.booleans())
    def look(self, which: int, late: bool) -> None:
        """Everybody asks for a file, and for its bytes, sometimes when its shares have just ended."""
        known = self._file(which)
        if late:
            self.world.clock.now = max([self.now, *(each.expires_at or 0 for each in known.shares)])
        for who in EVERYBODY:
            self._look(known, who)
        self.touched.add(known.id)

    @rule(who=WHO)
    def list(self, who: Principal) -> None:
        found = self.run(self.world.reading.list(who, limit=100))
        seen = {known.id for known in self.files.values() if known.is_seen_by(who, self.now)}
        assert {file.id for file in found.items} == seen
        assert found.total == len(seen)

    @rule(
        which=ANY,
        change=st.sampled_from(("private", "public", "delete", "restore", "flip", "tags")),
        at=ANY,
    )
    def change_while_it_is_fetched(self, which: int, change: str, at: int) -> None:
        """A picture under way when its file changes is answered only if it may be seen afterwards."""
        known = self._file(which)
        was_shown, in_record = known.shown, bool(at % 2)
        status, was_held, made = self.run(self._held(known, change, in_record=in_record))
        assert status == (200 if was_held and known.shown else 404)
        if change == "flip" and was_shown and not in_record:
            assert made == 2, "what was made before the file changed was served after it"
        self.touched.add(known.id)

    @rule(which=ANY)
    def ask_for_places(self, which: int) -> None:
        """Where bytes lie is nowhere on the edge."""
        record = self.run(self.world.database.read(places))
        place = record[which % len(record)]
        assert self.run(self.world.picture(place))[0] == 404
        assert self.run(self.world.picture("images/cat.jpg"))[0] == 200

    async def _held(self, known: Known, change: str, *, in_record: bool) -> tuple[int, bool, int]:
        """Ask for a picture and change its file while it is made.

        Return the status, whether it was held until the change was done, and how often it was made.
        """
        go, engine, database = asyncio.Event(), self.world.engine, self.world.database
        reached = database.reached if in_record else engine.reached
        reached.clear()
        if in_record:
            self.world.access.changed(Key(known.key))
            database.hold = known.key, go
        else:
            engine.hold = go
        made = len(engine.jobs)
        asked = asyncio.create_task(self.world.picture(known.key, width=100 + next(self.numbers)))
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait((asked, waiting), return_when=asyncio.FIRST_COMPLETED)
        was_held = waiting.done()
        waiting.cancel()
        for each in ("private", "public") if change == "flip" else (change,):
            await all_of(self._change(known, each))
            self._expect(known, each)
        database.hold = engine.hold = None
        go.set()
        status, _ = await asked
        return status, was_held, len(engine.jobs) - made

    def _look(self, known: Known, who: Principal) -> None:
        get = self.world.reading.get(who, known.id)
        download = self.world.reading.download(who, known.id)
        if not known.is_seen_by(who, self.now):
            self._refused(get, (FileNotFound,))
            self._refused(download, (FileNotFound,))
            return
        assert self.run(get).id == known.id
        answer = self.run(self.world.get(self.run(download).url))
        assert answer == (200, known.body.bytes)


def places(connection: Connection) -> list[str]:
    """Everywhere that we keep objects."""
    found = connection.execute(select(files.c.object_key).union(select(uploads.c.staging_key)))
    return sorted(found.scalars())
