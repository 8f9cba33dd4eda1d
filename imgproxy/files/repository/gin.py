"""Searches on PostgreSQL, of all reaches together; `search` has those on SQLite.

GIN has *candidates*: texts that have all grams, in no order, each of which takes 4 µs to look at and GIN some
time beforehand. Indexes of all files in an order have the *signature* of each text, so an order can be
followed at 0.4 µs a file, and only those be looked at whose signature does not rule them out:

    walk     common words: enough are met in a stretch
    gather   few candidates: the text and the place of each are looked at
    go far   neither: a stretch that takes as long as a list may, and all candidates if too few are met
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY

from imgproxy.files.cursor import Place
from imgproxy.files.repository import ways
from imgproxy.files.repository.prepared import Prepared, Row
from imgproxy.files.repository.reach import Reach
from imgproxy.files.repository.together import Found, Together
from imgproxy.files.repository.ways import Shape
from imgproxy.files.tables import file_search, files, is_ready

FEW = 2_000
"""As many are gathered: 12 ms or so."""
_TRIED = 6_000
"""As many are followed before GIN is asked, and so many times as many as are wanted."""
_FAR = 40_000

_made = lru_cache(maxsize=4096)


class GinSearch(Together):
    """Reads reaches in which nothing but words is asked for."""

    def __init__(
        self, connection: Connection, reaches: Sequence[Reach], after: Place | None, wanted: int
    ) -> None:
        super().__init__(connection, reaches, after, wanted)
        self._values |= {f"grams{at}": each["grams"] for at, each in enumerate(self._of_each)}

    def found(self) -> Found:
        """The first `wanted` places."""
        if self._number(size(self._shapes), FEW + 1) > FEW:
            rows = self._walked(max(_TRIED, 4 * self._wanted))
            if len(rows) == self._wanted:
                return _found(rows, is_exact=False)
        if self._number(candidates(self._shapes), FEW + 1) <= FEW:
            return self._all(gather(self._shapes))
        rows = self._walked(max(_FAR, 8 * self._wanted))
        if len(rows) < self._wanted:
            rows = self._read(first_gathered(self._shapes))
        return _found(rows, is_exact=False)

    def _walked(self, stretch: int) -> Sequence[Row]:
        return self._read(walk(self._shapes), stretch=stretch)


def _found(rows: Sequence[Row], *, is_exact: bool) -> Found:
    return Found([(row[0], row[1]) for row in rows], len(rows), is_exact=is_exact)


@_made
def size(shapes: tuple[Shape, ...]) -> Prepared:
    """How many files there are, whatever their texts; it stops at `limit`."""
    parts = [ways.in_range(each, "", literal_column("1"), at=at) for at, each in enumerate(shapes)]
    found = ways.together(parts).limit(bindparam("limit")).subquery()
    return Prepared(select(func.count()).select_from(found))


@_made
def candidates(shapes: tuple[Shape, ...]) -> Prepared:
    """How many candidates there are; it stops at `limit`."""
    found = select(literal_column("1")).where(_has_grams(shapes)).limit(bindparam("limit")).subquery()
    return Prepared(select(func.count()).select_from(found))


@_made
def gather(shapes: tuple[Shape, ...]) -> Prepared:
    """Places of what matches, in no order."""
    return Prepared(_matching(shapes))


@_made
def first_gathered(shapes: tuple[Shape, ...]) -> Prepared:
    """The first places of all that match."""
    shape = shapes[0]
    return Prepared(ways.first(shape, _matching(shapes), files.c[shape.order], files.c.id, "limit"))


@_made
def walk(shapes: tuple[Shape, ...]) -> Prepared:
    """The first places among a stretch of an order; fewer than `limit` may not be all."""
    shape = shapes[0]
    parts = [_along(each, at) for at, each in enumerate(shapes)]
    along = ways.merged(shapes, parts).limit(bindparam("stretch")).subquery("along")
    holds = exists().where(file_search.c.file_id == along.c.id, ways.holds(file_search.c.text, shape))
    found = select(along.c.value, along.c.id).where(ways.may_hold(along.c.signature), holds)
    return Prepared(found.order_by(*ways.both(shape, along.c.value, along.c.id)).limit(bindparam("limit")))


def _along(shape: Shape, at: int) -> Select[Any]:
    """One reach in order. Without a limit of its own PostgreSQL would sort all reaches, not merge them."""
    value, id_ = files.c[shape.order], files.c.id
    found = ways.in_range(shape, "", value.label("value"), id_.label("id"), files.c.signature, at=at)
    return select(ways.first(shape, found, value, id_, "stretch").subquery())


def _matching(shapes: tuple[Shape, ...]) -> Select[Any]:
    texts = select(file_search.c.file_id).where(_has_grams(shapes), ways.holds(file_search.c.text, shapes[0]))
    found = texts.limit(ways.ALL).subquery()
    source = files.join(found, files.c.id == found.c.file_id)
    visible = files.c.visibility.in_([bindparam(f"visibility{at}") for at in range(len(shapes))])
    here = (files.c.tenant_id == bindparam("tenant"), visible, is_ready)
    return select(files.c[shapes[0].order], files.c.id).select_from(source).where(*here)


def _has_grams(shapes: tuple[Shape, ...]) -> ColumnElement[bool]:
    return or_(*_each_has_grams(len(shapes)))


def _each_has_grams(many: int) -> Iterator[ColumnElement[bool]]:
    grams = type_coerce(file_search.c.grams, ARRAY(BigInteger))
    for at in range(many):
        yield grams.contains(bindparam(f"grams{at}", type_=ARRAY(BigInteger)))
