"""Files on PostgreSQL: lists of 100 among a million, and how fast a record is read and an upload issued.

The same files and lists as for `files`, on a server beside this process, over a socket; what is committed is
synced to disk. Milliseconds are of the clock, and beside them those of the processor, of this process and
the server's together, which neighbours disturb less. The million is filled by COPY and indexed after, in
five minutes or so, and kept in `.bench` (10 GB). `--quick` has 20,000.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvloop

from bench import files, processor
from bench.figure import Row, Run, say
from bench.pictures import kept
from bench.record import fill_postgresql
from imgproxy.files.database_url import PostgresUrl

_NAME = "record"
_SERVER = ("shared_buffers=1GB", "max_wal_size=8GB")
_FILLING = (*_SERVER, "autovacuum=off")
_SAFE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")


def measure(run: Run) -> Iterator[Row]:
    """A row for each group of lists, then rates."""
    with _record(20_000 if run.quick else 1_000_000) as (address, pid):
        clocks = {"ms": time.perf_counter, "CPU ms": partial(_spent, partial(processor.descendants, pid))}
        yield from uvloop.run(files.measured("PostgreSQL", address, run, clocks))


def _spent(server: processor.Processes) -> float:
    """Seconds of the processor, of this process and the server's."""
    return time.process_time() + processor.spent(server)


@contextmanager
def _record(count: int) -> Iterator[tuple[PostgresUrl, int]]:
    """A server with the record, which is made if there is none, and its process."""
    from tests.postgres import server

    data = kept() / f"postgresql-{count}"
    if not data.exists():
        say(f"making {count} files in PostgreSQL")
        being_made = data.with_suffix(".making")
        with server(*_FILLING, data=being_made) as made:
            made.sql(f"CREATE DATABASE {_NAME} TEMPLATE template0")
            address = PostgresUrl(made.url(_NAME))
            asyncio.run(files.migrated(address))
            asyncio.run(fill_postgresql(address.url, count))
        being_made.rename(data)
    with server(*_SERVER, *_SAFE, data=data) as it:
        yield PostgresUrl(it.url(_NAME)), it.pid
