"""Lists that FTS5 finds on SQLite: searches, and several filters at once, of all reaches together.

FTS5 has *candidates*, the newest first: files of which all facts hold and that have all grams, whether their
texts hold the words or not. How the first that match are read depends on the order and on how many there are:

    by time   FTS5 has the order
    gather    few: the text and place of each is looked at
    look      many: follow the order, and look at each file, but only at texts whose signatures may match

Limits: where all that match are at the far end of an order, and on deep pages, all candidates are gathered
after all, at 1 µs each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)

from imgproxy.files.cursor import Place
from imgproxy.files.repository import index, ways
from imgproxy.files.repository.index import SEQ_BITS, folded
from imgproxy.files.repository.prepared import Prepared, Row
from imgproxy.files.repository.reach import Reach
from imgproxy.files.repository.together import Found, Together
from imgproxy.files.repository.ways import Shape
from imgproxy.files.tables import file_grams, file_search, file_tags, files

FEW = 4_000
"""As many candidates are gathered at once: 4 ms or so."""
_LOOKED_AT_TO_COUNT = 1_000
"""As many matches are counted if there are more candidates than few; the total may be more."""
_COUNTED = 10_000
"""As many candidates are counted where each matches: 1 ms or so."""
_SOME = 8_000
"""As many are gathered before an order is followed far."""
_TRIED = 2_000
"""As many files are looked at first, while it is not known how many candidates there are."""
_SIGNED = 60_000
"""As many signatures are looked at before all candidates are gathered after all."""
_LOOKED = 20_000
"""As many files are, where signatures do not help."""
_DEEP = 10
"""Of a page so deep that candidates are not even so many times as many, all are gathered."""
_LAST = 2 ** (63 - SEQ_BITS) - 1
"""The last millisecond that `seq` has."""

_UNSIGNED: ColumnElement[int] = literal_column("-1")
"""A signature that every mask passes."""

_made = lru_cache(maxsize=4096)


class Search(Together):
    """Reads reaches that FTS5 finds."""

    def __init__(
        self, connection: Connection, reaches: Sequence[Reach], after: Place | None, wanted: int
    ) -> None:
        super().__init__(connection, reaches, after, wanted)
        words = reaches[0].query.search
        self._values["mask"] = index.short_signature(folded(words)) if words else 0
        self._values["grams"] = " OR ".join(f"({reach.question()})" for reach in reaches)

    def found(self) -> Found:
        """The first `wanted` places."""
        some = self._number(candidates(), FEW + 1)
        if self._shape.order == "created_at":
            return Found(self._by_time(), *self._total(some))
        if some > FEW:
            return Found(self._many(), *self._total(some))
        return self._all(gather(self._shape))

    def _total(self, some: int) -> tuple[int, bool]:
        """How many of `some` candidates match, and whether those are all; without words each does."""
        if not self._shape.has_words:
            total = some if some <= FEW else self._number(candidates(), _COUNTED + 1)
            return total, total <= _COUNTED
        limit = some if some <= FEW else _LOOKED_AT_TO_COUNT
        total = self._number(count(self._shape), limit + 1)
        return total, total <= limit

    def _many(self) -> list[tuple[Any, str]]:
        narrow = not self._shape.has_words
        rows = self._walked(0, _TRIED, narrow=narrow)
        if len(rows) < self._wanted:
            rows = self._further(rows, narrow=narrow)
        if len(rows) < self._wanted:
            rows = self._read(first_gathered(self._shape))
        return [(row[0], row[1]) for row in rows[: self._wanted]]

    def _further(self, rows: Sequence[Row], *, narrow: bool) -> Sequence[Row]:
        """These rows and what is met after them, or in narrower ranges; none if it is better to gather."""
        deep = _DEEP * self._wanted
        looked = max(_LOOKED if narrow else _SIGNED, deep)
        are_enough = len(rows) * looked > 2 * self._wanted * _TRIED
        if not are_enough and self._number(candidates(), max(_SOME, deep) + 1) <= max(_SOME, deep):
            return []
        if are_enough or _ranges(self._shapes, narrow=narrow) == _ranges(self._shapes, narrow=True):
            return [*rows, *self._walked(_TRIED, looked, narrow=narrow)]
        return self._walked(0, max(_LOOKED, deep), narrow=True)

    def _walked(self, skipped: int, stretch: int, *, narrow: bool) -> Sequence[Row]:
        """What is met in a stretch of the order, behind what is skipped."""
        return self._read(walk(self._shapes, narrow=narrow), skipped=skipped, stretch=stretch)

    def _by_time(self) -> list[tuple[Any, str]]:
        """By `seq`, in which files of one millisecond are in no order: so that one is read to its end."""
        rows = self._timed(0, 2**63 - 1, self._wanted)
        if len(rows) == self._wanted:
            last = rows[-1][0]
            begin = last >> SEQ_BITS << SEQ_BITS
            end = begin | (1 << SEQ_BITS) - 1
            low, high = (begin, last - 1) if self._shape.descending else (last + 1, end)
            rows = [*rows, *self._timed(low, high, 2**31 - 1)]
        places = sorted(((row[0] >> SEQ_BITS, row[1]) for row in rows), reverse=self._shape.descending)
        return places[: self._wanted]

    def _timed(self, low: int, high: int, limit: int) -> Sequence[Row]:
        if self._after is not None:
            since = min(max(int(self._after.value), 0), _LAST) << SEQ_BITS  # whatever a made-up cursor says
            if self._shape.descending:
                high = min(high, since | (1 << SEQ_BITS) - 1)
            else:
                low = max(low, since)
        return self._read(by_time(self._shape), low=low, high=high, limit=limit)


@cache
def candidates() -> Prepared:
    """How many candidates there are; it stops at `limit`."""
    found = select(file_grams.c.rowid).where(ways.has_grams()).limit(bindparam("limit")).subquery()
    return Prepared(select(func.count()).select_from(found))


@_made
def count(shape: Shape) -> Prepared:
    """How many match; it stops at `limit`."""
    found = _matching(shape, literal_column("1")).limit(bindparam("limit")).subquery()
    return Prepared(select(func.count()).select_from(found))


@_made
def gather(shape: Shape) -> Prepared:
    """Places of what matches, in no order."""
    value, id_ = file_search.c[shape.order], file_search.c.file_id
    return Prepared(_matching(shape, value, id_))


@_made
def first_gathered(shape: Shape) -> Prepared:
    """The first places of all that match."""
    value, id_ = file_search.c[shape.order], file_search.c.file_id
    return Prepared(ways.first(shape, _matching(shape, value, id_), value, id_, "limit"))


@_made
def by_time(shape: Shape) -> Prepared:
    """`seq` and id of what matches from `low` to `high`, in order of `seq`."""
    seq = file_grams.c.rowid
    found = _matching(shape, seq, file_search.c.file_id)
    found = found.where(seq >= bindparam("low"), seq <= bindparam("high"))
    found = ways.after_place(shape, found, ways.made_at(seq), file_search.c.file_id)
    return Prepared(found.order_by(seq.desc() if shape.descending else seq).limit(bindparam("limit")))


@_made
def walk(shapes: tuple[Shape, ...], *, narrow: bool) -> Prepared:
    """The first places among a stretch of an order; `narrow` follows the range of a filter, if there is one.

    To look at a text takes 1 to 2 µs, and so does a file for its filters; a signature takes 0.3, and nine of
    ten do not pass. The indexes of orders have signatures, those of filters do not.
    """
    ranges = _ranges(shapes, narrow=narrow)
    parts = [_along(each, by, at) for at, (each, by) in enumerate(zip(shapes, ranges, strict=True))]
    stretch = ways.merged(shapes, parts).limit(bindparam("stretch")).offset(bindparam("skipped"))
    along = stretch.subquery("along")
    found = select(along.c.value, along.c.id)
    if shapes[0].has_words:
        mask: ColumnElement[int] = bindparam("mask")
        found = found.where(along.c.signature.op("&")(mask) == mask, _says(shapes[0], along))
    if filters := _asked(shapes) - _known({*ranges}):
        found = found.where(_has(filters, along))
    return Prepared(found.limit(bindparam("limit")))


def _matching(shape: Shape, *wanted: ColumnElement[Any]) -> Select[Any]:
    source = file_grams.join(file_search, file_search.c.seq == file_grams.c.rowid)
    found = select(*wanted).select_from(source).where(ways.has_grams())
    return found.where(ways.holds(file_search.c.text, shape)) if shape.has_words else found


def _asked(shapes: tuple[Shape, ...]) -> frozenset[str]:
    """Filters of all reaches; a user's own files have others, by which they are his own."""
    return frozenset.intersection(*(each.filters for each in shapes)) - {"search"}


def _ranges(shapes: tuple[Shape, ...], *, narrow: bool) -> tuple[str, ...]:
    """The filters whose ranges are followed; for a user's own files always the one that says they are his."""
    asked = _asked(shapes)
    return tuple(
        next((by for by in each.ranges if by != "search"), "")
        if narrow or each.filters - {"search"} != asked
        else ""
        for each in shapes
    )


def _known(ranges: set[str]) -> set[str]:
    """Filters that hold in these ranges, all of them."""
    return {"owner_id", "owner_type"} if ranges == {"owner_id"} else ranges if len(ranges) == 1 else set()


def _along(shape: Shape, by: str, at: int) -> Select[Any]:
    there = file_tags if by == "tag" else files
    value, id_ = there.c[shape.order], (file_tags.c.file_id if by == "tag" else files.c.id)
    wanted = [value.label("value"), id_.label("id"), there.c.created_at]
    if shape.has_words:
        wanted.append((_UNSIGNED if by == "tag" else files.c.signature).label("signature"))
    return ways.after_place(shape, ways.in_range(shape, by, *wanted, at=at), value, id_)


def _has(filters: frozenset[str], along: FromClause) -> ColumnElement[bool]:
    it = files.alias("it")
    held = [it.c[each] == bindparam(each) for each in sorted(filters - {"tag"})]
    if "tag" in filters:
        held.append(ways.is_tagged(it.c, it.c.visibility))
    return exists().where(it.c.id == along.c.id, *held)


def _says(shape: Shape, along: FromClause) -> ColumnElement[bool]:
    """Whether its text holds the words; texts are found by time."""
    begin, end = (
        (along.c.created_at + literal_column(str(at))) * literal_column(str(1 << SEQ_BITS)) for at in (0, 1)
    )
    # Not the index of ids: as an expression the id is only held against what is found by time.
    is_it = func.coalesce(file_search.c.file_id, "") == along.c.id
    here = (file_search.c.seq >= begin, file_search.c.seq < end, is_it)
    return exists().where(*here, ways.holds(file_search.c.text, shape))
