"""Lists of files: found by filters, in an order, of what the principal may see.

What a principal may see is a few *reaches*, disjoint, each of one visibility: all public files, all protected
ones, his own private ones, and so on. Each is counted and read by itself, and the pages are merged. So every
statement begins with tenant and visibility, as the indexes do, and none has an OR that no index could follow.

How a reach is read depends on how many match, as the bounded count has just told; no engine need guess:

    in order   an index has the filter and the order: read the page off it
    gather     few match: find them by the filter, then sort
    walk       many match: follow the order and drop what does not match. If a long stretch holds too few
               (small files by size where only videos were asked for), gather after all

Limits: with two filters that are both common and meet rarely, and on deep pages of a walk, the time grows
with the number of files that match one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from imgproxy.errors import InvalidRequest
from imgproxy.files.cursor import Place, decode, encode
from imgproxy.files.model import File, FileId
from imgproxy.files.repository import rows
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.repository.reach import ListQuery, Reach, reaches
from imgproxy.files.tables import files

EXACT = 10_000
"""Totals are exact up to here, and pages by number reach as far."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page."""

    items: tuple[File, ...]
    total: int
    total_is_exact: bool
    """If not, there are more than `total`."""
    has_next: bool
    next_cursor: str | None


def list_files(connection: Connection, query: ListQuery) -> Listed:
    """Read one page; raise `InvalidRequest` for a page too far, or a cursor that is not of this list."""
    after, offset = _beginning(query)
    wanted = offset + query.limit + 1
    found: list[tuple[int | str, str]] = []
    total = 0
    for reach in reaches(query, on=connection.dialect.name):
        count = _count(connection, reach) if total <= EXACT or not reach.is_in_order else 1
        total += count
        if count:
            found += _places(connection, reach, count=count, wanted=wanted, after=after)
    found.sort(reverse=query.descending)
    page = found[offset : offset + query.limit]
    has_next = len(found) > offset + query.limit
    last = Place(*page[-1]) if has_next and page else None
    return Listed(
        items=_files(connection, [id_ for _, id_ in page]),
        total=min(total, EXACT),
        total_is_exact=total <= EXACT,
        has_next=has_next,
        next_cursor=encode(last, sort=query.sort, descending=query.descending) if last else None,
    )


def _beginning(query: ListQuery) -> tuple[Place | None, int]:
    """After which place, and how many files further on, the page begins."""
    if query.cursor is not None:
        return decode(query.cursor, sort=query.sort, descending=query.descending), 0
    offset = (query.page - 1) * query.limit
    if offset >= EXACT:
        raise InvalidRequest(f"pages reach as far as {EXACT} files: go on from there with nextCursor")
    return None, offset


def _count(connection: Connection, reach: Reach) -> int:
    """How many match, or `EXACT` + 1 if more."""
    return int(connection.execute(reach.count(EXACT + 1)).scalar_one())


def _places(
    connection: Connection, reach: Reach, *, count: int, wanted: int, after: Place | None
) -> list[tuple[int | str, str]]:
    """The first `wanted` places of a reach after a place."""
    if reach.is_in_order:
        statements = [reach.in_order(wanted, after)]
    elif count <= EXACT:
        statements = [reach.gather(wanted, after)]
    else:
        statements = [reach.walk(wanted, after), reach.gather(wanted, after)]
    places: list[tuple[int | str, str]] = []
    for statement in statements:
        places = [(row[0], row[1]) for row in connection.execute(statement)]
        if len(places) == wanted:
            break
    return places


def _files(connection: Connection, ids: list[str]) -> tuple[File, ...]:
    """The files of these ids, in this order."""
    engine = connection.dialect.name
    named = ids if engine == "postgresql" else json.dumps(ids)
    found = map(rows.file, _named(engine).all(connection, {"ids": named}))
    by_id = {file.id: file for file in found}
    return tuple(by_id[FileId(each)] for each in ids)


@cache
def _named(engine: str) -> Prepared:
    """Files of some ids, in no order."""
    ids = bindparam("ids", type_=ARRAY(TEXT))
    if engine == "postgresql":
        return Prepared(select(files).where(files.c.id == func.any(ids)))
    listed = select(func.json_each(bindparam("ids")).table_valued("value").c.value)
    return Prepared(select(files).where(files.c.id.in_(listed)))
