"""Lists of files: found by filters, in an order, of what the principal may see.

What a principal may see is a few *reaches*, disjoint, each of one visibility: all public files, all protected
ones, his own private ones, and so on. So every statement begins with tenant and visibility, as the indexes
do, and none has an OR that no index could follow. How a reach is read depends on its filters:

    in order   none, or one: its index has every order, and the page is read off it
    search     words or several filters, on SQLite: FTS5 has what matches (see `search`); on PostgreSQL
               words alone: GIN has them, and indexes of orders have signatures of texts (see `gin`)
    gather     more, and one of them finds few: all that it finds are looked at, and sorted
    walk       more, and all find many: follow one in order and drop what does not match. If a long stretch
               holds too few, gather after all

What is looked at to count is bounded as well, so a total may be a lower bound.

Limits: where filters that are all common meet rarely, and on deep pages of a walk, the time grows with the
number of files that match one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from imgproxy.errors import InvalidRequest
from imgproxy.files.cursor import Place, decode, encode
from imgproxy.files.model import File, FileId
from imgproxy.files.repository import rows, ways
from imgproxy.files.repository.gin import GinSearch
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.repository.reach import ListQuery, Reach, reaches
from imgproxy.files.repository.search import Search
from imgproxy.files.repository.together import page
from imgproxy.files.tables import POSTGRESQL, facts, files

EXACT = 10_000
"""Totals of one filter are exact up to here, and pages by number reach as far."""
FEW = 2_000
"""As many files are looked at, one by one, before a list is read another way: 10 ms or so."""
_COUNTED = 500
"""As many files of a walk are looked at for the total alone."""
_TRIED = 8_000
"""As many are looked at for words on PostgreSQL before GIN is asked, which reads all that it has of them."""
_FAR = 16_000
"""As many if GIN has not few, either."""

# Statements are prepared, and one value means a row where another means a million: plan each time.
_PLANNED = Prepared(text("SET LOCAL plan_cache_mode = force_custom_plan"))

_Place = tuple[Any, str]


@dataclass(frozen=True, slots=True)
class Listed:
    """One page."""

    items: tuple[File, ...]
    total: int
    total_is_exact: bool
    """If not, there may be more than `total`."""
    has_next: bool
    next_cursor: str | None


@dataclass(slots=True)
class _Count:
    """How many match, as far as was looked."""

    total: int = 0
    is_exact: bool = True

    def add(self, total: int, *, is_exact: bool) -> None:
        self.total += total
        self.is_exact = self.is_exact and is_exact


def list_files(connection: Connection, query: ListQuery) -> Listed:
    """Read one page; raise `InvalidRequest` for a page too far, or a cursor that is not of this list."""
    after, offset = _beginning(query)
    if connection.dialect.name == POSTGRESQL:
        _PLANNED.all(connection, {})
    wanted = offset + query.limit + 1
    count = _Count()
    ordered: list[Reach] = []
    searched: list[Reach] = []
    others: list[Reach] = []
    for reach in reaches(query, on=connection.dialect.name):
        shape = reach.shape(after)
        is_searched = shape.is_for_fts5 or shape.is_for_gin
        (ordered if shape.is_in_order else searched if is_searched else others).append(reach)
    skipped = 0 if searched or others else offset
    found = _in_order(connection, ordered, after, limit=wanted - skipped, offset=skipped, count=count)
    found += _searched(connection, searched, after, wanted, count)
    for reach in others:
        found += _Reading(connection, reach, after, wanted, count).places()
    if searched or others:
        found.sort(reverse=query.descending)
    shown = found[offset - skipped :][: query.limit]
    has_next = len(found) > offset - skipped + query.limit
    last = Place(*shown[-1]) if has_next and shown else None
    return Listed(
        items=_files(connection, [id_ for _, id_ in shown]),
        total=min(max(count.total, offset + len(shown) if shown else 0), EXACT),
        total_is_exact=count.is_exact and count.total <= EXACT,
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


def _in_order(
    connection: Connection,
    ordered: list[Reach],
    after: Place | None,
    *,
    limit: int,
    offset: int,
    count: _Count,
) -> list[_Place]:
    """The first places of some reaches whose indexes have the order, merged."""
    values: dict[str, Any] = {"limit": limit, "offset": offset, "furthest": limit + offset}
    for at, reach in enumerate(ordered):
        mine = reach.values(after)
        if count.total <= EXACT:
            count.add(_size(connection, reach, mine, EXACT + 1 - count.total), is_exact=True)
        values |= mine | {"visibility0": ordered[0].visibility, f"visibility{at}": reach.visibility}
    if not ordered:
        return []
    shapes = tuple(reach.shape(after) for reach in ordered)
    return [(row[0], row[1]) for row in ways.in_order(shapes).all(connection, values)]


def _searched(
    connection: Connection, searched: list[Reach], after: Place | None, wanted: int, count: _Count
) -> list[_Place]:
    if not searched:
        return []
    search = GinSearch if connection.dialect.name == POSTGRESQL else Search
    found = search(connection, searched, after, wanted).found()
    count.add(found.total, is_exact=found.is_exact)
    return found.places


def _size(connection: Connection, reach: Reach, values: dict[str, Any], limit: int) -> int:
    shape = reach.shape(None)
    by = (*shape.ranges, "")[0]
    return _number(ways.size(shape, by), connection, values | {"limit": limit})


def _number(statement: Prepared, connection: Connection, values: dict[str, Any]) -> int:
    row = statement.one(connection, values)
    return int(row[0]) if row else 0


class _Reading:
    """Reads a reach that no index has in order."""

    def __init__(
        self, connection: Connection, reach: Reach, after: Place | None, wanted: int, count: _Count
    ) -> None:
        self._connection = connection
        self._shape = reach.shape(after)
        self._whole = reach.shape(None)
        self._values = reach.values(after) | {"limit": wanted, "stretch": FEW}
        self._after = after
        self._wanted = wanted
        self._count = count

    def places(self) -> list[_Place]:
        """The first `wanted` places."""
        if self._shape.engine == POSTGRESQL and self._shape.has_words:
            return self._by_words()
        if (narrow := self._narrowest()) is not None:
            return self._gather(narrow)
        return self._walk(FEW)

    def _by_words(self) -> list[_Place]:
        """Words and filters on PostgreSQL: GIN takes long to say how many it has, so it is asked last."""
        others = (each for each in self._shape.ranges if each != "search")
        if (few := next((each for each in others if self._size(each) <= FEW), None)) is not None:
            return self._gather(few)
        rows = self._walked(_TRIED)
        if len(rows) == self._wanted:
            self._count.add(len(rows), is_exact=False)
            return rows
        return self._gather("search") if self._size("search") <= FEW else self._walk(_FAR)

    def _narrowest(self) -> str | None:
        """The range that has least, if it has few."""
        sizes = {by: self._size(by) for by in self._shape.ranges}
        narrow = min(sizes, key=sizes.__getitem__)
        return narrow if sizes[narrow] <= FEW else None

    def _size(self, by: str) -> int:
        return _number(ways.size(self._whole, by), self._connection, self._values | {"limit": FEW + 1})

    def _gather(self, by: str) -> list[_Place]:
        rows = ways.gather(self._whole, by).all(self._connection, self._values)
        self._count.add(len(rows), is_exact=True)
        return page(rows, self._after, self._wanted, descending=self._shape.descending)

    def _walk(self, stretch: int) -> list[_Place]:
        rows = self._walked(stretch)
        here = self._values | {"stretch": _COUNTED}
        counted = _number(ways.count_of_walk(self._whole, self._along), self._connection, here)
        self._count.add(max(counted, len(rows)), is_exact=False)
        if len(rows) == self._wanted:
            return rows
        by = "search" if "search" in self._shape.ranges else self._shape.ranges[0]
        found = ways.first_gathered(self._shape, by).all(self._connection, self._values)
        return [(row[0], row[1]) for row in found]

    def _walked(self, stretch: int) -> list[_Place]:
        here = self._values | {"stretch": stretch}
        found = ways.walk(self._shape, self._along).all(self._connection, here)
        return [(row[0], row[1]) for row in found]

    @property
    def _along(self) -> str:
        """What is followed in order in a walk."""
        return next((each for each in self._shape.ranges if each not in ("search", "shared")), "")


def _files(connection: Connection, ids: list[str]) -> tuple[File, ...]:
    """The files of these ids, in this order."""
    engine = connection.dialect.name
    named = ids if engine == POSTGRESQL else json.dumps(ids)
    found = map(rows.file, _named(engine).all(connection, {"ids": named}))
    by_id = {file.id: file for file in found}
    return tuple(by_id[FileId(each)] for each in ids)


@cache
def _named(engine: str) -> Prepared:
    """Files of some ids, in no order."""
    ids = bindparam("ids", type_=ARRAY(TEXT))
    if engine == POSTGRESQL:
        return Prepared(select(*facts).where(files.c.id == func.any(ids)))
    listed = select(func.json_each(bindparam("ids")).table_valued("value").c.value)
    return Prepared(select(*facts).where(files.c.id.in_(listed)))
