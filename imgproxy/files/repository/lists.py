"""Lists of files: one page of what a principal may see, filtered, searched and sorted.

A list is the union of its *branches*, one index range each: per visibility scope of the principal, the ready
files with one value. Each branch has its own ORDER BY and LIMIT, or PostgreSQL would sort all of them; rows
are then read by `seq`. A list follows its order when an index has it with the filter. Otherwise:

    filters     If one of them finds few files, these are compared and sorted; else the order is followed and
                every file compared.
    search      The same if few files are left to compare. Else FTS5 on SQLite; on PostgreSQL the first files
                of the order are compared, then GIN.

Limits: filters that are all common and rarely meet read every file that has one of them, and a deep page by
number reads all before it. After half a second a list ends as `ListTooBroad`.
"""

# ruff: noqa: S608  statements are made of constants; values are parameters

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, TextClause, select, text
from sqlalchemy.exc import DBAPIError

from imgproxy.errors import InvalidRequest, ListTooBroad
from imgproxy.files.cursor import Place, Sort, decode, encode
from imgproxy.files.fields import file_of_row
from imgproxy.files.model import File, OwnerType, Visibility
from imgproxy.files.policy import ListScope, list_scopes
from imgproxy.files.principal import Principal
from imgproxy.files.repository.search_columns import SEARCH_LENGTH, folded, tenant_code
from imgproxy.files.storable import is_storable
from imgproxy.files.tables import POSTGRESQL, facts, files

MAX_OFFSET: Final = 10_000
"""Files before the last page that has a number."""
MAX_TOTAL: Final = 1_000
_DEADLINE_SECONDS = 0.5
_FEW = 5_000  # files to compare: 10 to 20 ms
_FEW_TO_SORT = 20_000  # on SQLite, where they are compared in 40 ms
# Files of an order that PostgreSQL compares before it reads GIN; more where GIN must filter or sort.
_STRETCH = 8_000
_LONG_STRETCH = 20_000
_STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock

_ORDER = {
    Sort.CREATED_AT: "seq",
    Sort.UPDATED_AT: "updated_at",
    Sort.ORIGINAL_NAME: "original_name",
    Sort.SIZE: "size",
    Sort.MIME_TYPE: "mime_type",
}
_INDEXED = ("owner_id", "tag", "collection", "category", "mime_type")
_FILTERS = (*_INDEXED, "owner_type")
# Statements are prepared, and a plan made for a rare value is wrong for a common one.
_SESSION = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), "
    "set_config('statement_timeout', :milliseconds, true)"
)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Parameters of a list; a filter that is None lets every file pass."""

    principal: Principal
    now: int
    """Milliseconds since 1970, for shares that expire."""
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
    """Place at which the page before ended; `page` is ignored then."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list."""

    items: tuple[File, ...] = ()
    total: int | None = 0
    """At most `MAX_TOTAL` where files were counted; else those up to this page, or None after a cursor."""
    total_is_exact: bool = True
    """If not, there may be more than `total`."""
    has_next: bool = False
    next_cursor: str | None = None


def list_files(connection: Connection, query: ListQuery) -> ListPage:
    """Read one page.

    Raise `InvalidRequest` for a page too far or a cursor of another list, `ListTooBroad` for a search of too
    few characters or a list that takes too long.
    """
    after, offset = _start(query)
    filters = {name: value for name in _FILTERS if (value := getattr(query, name)) is not None}
    search = folded(query.search) if query.search else None
    if not all(map(is_storable, (*filters.values(), search or ""))):
        return ListPage()  # no row can hold it
    if search is not None and len(search) < SEARCH_LENGTH:
        raise ListTooBroad(f"search: must have at least {SEARCH_LENGTH} characters, got {search!r}")
    with _deadline(connection):
        return _List(connection, query, filters, search, after, offset).page()


def _start(query: ListQuery) -> tuple[Place | None, int]:
    """Return the place after which the page begins, and the number of files to skip from there."""
    if query.cursor is not None:
        return decode(query.cursor, sort=query.sort, descending=query.descending), 0
    offset = (query.page - 1) * query.limit
    if offset >= MAX_OFFSET:
        raise InvalidRequest(f"page: must be within the first {MAX_OFFSET} files; go on with nextCursor")
    return None, offset


@contextmanager
def _deadline(connection: Connection) -> Iterator[None]:
    """Stop statements after `_DEADLINE_SECONDS` and raise `ListTooBroad`."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == POSTGRESQL:
        connection.execute(_SESSION, {"milliseconds": f"{_DEADLINE_SECONDS * 1000:.0f}"})
    else:
        until = time.monotonic() + _DEADLINE_SECONDS
        driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    except DBAPIError as error:
        canceled = getattr(error.orig, "sqlstate", None) == "57014" or str(error.orig) == "interrupted"
        if not canceled:
            raise
        raise ListTooBroad(
            "the list takes too long: filter by fewer fields or by a rarer value, search for a rarer or "
            "longer text, or sort by createdAt"
        ) from error
    finally:
        if connection.dialect.name != POSTGRESQL:
            driver.set_progress_handler(None, 0)


@dataclass(frozen=True, slots=True)
class _Branch:
    """One index range: rows of one visibility that one filter finds."""

    source: str
    where: str
    by: str
    seq: str = "files.seq"


class _List:
    """The statements of one list."""

    def __init__(
        self,
        connection: Connection,
        query: ListQuery,
        filters: dict[str, Any],
        search: str | None,
        after: Place | None,
        offset: int,
    ) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name != POSTGRESQL
        self._query = query
        self._filters = filters
        self._search = search
        self._after = after
        self._offset = offset
        self._order = _ORDER[query.sort]
        self._direction = "DESC" if query.descending else "ASC"
        scopes = list_scopes(query.principal)
        self._scopes = [each for each in scopes if query.visibility in (None, each.visibility)]
        self._named = next((each.shared_with for each in self._scopes if each.shared_with), ())
        self._values = self._all_values()
        self._indexed = [name for name in _INDEXED if name in filters]
        others = filters.keys() - {"owner_type"} if "owner_id" in filters else filters.keys()
        self._is_single = search is None and len(others) < 2

    def page(self) -> ListPage:
        """Return the page."""
        if not self._scopes:
            return ListPage()
        few = self._few()
        found = self._places(few)
        shown = found[: self._query.limit]
        has_next = len(found) > len(shown)
        last = Place(*shown[-1]) if has_next else None
        total, is_exact = self._total(len(found), few)
        return ListPage(
            items=self._files([seq for _, seq in shown]),
            total=total,
            total_is_exact=is_exact,
            has_next=has_next,
            next_cursor=encode(last, sort=self._query.sort, descending=self._query.descending)
            if last
            else None,
        )

    def _places(self, few: str | None) -> list[tuple[Any, int]]:
        """Return value and `seq` of the page's files, and of one more if there is one."""
        newest_first = self._order == "seq"
        if few is not None:
            return self._read(self._merged(few, fenced=not newest_first))
        by = self._indexed[0] if self._indexed and newest_first else self._order
        if self._search is None:
            return self._read(self._merged(by))
        if self._is_sqlite:
            by_text = newest_first or self._has_few_matches()
            return self._read(self._by_fts5() if by_text else self._merged(by))
        found = self._read(self._by_stretch(by))
        return found if len(found) > self._query.limit else self._read(self._by_gin())

    def _few(self) -> str | None:
        """Return the column by which few files are found, all of which are then compared.

        Return None if an index has the list in order, or if none finds few. `seq` finds all files.
        """
        if self._is_single and (self._order == "seq" or not self._filters):
            return None
        names = self._indexed or (["seq"] if self._search else [])
        most = _FEW if self._search or not self._is_sqlite else _FEW_TO_SORT
        return next((name for name in names if self._count(self._ranges(name), most) <= most), None)

    def _total(self, found: int, few: str | None) -> tuple[int | None, bool]:
        """Return the number of matches, and whether it is exact."""
        if few is not None or self._is_single:
            by = few or (self._indexed or ["seq"])[0]
            counted = self._count([*self._branches(by)], MAX_TOTAL, compared=True)
            return min(counted, MAX_TOTAL), counted <= MAX_TOTAL
        if self._query.cursor is not None:
            return None, False
        is_last = found <= self._query.limit and (found > 0 or not self._offset)
        return self._offset + found if found else 0, is_last

    def _all_values(self) -> dict[str, Any]:
        query = self._query
        values = self._filters | {"tenant": query.principal.tenant, "user": query.principal.user}
        code, words = tenant_code(query.principal.tenant), (self._search or "").replace('"', '""')
        is_plain = self._order == "seq" and not self._filters and query.visibility is None
        stretch = _STRETCH if is_plain else _LONG_STRETCH
        values |= {"now": query.now, "code": code, "words": self._search, "stretch": stretch}
        values |= {"match": f'tenant_code : "{code}" AND search : "{words}"'}
        for at, (kind, name) in enumerate(self._named):
            values |= {f"kind{at}": kind, f"name{at}": name}
        if self._after is not None:
            values |= {"value": self._after.value, "seq": self._after.seq}
        wanted = query.limit + 1
        return values | {"wanted": wanted, "skipped": self._offset, "furthest": wanted + self._offset}

    def _ranges(self, by: str) -> list[_Branch]:
        """Return the branches of the scopes that hold all of a visibility."""
        return [self._range(by, each) for each in self._scopes if each.is_whole]

    def _branches(self, by: str) -> Iterator[_Branch]:
        """Generate the branches of all scopes; a user's own files and shares have indexes of their own."""
        for scope in self._scopes:
            if scope.shared_with:
                yield self._shared()
            elif scope.owner is not None:
                own = self._from_files("owner_id", scope)
                yield replace(own, where=f"{own.where} AND {_OWN}", by="")
            else:
                yield self._range(by, scope)

    def _range(self, by: str, scope: ListScope) -> _Branch:
        if by == "tag":
            of_scope = f"file_tags.visibility = '{scope.visibility}' AND files.seq = file_tags.seq"
            return _Branch("file_tags CROSS JOIN files", f"{_TAGGED} AND {of_scope}", by, "file_tags.seq")
        found = self._from_files(by, scope)
        return replace(found, where=f"{found.where} AND files.{by} = :{by}") if by in self._filters else found

    def _from_files(self, by: str, scope: ListScope) -> _Branch:
        hint = f" INDEXED BY files_by_{by}" if self._is_sqlite else ""
        where = f"files.tenant_id = :tenant AND files.visibility = '{scope.visibility}' AND {_READY}"
        return _Branch(f"files{hint}", where, by)

    def _shared(self) -> _Branch:
        """Return the branch of files that are shared with the principal, perhaps by several names."""
        shared = f"SELECT DISTINCT shares.seq FROM {self._names()} CROSS JOIN shares WHERE {_NAMED}"
        where = f"files.seq = shared.seq AND files.visibility = 'shared' AND {_READY}"
        return _Branch(f"({shared}) AS shared CROSS JOIN files", where, "", "shared.seq")

    def _names(self) -> str:
        listed = ", ".join(f"(:kind{at}, :name{at})" for at in range(len(self._named)))
        return f"(VALUES {listed}) AS names"

    def _compared(self, by: str = "") -> str:
        """Return the conditions of the search and of every filter but the one whose range is read."""
        names = [name for name in self._filters if name != by]
        found = "".join(f" AND {_HAS_TAG if name == 'tag' else f'files.{name} = :{name}'}" for name in names)
        find = "instr" if self._is_sqlite else "strpos"  # LIKE has wildcards
        return found + (f" AND {find}(files.search, :words) > 0" if self._search else "")

    def _merged(self, by: str, *, fenced: bool = False) -> str:
        """Return the merged branches; `fenced` keeps PostgreSQL from following the order."""
        parts = [
            self._ordered(each, self._compared(each.by), "furthest", fenced) for each in self._branches(by)
        ]
        return self._sorted(f"({self._united(parts)}) AS merged", "v", "seq", "wanted") + " OFFSET :skipped"

    def _ordered(self, branch: _Branch, compared: str, limit: str, fenced: bool = False) -> str:
        v = branch.seq if self._order == "seq" else f"files.{self._order}"
        where = branch.where + compared + self._beyond(v, branch.seq)
        if fenced and not self._is_sqlite:
            inner = f"SELECT {v} AS v, {branch.seq} AS seq FROM {branch.source} WHERE {where} OFFSET 0"
            return self._sorted(f"({inner}) AS fenced", "v", "seq", limit)
        return self._sorted(f"{branch.source} WHERE {where}", v, branch.seq, limit)

    def _sorted(self, source: str, v: str, seq: str, limit: str) -> str:
        order = f"{v} {self._direction}" + ("" if v == seq else f", {seq} {self._direction}")
        return f"SELECT {v} AS v, {seq} AS seq FROM {source} ORDER BY {order} LIMIT :{limit}"

    def _beyond(self, v: str, seq: str) -> str:
        """Return the condition of what comes after the cursor."""
        if self._after is None:
            return ""
        sign = "<" if self._query.descending else ">"
        return f" AND {seq} {sign} :seq" if v == seq else f" AND ({v}, {seq}) {sign} (:value, :seq)"

    def _united(self, parts: list[str]) -> str:
        """Return rows of all parts; without those that scopes which overlap have twice."""
        union = " UNION ALL " if all(each.is_whole for each in self._scopes) else " UNION "
        return union.join(f"SELECT * FROM ({part}) AS part{at}" for at, part in enumerate(parts))

    def _count(self, branches: list[_Branch], most: int, *, compared: bool = False) -> int:
        """Count the files of some branches, up to one more than `most`."""
        parts = [
            f"SELECT {each.seq} AS seq FROM {each.source} WHERE {each.where}"
            f"{self._compared(each.by) if compared else ''} LIMIT :most"
            for each in branches
        ]
        counted = (
            f"SELECT count(*) FROM (SELECT * FROM ({self._united(parts)}) AS parts LIMIT :most) AS counted"
        )
        return self._number(counted, most) if parts else 0

    def _number(self, statement: str, most: int) -> int:
        values = self._values | {"most": most + 1}
        return int(self._connection.execute(_prepared(statement), values).scalar_one())

    def _by_fts5(self) -> str:
        v = "files_fts.rowid" if self._order == "seq" else f"files.{self._order}"
        where = f"files_fts MATCH :match AND files.seq = files_fts.rowid AND {self._visible()}"
        where += self._compared() + self._beyond(v, "files_fts.rowid")
        source = f"files_fts CROSS JOIN files WHERE {where}"
        return self._sorted(source, v, "files_fts.rowid", "wanted") + " OFFSET :skipped"

    def _has_few_matches(self) -> bool:
        counted = "SELECT count(*) FROM (SELECT 1 FROM files_fts WHERE files_fts MATCH :match LIMIT :most)"
        return self._number(counted, _FEW_TO_SORT) <= _FEW_TO_SORT

    def _by_stretch(self, by: str) -> str:
        """Compare the first files of the merged order; of each branch's would give wrong pages."""
        parts = self._united([self._ordered(each, "", "stretch") for each in self._branches(by)])
        stretch = self._sorted(f"({parts}) AS merged", "v", "seq", "stretch")
        source = f"({stretch}) AS stretch CROSS JOIN files WHERE files.seq = stretch.seq{self._compared()}"
        return self._sorted(source, "stretch.v", "stretch.seq", "wanted") + " OFFSET :skipped"

    def _by_gin(self) -> str:
        """Read all candidates first: the planner does not know how many there are."""
        wanted = "trigrams(files.tenant_code, files.search) @> trigrams(:code, :words)"
        candidates = f"SELECT * FROM files WHERE {wanted} AND {_READY} OFFSET 0"
        v = f"files.{self._order}"
        where = self._visible() + self._compared() + self._beyond(v, "files.seq")
        source = f"({candidates}) AS files WHERE {where}"
        return self._sorted(source, v, "files.seq", "wanted") + " OFFSET :skipped"

    def _visible(self) -> str:
        """Return the condition of all scopes together."""
        return f"files.tenant_id = :tenant AND ({' OR '.join(map(self._in_scope, self._scopes))})"

    def _in_scope(self, scope: ListScope) -> str:
        visible = f"files.visibility = '{scope.visibility}'"
        if scope.owner is not None:
            return f"({visible} AND {_OWN})"
        if scope.shared_with:
            named = (
                f"SELECT 1 FROM {self._names()} CROSS JOIN shares WHERE {_NAMED} AND shares.seq = files.seq"
            )
            return f"({visible} AND EXISTS ({named}))"
        return visible

    def _read(self, statement: str) -> list[tuple[Any, int]]:
        return [(v, seq) for v, seq in self._connection.execute(_prepared(statement), self._values)]

    def _files(self, seqs: list[int]) -> tuple[File, ...]:
        """Return the files of these numbers, in this order."""
        found = self._connection.execute(select(files.c.seq, *facts).where(files.c.seq.in_(seqs)))
        by_seq = {row[0]: file_of_row(row[1:]) for row in found}
        return tuple(by_seq[seq] for seq in seqs)


_READY = "files.state = 'ready'"
_OWN = "files.owner_id = :user AND files.owner_type = 'user'"
_TAGGED = "file_tags.tenant_id = :tenant AND file_tags.tag = :tag"
_HAS_TAG = (
    f"EXISTS (SELECT 1 FROM file_tags WHERE {_TAGGED} "
    "AND file_tags.visibility = files.visibility AND file_tags.seq = files.seq)"
)
_NAMED = (
    "shares.tenant_id = :tenant AND shares.type = names.column1 AND shares.principal_id = names.column2 "
    "AND (shares.expires_at IS NULL OR shares.expires_at > :now)"
)


@lru_cache(maxsize=1024)
def _prepared(statement: str) -> TextClause:
    """Return a statement that is parsed for its parameters once for each shape of list."""
    return text(statement)
