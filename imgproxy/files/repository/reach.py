"""A reach: files of one visibility that a principal may see, and the statements that read them.

The shapes are such that any engine reads them as they are meant: an inner LIMIT is what keeps one from being
turned into another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from imgproxy.files.cursor import Place, Sort
from imgproxy.files.model import OwnerType, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import index
from imgproxy.files.tables import file_grams, file_search, file_tags, files, is_ready, shares

_STRETCH = 20_000  # rows followed in order before gathering is thought cheaper
_ALL = 2**31 - 1  # a limit that limits nothing

_COLUMNS = {
    Sort.CREATED_AT: "created_at",
    Sort.UPDATED_AT: "updated_at",
    Sort.ORIGINAL_NAME: "original_name",
    Sort.SIZE: "size",
    Sort.MIME_TYPE: "mime_type",
}

_EQUAL = ("owner_type", "owner_id", "collection", "mime_type", "category")
"""Filters that are columns of `files`, by their names in `ListQuery`."""

_BY_CREATION = ("owner_type", "owner_id", "owner_type owner_id", "collection", "mime_type", "category", "tag")
_IN_ORDER = {("", sort) for sort in Sort} | {(names, Sort.CREATED_AT) for names in _BY_CREATION}
"""For which filters together, and which sort, one index has it all; see `tables`."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What is asked for; filters that are None let everything pass."""

    principal: Principal
    now: int
    """Milliseconds since 1970: shares that have ended do not count."""
    visibility: Visibility | None = None
    owner_type: OwnerType | None = None
    owner_id: str | None = None
    collection: str | None = None
    mime_type: str | None = None
    category: str | None = None
    tag: str | None = None
    search: str | None = None
    """Part of the name, description or alternative text, in upper or lower case."""
    sort: Sort = Sort.CREATED_AT
    descending: bool = True
    limit: int = 20
    page: int = 1
    cursor: str | None = None
    """Where the page before ended; goes before `page`."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one principal may see of one visibility."""

    query: ListQuery
    visibility: Visibility
    engine: str
    own: bool | None = None
    """Whether only his own files are meant, or only others', or both."""
    shared: bool = False
    """Whether only what is shared with him is meant."""

    @property
    def is_in_order(self) -> bool:
        """Whether an index has what is asked for in the order that is asked for."""
        special = ["tag"] if self.query.tag is not None else []
        special += ["search"] if self.query.search else []
        special += ["shared"] if self.shared else []
        return (" ".join([*self._equal(), *special]), self.query.sort) in _IN_ORDER

    def count(self, limit: int) -> Select[Any]:
        """How many match; it stops at `limit`."""
        matching = self._matching(literal_column("1"), needs_files=False).limit(limit).subquery()
        return select(func.count()).select_from(matching)

    def in_order(self, wanted: int, after: Place | None) -> Select[Any]:
        """The first places, read off an index."""
        if self.query.tag is not None:
            value, id_ = file_tags.c.created_at, file_tags.c.file_id
            return self._ordered(self._matching(value, id_, needs_files=False), value, id_, wanted, after)
        value, id_ = files.c[_COLUMNS[self.query.sort]], files.c.id
        return self._ordered(self._matching(value, id_), value, id_, wanted, after)

    def gather(self, wanted: int, after: Place | None) -> Select[Any]:
        """The first places, by finding all that match and sorting them."""
        value = files.c[_COLUMNS[self.query.sort]]
        found = self._matching(value.label("value"), files.c.id).limit(_ALL).subquery()
        return self._ordered(select(found.c.value, found.c.id), found.c.value, found.c.id, wanted, after)

    def walk(self, wanted: int, after: Place | None) -> Select[Any]:
        """The first places, by following the order for a stretch; fewer than `wanted` may not be all."""
        sort = _COLUMNS[self.query.sort]
        needed = dict.fromkeys([sort, "id", "created_at", *_EQUAL])
        along = select(*(files.c[name] for name in needed)).where(*self._base())
        stretch = self._ordered(along, files.c[sort], files.c.id, _STRETCH, after).subquery()
        return select(stretch.c[sort], stretch.c.id).where(*self._filters(stretch.c)).limit(wanted)

    def _ordered(
        self,
        statement: Select[Any],
        value: ColumnElement[Any],
        id_: ColumnElement[Any],
        wanted: int,
        after: Place | None,
    ) -> Select[Any]:
        if after is not None:
            place, here = tuple_(value, id_), (after.value, after.id)
            statement = statement.where(place < here if self.query.descending else place > here)
        order = (value.desc(), id_.desc()) if self.query.descending else (value, id_)
        return statement.order_by(*order).limit(wanted)

    def _matching(self, *wanted: ColumnElement[Any], needs_files: bool = True) -> Select[Any]:
        """All that match, found by the filter that says most: text, tag, shares, or else columns."""
        if self.query.search:
            return self._by_text(*wanted, needs_files=needs_files)
        if self.query.tag is not None:
            return self._by_tag(*wanted, needs_files=needs_files)
        if self.shared:
            # No index by visibility here: those by id are what the shares lead to.
            same = func.coalesce(files.c.visibility, "") == self.visibility
            return select(*wanted).select_from(files).where(same, is_ready, *self._filters(files.c))
        return select(*wanted).select_from(files).where(*self._base(), *self._filters(files.c))

    def _by_tag(self, *wanted: ColumnElement[Any], needs_files: bool) -> Select[Any]:
        tagged = [
            file_tags.c.tenant_id == self.query.principal.tenant,
            file_tags.c.visibility == self.visibility,
            file_tags.c.tag == self.query.tag,
        ]
        filters = list(self._filters(files.c, but="tag"))
        source: FromClause = file_tags
        if needs_files or filters:
            source = file_tags.join(files, files.c.id == file_tags.c.file_id)
        return select(*wanted).select_from(source).where(*tagged, *filters)

    def _by_text(self, *wanted: ColumnElement[Any], needs_files: bool) -> Select[Any]:
        words = index.folded(self.query.search or "")
        numbers = index.needles(self.query.principal.tenant, self.visibility, words)
        source: FromClause = file_search
        if self.engine == "postgresql":
            grams = type_coerce(file_search.c.grams, ARRAY(BigInteger))
            candidate: ColumnElement[bool] = grams.contains(sorted(numbers))
        else:
            source = file_grams.join(file_search, file_search.c.seq == file_grams.c.rowid)
            candidate = literal_column("file_grams").op("MATCH")(index.fts(numbers))
        filters = list(self._filters(files.c, but="search"))
        if needs_files or filters:
            source = source.join(files, files.c.id == file_search.c.file_id)
        holds = file_search.c.text.contains(words, autoescape=True)
        return select(*wanted).select_from(source).where(candidate, holds, *filters)

    def _base(self) -> tuple[ColumnElement[bool], ...]:
        tenant = files.c.tenant_id == self.query.principal.tenant
        return tenant, files.c.visibility == self.visibility, is_ready

    def _equal(self) -> dict[str, str]:
        """Columns of `files` and the values they must have."""
        wanted = {name: getattr(self.query, name) for name in _EQUAL}
        if self.own:
            wanted |= {"owner_type": "user", "owner_id": self.query.principal.user}
        return {name: value for name, value in wanted.items() if value is not None}

    @property
    def is_empty(self) -> bool:
        """Whether others' files are asked for among his own, or words that no text can hold."""
        if not all(map(_can_be_kept, (*self._equal().values(), self.query.tag, self.query.search))):
            return True
        others = self.query.owner_type not in (None, "user") or self.query.owner_id not in (
            None,
            self.query.principal.user,
        )
        return others and self.own is True

    def _filters(
        self, columns: ReadOnlyColumnCollection[str, Any], *, but: str = ""
    ) -> Iterator[ColumnElement[bool]]:
        """What must hold of a file of the base; `but` for the filter by which it was found."""
        for name, value in self._equal().items():
            yield columns[name] == value
        if self.own is False:
            user = self.query.principal.user
            yield or_(columns["owner_type"] != "user", columns["owner_id"] != user)
        if self.shared:
            yield columns["id"].in_(_shared_with(self.query.principal, self.query.now))
        if self.query.tag is not None and but != "tag":
            yield self._is_tagged(columns)
        if self.query.search and but != "search":
            yield self._holds(columns)

    def _is_tagged(self, columns: ReadOnlyColumnCollection[str, Any]) -> ColumnElement[bool]:
        return exists().where(
            file_tags.c.tenant_id == self.query.principal.tenant,
            file_tags.c.visibility == self.visibility,
            file_tags.c.tag == self.query.tag,
            file_tags.c.created_at == columns["created_at"],
            file_tags.c.file_id == columns["id"],
        )

    def _holds(self, columns: ReadOnlyColumnCollection[str, Any]) -> ColumnElement[bool]:
        words = index.folded(self.query.search or "")
        return exists().where(
            file_search.c.file_id == columns["id"],
            file_search.c.text.contains(words, autoescape=True),
        )


def reaches(query: ListQuery, *, on: str) -> list[Reach]:
    """What the principal of a query may see, each file in one reach; `on` is the engine's name."""
    found = [Reach(query, **reach, engine=on) for reach in _of(query.principal)]
    return [each for each in found if query.visibility in (None, each.visibility) and not each.is_empty]


def _of(principal: Principal) -> list[dict[str, Any]]:
    match principal.kind:
        case Kind.SERVICE:
            return [{"visibility": each} for each in Visibility]
        case Kind.USER if principal.user:
            return [
                {"visibility": Visibility.PUBLIC},
                {"visibility": Visibility.PROTECTED},
                {"visibility": Visibility.PRIVATE, "own": True},
                {"visibility": Visibility.SHARED, "own": True},
                {"visibility": Visibility.SHARED, "own": False, "shared": True},
            ]
        case Kind.USER:
            return [{"visibility": Visibility.PUBLIC}, {"visibility": Visibility.PROTECTED}]
        case Kind.ANONYMOUS:
            return [{"visibility": Visibility.PUBLIC}]


def _can_be_kept(words: str | None) -> bool:
    """Whether a text can be in the record: PostgreSQL holds no NUL, nobody holds half a surrogate pair."""
    return not words or not ("\0" in words or any("\ud800" <= each <= "\udfff" for each in words))


def _shared_with(principal: Principal, now: int) -> Select[Any]:
    """The ids of what is shared with somebody, by himself, his role or his groups."""
    who = [
        ("user", principal.user),
        ("role", principal.role),
        *(("group", each) for each in principal.groups),
    ]
    named = tuple_(shares.c.type, shares.c.principal_id).in_([each for each in who if each[1]])
    lasting = or_(shares.c.expires_at.is_(None), shares.c.expires_at > now)
    return select(shares.c.file_id).where(shares.c.tenant_id == principal.tenant, named, lasting)
