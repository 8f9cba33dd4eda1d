"""Statements that find what matches of a reach, written once for each shape; `listing` says which is when.

A *range* is what one filter finds by itself: rows of an index that lie together. Inner LIMITs keep an engine
from turning a statement into another one; the outer conditions are held against what the range gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIT

from imgproxy.files.repository.index import SEQ_BITS
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.tables import (
    FILTERS,
    POSTGRESQL,
    SIGNED,
    file_grams,
    file_search,
    file_tags,
    files,
    is_ready,
    shares,
)

ALL: ColumnElement[int] = literal_column(str(2**31 - 1))  # a limit that limits nothing
_SHAPES = 4096  # as many statements are kept of each kind
_RANGES = ("shared", "owner_id", "tag", "search", *(each for each in FILTERS if each != "owner_id"))
"""The one that says most first."""

_made = lru_cache(maxsize=_SHAPES)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement depends on, but for values."""

    engine: str
    order: str
    descending: bool
    after: bool
    filters: frozenset[str]
    """Columns of `files` that must have a value; `tag`, `search`."""
    others: bool
    """Whether a user's own files are left out."""
    named: int
    """Under how many names shares are looked for; 0 if it does not matter what is shared."""

    @property
    def ranges(self) -> tuple[str, ...]:
        """By what it can be found; an owner's range knows his type."""
        present = self.filters | ({"shared"} if self.named else frozenset())
        return tuple(
            each
            for each in _RANGES
            if each in present and not (each == "owner_type" and "owner_id" in present)
        )

    @property
    def is_in_order(self) -> bool:
        """Whether an index has all that matches in the order that is asked for."""
        return len(self.ranges) < 2 and not {"shared", "search"} & {*self.ranges}

    @property
    def has_words(self) -> bool:
        """Whether texts are searched."""
        return "search" in self.filters

    @property
    def is_for_gin(self) -> bool:
        """Whether nothing but words is asked for, on PostgreSQL."""
        return self.engine == POSTGRESQL and self.ranges == ("search",)

    @property
    def is_for_fts5(self) -> bool:
        """Whether FTS5 gives all that matches."""
        return self.engine != POSTGRESQL and not self.is_in_order and not self.named


@_made
def size(shape: Shape, by: str) -> Prepared:
    """How many a range has; it stops at `limit`."""
    found = in_range(shape, by, literal_column("1")).limit(bindparam("limit")).subquery()
    return Prepared(select(func.count()).select_from(found))


@_made
def in_order(shapes: tuple[Shape, ...]) -> Prepared:
    """Places of some reaches, in order: each is read off an index, and they are merged."""
    ordered = merged(shapes, [_part(each, at) for at, each in enumerate(shapes)])
    return Prepared(ordered.limit(bindparam("limit")).offset(bindparam("offset")))


@_made
def gather(shape: Shape, by: str) -> Prepared:
    """Places of all that match, in no order."""
    return Prepared(_gathered(shape, by)[0])


@_made
def first_gathered(shape: Shape, by: str) -> Prepared:
    """The first places of all that match."""
    statement, value, id_ = _gathered(shape, by)
    return Prepared(first(shape, statement, value, id_, "limit"))


@_made
def walk(shape: Shape, by: str) -> Prepared:
    """The first places among a stretch of a range, followed in order; fewer than `limit` may not be all."""
    along = _stretch(shape, by)
    statement = select(along.c[shape.order], along.c.id).where(*_filters(shape, along.c, but=by))
    if shape.engine == POSTGRESQL:
        statement = statement.order_by(*both(shape, along.c[shape.order], along.c.id))
    return Prepared(statement.limit(bindparam("limit")))


@_made
def count_of_walk(shape: Shape, by: str) -> Prepared:
    """How many of a stretch match."""
    along = _stretch(shape, by)
    return Prepared(select(func.count()).select_from(along).where(*_filters(shape, along.c, but=by)))


def _place(shape: Shape) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    if shape.ranges == ("tag",):
        return file_tags.c[shape.order], file_tags.c.file_id
    return files.c[shape.order], files.c.id


def _part(shape: Shape, at: int) -> Select[Any]:
    """A reach to be merged. SQLite merges what is in order; PostgreSQL would sort all, so it is given few."""
    value, id_ = _place(shape)
    found = in_range(shape, (*shape.ranges, "")[0], value, id_, at=at)
    if shape.engine != POSTGRESQL:
        return after_place(shape, found, value, id_)
    return select(first(shape, found, value, id_, "furthest").subquery())


def merged(shapes: tuple[Shape, ...], parts: list[Select[Any]]) -> Select[Any] | CompoundSelect[Any]:
    """All rows of some reaches, which begin with places, in order."""
    way = "DESC" if shapes[0].descending else "ASC"
    statement = together(parts)
    return statement.order_by(literal_column(f"1 {way}"), literal_column(f"2 {way}"))


def together(parts: list[Select[Any]]) -> Select[Any] | CompoundSelect[Any]:
    """All rows of some reaches."""
    return union_all(*parts) if len(parts) > 1 else parts[0]


def both(shape: Shape, value: ColumnElement[Any], id_: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """What lists are in order by."""
    return [value.desc(), id_.desc()] if shape.descending else [value, id_]


def after_place(
    shape: Shape, statement: Select[Any], value: ColumnElement[Any], id_: ColumnElement[Any]
) -> Select[Any]:
    """What comes after the place where a page ended."""
    if not shape.after:
        return statement
    place = tuple_(value, id_)
    here = tuple_(bindparam("value", type_=value.type), bindparam("id", type_=id_.type))
    return statement.where(place < here if shape.descending else place > here)


def first(
    shape: Shape, statement: Select[Any], value: ColumnElement[Any], id_: ColumnElement[Any], limit: str
) -> Select[Any]:
    """As many as `limit` names, in order."""
    ordered = after_place(shape, statement, value, id_).order_by(*both(shape, value, id_))
    return ordered.limit(bindparam(limit))


def in_range(shape: Shape, by: str, *wanted: ColumnElement[Any], at: int = 0) -> Select[Any]:
    """What one filter finds by itself, of the visibility numbered `at`."""
    tenant: ColumnElement[str] = bindparam("tenant")
    visibility: ColumnElement[str] = bindparam(f"visibility{at}")
    match by:
        case "search":
            return _by_text(shape, *wanted)
        case "tag":
            here = (file_tags.c.tenant_id == tenant, file_tags.c.visibility == visibility)
            return select(*wanted).select_from(file_tags).where(*here, file_tags.c.tag == bindparam("tag"))
        case "shared":
            return select(*wanted).select_from(shares).where(_named(shape))
    base = [files.c.tenant_id == tenant, files.c.visibility == visibility, is_ready]
    of_filter = [files.c[by] == bindparam(by)] if by else []
    if by == "owner_id" and "owner_type" in shape.filters:
        # Not the index by type: as an expression it is only held against what the owner's index says.
        of_filter.append(func.coalesce(files.c.owner_type, "") == bindparam("owner_type"))
    return select(*wanted).select_from(files).where(*base, *of_filter)


def _by_text(shape: Shape, *wanted: ColumnElement[Any]) -> Select[Any]:
    if shape.engine == POSTGRESQL:
        grams = type_coerce(file_search.c.grams, ARRAY(BigInteger))
        candidate = grams.contains(bindparam("grams", type_=ARRAY(BigInteger)))
        return select(*wanted).select_from(file_search).where(candidate, holds(file_search.c.text, shape))
    source = file_grams.join(file_search, file_search.c.seq == file_grams.c.rowid)
    return select(*wanted).select_from(source).where(has_grams(), holds(file_search.c.text, shape))


def has_grams() -> ColumnElement[bool]:
    """Whether FTS5 has all that is asked for under `grams`."""
    return literal_column("file_grams").op("MATCH", is_comparison=True)(bindparam("grams"))


def made_at(seq: ColumnElement[int]) -> ColumnElement[int]:
    """When the file of a text on SQLite was made."""
    return seq.op(">>")(literal_column(str(SEQ_BITS)))


def holds(words: ColumnElement[Any], shape: Shape) -> ColumnElement[bool]:
    """Without LIKE, which would read `%` and `_` as its own."""
    find = func.strpos if shape.engine == POSTGRESQL else func.instr
    return find(words, bindparam("words", type_=file_search.c.text.type)) > literal_column("0")


def may_hold(signature: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the text of a signature may hold the words, on PostgreSQL; a look takes ten times as long."""
    mask = bindparam("mask", type_=BIT(SIGNED))
    return type_coerce(signature, BIT(SIGNED)).op("&")(mask) == mask


def _needed(shape: Shape) -> list[ColumnElement[Any]]:
    signed = ["signature"] if shape.engine == POSTGRESQL and shape.has_words else []
    names = dict.fromkeys([shape.order, "id", "created_at", "visibility", "state", *FILTERS, *signed])
    return [files.c[name] for name in names]


_IDS = {"tag": file_tags.c.file_id, "search": file_search.c.file_id, "shared": shares.c.file_id}


def _found(shape: Shape, by: str) -> Select[Any]:
    """Files of a range, with all that filters may ask for."""
    if by not in _IDS:
        return in_range(shape, by, *_needed(shape))
    ids = in_range(shape, by, _IDS[by].label("found"))
    if by == "shared":  # under several names, perhaps
        ids = ids.distinct()
    found = ids.limit(ALL).subquery()
    return select(*_needed(shape)).select_from(found.join(files, files.c.id == found.c.found))


def _gathered(shape: Shape, by: str) -> tuple[Select[Any], ColumnElement[Any], ColumnElement[Any]]:
    every = _found(shape, by)
    if shape.engine == POSTGRESQL and by not in _IDS:  # which then may find what is in several ranges
        every = every.where(*_filters(shape, files.c, but=by))
    found = every.limit(ALL).subquery()
    matching = [found.c.visibility == bindparam("visibility0"), found.c.state == literal_column("'ready'")]
    value, id_ = found.c[shape.order], found.c.id
    return select(value, id_).where(*matching, *_filters(shape, found.c, but=by)), value, id_


def _stretch(shape: Shape, by: str) -> FromClause:
    """The first files of a range in order, as many as `stretch`."""
    if by != "tag":
        along = in_range(shape, by, *_needed(shape))
        return first(shape, along, files.c[shape.order], files.c.id, "stretch").subquery()
    value, id_ = file_tags.c[shape.order], file_tags.c.file_id
    tagged = first(shape, in_range(shape, by, value.label("value"), id_), value, id_, "stretch").subquery()
    found = select(*_needed(shape)).select_from(tagged.join(files, files.c.id == tagged.c.file_id))
    return found.order_by(*both(shape, tagged.c.value, tagged.c.file_id)).limit(ALL).subquery()


def _filters(shape: Shape, columns: Any, *, but: str) -> Iterator[ColumnElement[bool]]:
    """What must hold of a file of a range; `but` for the filter whose range it is."""
    known = {but, "tag", "search"} | ({"owner_type"} if but == "owner_id" else set())
    for name in sorted(shape.filters - known):
        yield columns[name] == bindparam(name)
    if shape.others:
        yield or_(columns["owner_type"] != literal_column("'user'"), columns["owner_id"] != bindparam("user"))
    if shape.named and but != "shared":
        yield exists().where(shares.c.file_id == columns["id"], _named(shape))
    if "tag" in shape.filters and but != "tag":
        yield is_tagged(columns, bindparam("visibility0"))
    if "search" in shape.filters and but != "search":
        if shape.engine == POSTGRESQL:
            yield may_hold(columns["signature"])
        yield exists().where(file_search.c.file_id == columns["id"], holds(file_search.c.text, shape))


def is_tagged(columns: Any, visibility: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a file of this visibility has the tag."""
    return exists().where(
        file_tags.c.tenant_id == bindparam("tenant"),
        file_tags.c.visibility == visibility,
        file_tags.c.tag == bindparam("tag"),
        file_tags.c.created_at == columns["created_at"],
        file_tags.c.file_id == columns["id"],
    )


def _named(shape: Shape) -> ColumnElement[bool]:
    """Whether a share is somebody's, by himself, his role or his groups, and lasts."""
    who = [
        and_(shares.c.type == bindparam(f"type{at}"), shares.c.principal_id == bindparam(f"name{at}"))
        for at in range(shape.named)
    ]
    lasting = or_(shares.c.expires_at.is_(None), shares.c.expires_at > bindparam("now"))
    return and_(shares.c.tenant_id == bindparam("tenant"), or_(*who), lasting)
