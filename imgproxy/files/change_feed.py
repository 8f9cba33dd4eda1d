"""Hearing of every change of the record, whoever made it.

The record is asked each second what has changed, and that is what may be relied on: for `TRUST_SECONDS`
after it was last asked and answered, what is remembered of it may be believed, and no longer. A record
that calls (LISTEN on PostgreSQL) only makes it quicker: whether a notice got lost does not matter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from imgproxy.errors import ImgproxyError, Unavailable
from imgproxy.files.database import Connection, Database
from imgproxy.files.repository.changes import Changes, changes_since, current_mark
from imgproxy.image.source import Key

_log = logging.getLogger(__name__)

TRUST_SECONDS = 10.0
"""A PostgreSQL that restarts is back by then. Longer would be kinder to pictures while the record is away,
and show for longer what somebody takes private whose record we cannot reach, though he can."""
_ASK_SECONDS = 1.0
_PATIENCE = 2.0  # for an answer; after that it counts as away
_AT_ONCE = 100  # keys between which others have their turn


class ChangeFeed:
    """Calls `changed` for each key, or `forget` when more changed than can be told."""

    def __init__(
        self,
        database: Database,
        *,
        changed: Callable[[Key], None],
        forget: Callable[[], None],
        timer: Callable[[], float],
    ) -> None:
        """`timer` tells seconds that only go on."""
        self._database = database
        self._changed = changed
        self._forget = forget
        self._timer = timer
        self._mark: int | None = None
        self._due = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._away = False
        self.until = float("-inf")
        """On the timer, when what is remembered stops being believed."""

    async def start(self) -> None:
        """Begin; raise `Unavailable` if the record cannot be asked."""
        await self.catch_up()
        self._tasks = [asyncio.create_task(self._keep_asking())]
        if self._database.notifies:
            self._tasks.append(asyncio.create_task(self._listen()))

    async def catch_up(self) -> None:
        """Hear of what has changed, with all who wait for that; raise `Unavailable`."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Hear no more."""
        tasks = [*self._tasks, *([self._asking] if self._asking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_asking(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), _ASK_SECONDS)
            self._due.clear()
            with suppress(ImgproxyError):
                await self.catch_up()

    async def _ask(self) -> None:
        begun = self._timer()
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self._database.read(partial(_since, mark=self._mark))
        except TimeoutError as error:
            raise Unavailable("the record of files does not answer") from error
        self._mark = told.mark
        if told.complete:
            await self._pass_on(told.keys)
        else:
            self._forget()
        self.until = begun + TRUST_SECONDS

    async def _pass_on(self, keys: Sequence[Key]) -> None:
        for index, key in enumerate(keys):
            self._changed(key)
            if index % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._away:
            _log.error("the record of files cannot be asked: %s", error.__cause__ or error)
        elif error is None and self._away:
            _log.info("the record of files answers again")
        self._away = error is not None

    async def _listen(self) -> None:
        """Hear what is called; what happened in a silence is asked for as soon as it ends."""
        async for notice in self._database.listen():
            if notice.kind == "key":
                self._changed(Key(notice.key))
            else:
                self._due.set()


def _since(connection: Connection, *, mark: int | None) -> Changes:
    """What has changed since a mark; nothing, if there was none."""
    if mark is None:
        return Changes((), current_mark(connection), complete=True)
    return changes_since(connection, mark)
