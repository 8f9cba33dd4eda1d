"""A reach: files of one visibility that a principal may see, and the shape and values of what finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgproxy.files.cursor import Place, Sort
from imgproxy.files.model import OwnerType, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import index
from imgproxy.files.repository.ways import Shape
from imgproxy.files.tables import POSTGRESQL

_COLUMNS = {
    Sort.CREATED_AT: "created_at",
    Sort.UPDATED_AT: "updated_at",
    Sort.ORIGINAL_NAME: "original_name",
    Sort.SIZE: "size",
    Sort.MIME_TYPE: "mime_type",
}

_EQUAL = ("owner_type", "owner_id", "collection", "mime_type", "category", "tag")
"""Filters by their names in `ListQuery` and in the record."""


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

    def shape(self, after: Place | None) -> Shape:
        """What statements for it depend on."""
        return Shape(
            engine=self.engine,
            order=_COLUMNS[self.query.sort],
            descending=self.query.descending,
            after=after is not None,
            filters=frozenset([*self._equal(), *(["search"] if self.query.search else [])]),
            others=self.own is False,
            named=len(_names(self.query.principal)) if self.shared else 0,
        )

    def values(self, after: Place | None) -> dict[str, Any]:
        """What statements are given, but for limits."""
        principal = self.query.principal
        values = {"tenant": principal.tenant, "user": principal.user, "now": self.query.now}
        values |= self._equal() | {"visibility0": self.visibility}
        if after is not None:
            values |= {"value": after.value, "id": after.id}
        if self.shared:
            for at, (kind, name) in enumerate(_names(principal)):
                values |= {f"type{at}": kind, f"name{at}": name}
        return values | (self._words() if self.query.search else {})

    def _words(self) -> dict[str, Any]:
        words = index.folded(self.query.search or "")
        numbers = index.needles(self.query.principal.tenant, self.visibility, words)
        if self.engine == POSTGRESQL:
            return {"words": words, "grams": sorted(numbers), "mask": index.mask(words)}
        return {"words": words, "grams": index.fts(numbers)}

    def question(self) -> str:
        """What FTS5 is asked for it."""
        tenant, wanted = self.query.principal.tenant, self._equal()
        if {"owner_type", "owner_id"} <= wanted.keys():
            wanted["owner"] = index.owner(wanted.pop("owner_type"), wanted.pop("owner_id"))
        facts = [index.fact(tenant, self.visibility, name, value) for name, value in wanted.items()]
        return " ".join([*facts, *([self._words()["grams"]] if self.query.search else [])])

    def _equal(self) -> dict[str, str]:
        """What files must have, by column, and the tag."""
        wanted = {name: getattr(self.query, name) for name in _EQUAL}
        if self.own:
            wanted |= {"owner_type": "user", "owner_id": self.query.principal.user}
        return {name: value for name, value in wanted.items() if value is not None}

    @property
    def is_empty(self) -> bool:
        """Whether others' files are asked for among his own, or words that no text can hold."""
        if not all(map(_can_be_kept, (*self._equal().values(), self.query.search))):
            return True
        others = self.query.owner_type not in (None, "user") or self.query.owner_id not in (
            None,
            self.query.principal.user,
        )
        return others and self.own is True


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


def _names(principal: Principal) -> list[tuple[str, str]]:
    """Under which names files may be shared with somebody."""
    who = [("user", principal.user), ("role", principal.role)]
    return [each for each in (*who, *(("group", name) for name in sorted(principal.groups))) if each[1]]
