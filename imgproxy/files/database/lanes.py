"""Connections that work off what waits: reads share a transaction, each write has its own.

BEGIN and COMMIT cost as much as a small read each, and what a pool and a session do around them costs more.
So a connection goes on while something waits, and ends one transaction and begins the next in one message.
Reads that wait together are one transaction: its snapshot is taken after all of them were asked. So they
gather on few lanes, and get another one only when those are held up. Writes are not, for they would hold each
other's locks, and two groups could wait for one another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from imgproxy.errors import Unavailable
from imgproxy.files.database import T, Work

_LARGEST = 64  # larger ones let the first wait, and gain nothing

OF_THE_SERVER = (
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that was ended while it idled, before it is heard of
    OSError,
    TimeoutError,
)
"""What asyncpg raises, by itself or through SQLAlchemy; then a transaction can only be undone."""


class _Wire(Protocol):
    def run_async(self, fn: Callable[[Any], Awaitable[T]]) -> T:
        """Have the driver do something, and wait for it."""


@dataclass(slots=True)
class Waiting(Generic[T]):
    """Work that somebody waits for."""

    work: Work[T]
    outcome: asyncio.Future[T]
    until: float
    """When it is too late to begin, in the loop's time."""
    result: T | None = None
    committing: bool = False
    """Whether COMMIT has been sent: if that fails, nobody knows what was kept."""


class Lanes:
    """At most `many` connections, opened as they are needed; who waits `seconds` is told `Unavailable`."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AsyncConnection]],
        *,
        begin: str,
        many: int,
        seconds: float,
        reads: bool,
        held_up: float = 0.005,
    ) -> None:
        """`held_up`: seconds that a read waits for lanes that are there. Lists hold it up, files do not."""
        self._connect = connect
        self._begin = begin
        self._many = many
        self._seconds = seconds
        self._reads = reads
        self._held_up = held_up
        self._waiting: deque[Waiting[Any]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._open = 0
        self._idle: list[AsyncConnection] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._relief: asyncio.TimerHandle | None = None

    def put(self, work: Work[T]) -> Waiting[T]:
        """Have work done. Who is cancelled while he waits has written nothing, or everything."""
        loop = asyncio.get_running_loop()
        waiting: Waiting[T] = Waiting(work, loop.create_future(), loop.time() + self._seconds)
        self._waiting.append(waiting)
        if not self._open or (self._open < self._many and not self._reads):
            self._begin_lane()
        else:
            self._watch()
        return waiting

    async def close(self) -> None:
        """Let what is under way end, and let go of the connections."""
        while self._lanes:
            await asyncio.wait(self._lanes)
        for each in (self._alarm, self._relief):
            if each is not None:
                each.cancel()
        while self._idle:
            await self._idle.pop().close()

    def _begin_lane(self) -> None:
        self._open += 1
        lane = asyncio.get_running_loop().create_task(self._lane())
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    def _watch(self) -> None:
        """See to it that what waits is begun in time, or given up."""
        loop, first = asyncio.get_running_loop(), self._waiting[0]
        if self._open < self._many:
            if self._relief is None:
                begun = first.until - self._seconds
                self._relief = loop.call_at(begun + self._held_up, self._relieve)
        elif self._alarm is None:
            self._alarm = loop.call_at(first.until, self._give_up)

    def _relieve(self) -> None:
        self._relief = None
        if not self._waiting:
            return
        if self._waiting[0].until - self._seconds + self._held_up <= asyncio.get_running_loop().time():
            self._begin_lane()
        self._watch()

    def _give_up(self) -> None:
        self._alarm = None
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0].until <= now:
            _fail([self._waiting.popleft()], Unavailable("the record of files has too much to do"))
        if self._waiting:
            self._alarm = asyncio.get_running_loop().call_at(self._waiting[0].until, self._give_up)

    async def _lane(self) -> None:
        try:
            while taken := self._next():
                await self._serve(taken)
        finally:
            self._open -= 1  # in the same step as nothing was waiting: what comes now needs a lane of its own

    async def _serve(self, taken: list[Waiting[Any]]) -> None:
        try:
            connection = await self._connection()
        except OF_THE_SERVER as error:
            _fail(taken, error)
            return
        try:
            await connection.run_sync(self._work_off, taken)
        except BaseException as error:
            _fail(taken, error)
            await self._let_go(connection)
            if not isinstance(error, Exception):
                raise
        else:
            self._idle.append(connection)

    def _next(self) -> list[Waiting[Any]]:
        """A fair share of what waits."""
        share = min(_LARGEST, 1 + len(self._waiting) // self._many) if self._reads else 1
        taken: list[Waiting[Any]] = []
        while self._waiting and len(taken) < share:
            each = self._waiting.popleft()
            if not each.outcome.done():
                taken.append(each)
        return taken

    async def _connection(self) -> AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if not (await _driver(connection)).is_closed():
                return connection
            await connection.close()
        return await self._connect()

    async def _let_go(self, connection: AsyncConnection) -> None:
        """Let go of a connection after a failure, and of those that idle: theirs may be the same."""
        broken = [connection, *self._idle]
        self._idle.clear()
        for each in broken:
            if not each.invalidated:
                (await _driver(each)).terminate()
            await each.close()

    def _work_off(self, connection: Connection, taken: list[Waiting[Any]]) -> None:
        """Do what was taken and then what waits, until nothing does. What has no answer stays in `taken`."""
        wire: Any = connection.connection.dbapi_connection
        _say(wire, self._begin)
        while taken:
            for each in taken:
                self._do(connection, wire, each)
            following = self._next()
            try:
                self._commit(wire, taken, goes_on=bool(following))
            except BaseException:
                self._waiting.extendleft(reversed(following))
                raise
            taken[:] = following

    def _commit(self, wire: _Wire, done: list[Waiting[Any]], *, goes_on: bool) -> None:
        for each in done:
            each.committing = True
        _say(wire, f"COMMIT; {self._begin}" if goes_on else "COMMIT")
        for each in done:
            _answer(each)

    def _do(self, connection: Connection, wire: _Wire, waiting: Waiting[Any]) -> None:
        try:
            waiting.result = waiting.work(connection)
        except Exception as error:
            if not self._reads or isinstance(error, OF_THE_SERVER):
                _say(wire, f"ROLLBACK; {self._begin}")
            _fail([waiting], error)
        else:
            if self._reads:  # there is nothing to commit
                _answer(waiting)


def _say(wire: _Wire, words: str) -> None:
    wire.run_async(lambda driver: driver.execute(words))


async def _driver(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


def _answer(waiting: Waiting[Any]) -> None:
    if not waiting.outcome.done():
        waiting.outcome.set_result(waiting.result)


def _fail(waiting: Iterable[Waiting[Any]], error: BaseException) -> None:
    for each in waiting:
        if each.outcome.done():
            continue
        if isinstance(error, asyncio.CancelledError):
            each.outcome.cancel()
        else:
            each.outcome.set_exception(error)
