"""Several reaches read together: their values in one statement, and the page of what that finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from imgproxy.files.cursor import Place
from imgproxy.files.repository.prepared import Prepared, Row
from imgproxy.files.repository.reach import Reach


@dataclass(frozen=True, slots=True)
class Found:
    """The first places, and how many match as far as was looked."""

    places: list[tuple[Any, str]]
    total: int
    is_exact: bool


class Together:
    """Some reaches that are read as one, up to `wanted` places after one."""

    def __init__(
        self, connection: Connection, reaches: Sequence[Reach], after: Place | None, wanted: int
    ) -> None:
        self._connection = connection
        self._shapes = tuple(reach.shape(after) for reach in reaches)
        self._shape = self._shapes[0]
        self._after = after
        self._wanted = wanted
        self._of_each = [reach.values(after) for reach in reaches]
        self._values: dict[str, Any] = {"limit": wanted}
        for at, (reach, values) in enumerate(zip(reaches, self._of_each, strict=True)):
            self._values |= values | {f"visibility{at}": reach.visibility}
        self._values["visibility0"] = reaches[0].visibility

    def _all(self, statement: Prepared) -> Found:
        """What a statement finds that finds all that match, in no order."""
        rows = self._read(statement)
        places = page(rows, self._after, self._wanted, descending=self._shape.descending)
        return Found(places, len(rows), is_exact=True)

    def _number(self, statement: Prepared, limit: int) -> int:
        return int(self._read(statement, limit=limit)[0][0])

    def _read(self, statement: Prepared, **more: int) -> Sequence[Row]:
        return statement.all(self._connection, self._values | more)


def page(rows: Sequence[Row], after: Place | None, wanted: int, *, descending: bool) -> list[tuple[Any, str]]:
    """The first places after one, of rows in no order."""
    places: list[tuple[Any, str]] = sorted(((row[0], row[1]) for row in rows), reverse=descending)
    if after is not None:
        here = (after.value, after.id)
        places = [each for each in places if (each < here if descending else each > here)]
    return places[:wanted]
