"""Feed of changed files, whichever process changed them.

It polls the database each second, and only that is relied on: for `TRUST_SECONDS` after a poll began that
succeeded, cached rows may be trusted, and no longer. Notifications (LISTEN on PostgreSQL) only make it
quicker: a lost one does not matter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from imgproxy.errors import ImgproxyError, Unavailable, with_cause
from imgproxy.files.database import Connection, Database
from imgproxy.files.repository.changes import Changes, changes_since, current_mark
from imgproxy.image.source import Key

_log = logging.getLogger(__name__)

TRUST_SECONDS = 10.0
"""A PostgreSQL that restarts is back by then. With more, images survive longer outages, and a file that
another machine takes private stays visible for longer on one that cannot reach the database."""
_POLL_SECONDS = 1.0
_POLL_TIMEOUT = 2.0
_BATCH = 100  # keys between which the event loop serves others


class ChangeFeed:
    """Calls `changed` for each key, or `forget` when more changed than it can report."""

    def __init__(
        self,
        database: Database,
        *,
        changed: Callable[[Key], None],
        forget: Callable[[], None],
        timer: Callable[[], float],
    ) -> None:
        """Take a monotonic `timer`, in seconds."""
        self._database = database
        self._changed = changed
        self._forget = forget
        self._timer = timer
        self._mark: int | None = None
        self._due = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._failing = False
        self.until = float("-inf")
        """Time on the timer at which cached rows stop being trusted."""

    async def start(self) -> None:
        """Begin; raise `Unavailable` if the database cannot be read."""
        await self.catch_up()
        self._tasks = [asyncio.create_task(self._keep_polling())]
        if self._database.notifies:
            self._tasks.append(asyncio.create_task(self._listen()))

    async def catch_up(self) -> None:
        """Poll once for all callers that wait; raise `Unavailable`."""
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
            self._polling.add_done_callback(self._polled)
        await asyncio.shield(self._polling)

    async def close(self) -> None:
        """Stop."""
        tasks = [*self._tasks, *([self._polling] if self._polling else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_polling(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), _POLL_SECONDS)
            self._due.clear()
            with suppress(ImgproxyError):
                await self.catch_up()

    async def _poll(self) -> None:
        began = self._timer()
        try:
            async with asyncio.timeout(_POLL_TIMEOUT):
                changes = await self._database.read(partial(_since, mark=self._mark))
        except TimeoutError as error:
            raise Unavailable(f"the database did not respond within {_POLL_TIMEOUT:.0f} s") from error
        self._mark = changes.mark
        if changes.complete:
            await self._report(changes.keys)
        else:
            self._forget()
        self.until = began + TRUST_SECONDS

    async def _report(self, keys: Sequence[Key]) -> None:
        for index, key in enumerate(keys):
            self._changed(key)
            if index % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)

    def _polled(self, task: asyncio.Task[None]) -> None:
        self._polling = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._failing:
            text = with_cause(error) if isinstance(error, ImgproxyError) else str(error)
            _log.error("change feed: cannot poll the database: %s", text)
        elif error is None and self._failing:
            _log.info("change feed: the database responds again")
        self._failing = error is not None

    async def _listen(self) -> None:
        """Report notified keys; when listening begins or ends, poll at once for what was missed."""
        async for notice in self._database.listen():
            if notice.kind == "key":
                self._changed(Key(notice.key))
            else:
                self._due.set()


def _since(connection: Connection, *, mark: int | None) -> Changes:
    if mark is None:
        return Changes((), current_mark(connection), complete=True)
    return changes_since(connection, mark)
