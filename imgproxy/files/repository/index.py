"""What lists find files by, beside their own columns: tags and parts of texts. Ready files only.

Any text of one character or more is found by substring, on both engines alike, by its *grams*: all its runs
of one, two and three characters, each with tenant and visibility in one number, so that a search reads nobody
else's. PostgreSQL has them as an array under GIN, SQLite as words of an FTS5 table; pg_trgm and FTS5's own
trigrams know no tenant and no text shorter than three. Grams may lie (they have no order, and numbers
may meet), so whatever they find is held against the text.

FTS5 has *facts* as well: what a file may be filtered by, so that a search with filters, or several filters,
are one question to it. Each is 128 bits of a hash, which do not meet by chance and are believed.

To look at a text takes 1 to 4 µs. So the index of each order has a *signature* of each text as well: nearly
all texts that do not hold some words are passed by without a look. On SQLite it is as long as a number.
"""

from __future__ import annotations

import hashlib
import itertools
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from imgproxy.files.model import File, FileState, TenantId, Visibility
from imgproxy.files.repository import rows
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.tables import FILTERS, ORDERS, POSTGRESQL, SIGNED, file_search, file_tags

if TYPE_CHECKING:
    from asyncpg import BitString

_LONGEST_GRAM = 3
_BITS = 21  # of a code point; three of them fit into a bigint
SEQ_BITS = 21
"""Below those of `file_search.seq` that are the time a file was made, on SQLite."""

_ADD_TAG = Prepared(insert(file_tags), writes=[each.name for each in file_tags.c])
_FORGET_TAGS = Prepared(delete(file_tags).where(file_tags.c.file_id == bindparam("id")))
_ADD_TEXT = Prepared(insert(file_search), writes=["file_id", "text", "grams"])
_FORGET_TEXT = Prepared(delete(file_search).where(file_search.c.file_id == bindparam("id")))
_ADD_GRAMS = text("INSERT INTO file_grams (rowid, grams) VALUES (:seq, :grams)")
_MOVED = Prepared(update(file_search).where(file_search.c.file_id == bindparam("id")), writes=ORDERS[1:])
_REMOVE_GRAMS = text("INSERT INTO file_grams (file_grams, rowid, grams) VALUES ('delete', :seq, :grams)")


def folded(words: str) -> str:
    """A text as it is searched: upper and lower case are one, and so are two codes of one letter."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", words).casefold())


def grams(tenant: TenantId, visibility: Visibility, words: str) -> frozenset[int]:
    """Every gram of a folded text, to be written."""
    salt = _salt(tenant, visibility)
    return frozenset(_number(run) ^ salt for run in _runs(words, range(1, _LONGEST_GRAM + 1)))


def needles(tenant: TenantId, visibility: Visibility, words: str) -> frozenset[int]:
    """The grams that a text must have to hold these folded words: the longest ones say it all."""
    salt = _salt(tenant, visibility)
    return frozenset(_number(run) ^ salt for run in _runs(words, [min(len(words), _LONGEST_GRAM)]))


def signature(words: str) -> BitString:
    """What PostgreSQL's indexes of orders have of a folded text: a bit for each gram, several to a bit."""
    return _signed(_runs(words, range(1, _LONGEST_GRAM + 1)))


def mask(words: str) -> BitString:
    """The bits that the signature of a text must have that holds these folded words."""
    return _signed(_runs(words, [min(len(words), _LONGEST_GRAM)]))


def short_signature(words: str) -> int:
    """What SQLite's have of a folded text; also the bits that it must have to hold these words."""
    return _bits(_runs(words, [_LONGEST_GRAM]), _BITS * _LONGEST_GRAM)


def fts(numbers: frozenset[int]) -> str:
    """Grams as words of FTS5."""
    return " ".join(f"{number:x}" for number in sorted(numbers))


def fact(tenant: TenantId, visibility: Visibility, name: str, value: str) -> str:
    """What FTS5 knows a file by that has a value in a column, or a tag."""
    key = _key(tenant, visibility)
    return hashlib.blake2b(f"{name}/{value}".encode(), digest_size=16, key=key).hexdigest()


def owner(type_: str, id_: str) -> str:
    """The value of the fact `owner`: to ask for his type as well takes long if nearly all are of one."""
    return f"{type_}/{id_}"


def fts_of(file: File, words: str) -> str:
    """All words of FTS5 for a ready file of this text."""
    told = (fact(file.tenant, file.visibility, name, value) for name, value in _facts(file))
    return " ".join([fts(grams(file.tenant, file.visibility, words)), *told])


def add(connection: Connection, file: File) -> None:
    """Have a new file found."""
    if file.state is FileState.READY:
        _add_tags(connection, file)
        _add_text(connection, file)


def replace(connection: Connection, before: File, after: File) -> None:
    """Have a file found as it is now, or not at all any more; what stays is not written anew."""
    if _tags(before) != _tags(after):
        _FORGET_TAGS.count(connection, {"id": before.id})
        if after.state is FileState.READY:
            _add_tags(connection, after)
    engine = connection.dialect.name
    if _found_by(before, engine) != _found_by(after, engine):
        if before.state is FileState.READY:
            _remove_text(connection, before)
        if after.state is FileState.READY:
            _add_text(connection, after)
    elif engine != POSTGRESQL and after.state is FileState.READY and _places(before) != _places(after):
        _MOVED.count(connection, _places(after) | {"id": after.id})


def _tags(file: File) -> tuple[object, ...]:
    is_found = file.state is FileState.READY and bool(file.tags)
    return (is_found, file.visibility, file.tags, *_orders(file).values()) if is_found else ()


def _orders(file: File) -> dict[str, object]:
    return {each: getattr(file, each) for each in ORDERS}


def _found_by(file: File, engine: str) -> tuple[object, ...]:
    facts = () if engine == POSTGRESQL else tuple(_facts(file))
    return (file.state is FileState.READY, file.visibility, text_of(file), facts)


def _facts(file: File) -> Iterator[tuple[str, str]]:
    """What a file may be filtered by, by name."""
    row = rows.file_row(file)
    yield from ((name, row[name]) for name in FILTERS if row[name] is not None)
    yield from (("tag", tag) for tag in dict.fromkeys(file.tags))
    yield "owner", owner(file.owner.type, file.owner.id)


def _places(file: File) -> dict[str, object]:
    """Where a file is in each order but by creation."""
    return {each: getattr(file, each) for each in ORDERS[1:]}


def text_of(file: File) -> str:
    """What a file is found by."""
    return folded("\n".join(part for part in (file.original_name, file.description, file.alt) if part))


def tag_rows(file: File) -> list[dict[str, object]]:
    """The rows of `file_tags` for a ready file."""
    same = {"tenant_id": file.tenant, "visibility": file.visibility, "file_id": file.id} | _orders(file)
    return [same | {"tag": tag} for tag in dict.fromkeys(file.tags)]


def _add_tags(connection: Connection, file: File) -> None:
    if file.tags:
        _ADD_TAG.each(connection, tag_rows(file))


def _add_text(connection: Connection, file: File) -> None:
    if connection.dialect.name == POSTGRESQL:
        words = text_of(file)
        numbers = sorted(grams(file.tenant, file.visibility, words))
        _ADD_TEXT.count(connection, {"file_id": file.id, "text": words, "grams": numbers})
        return
    found = (text_row(file, further) for further in itertools.count())
    row = next(each for each in found if rows.add(connection, file_search, each))
    connection.execute(_ADD_GRAMS, {"seq": row["seq"], "grams": fts_of(file, row["text"])})


def text_row(file: File, further: int = 0) -> dict[str, Any]:
    """The row of `file_search` for a ready file on SQLite."""
    seq = seq_of(file.created_at, file.id, further)
    return {"seq": seq, "file_id": file.id, "text": text_of(file)} | _places(file)


def seq_of(created_at: int, id_: str, further: int = 0) -> int:
    """Where a file's text lies: by time, so that FTS5 finds the newest first; the rest is by lot.

    Who finds his place taken goes further, and stays within his millisecond.
    """
    return created_at << SEQ_BITS | (zlib.crc32(id_.encode()) + further) & (1 << SEQ_BITS) - 1


def _remove_text(connection: Connection, file: File) -> None:
    if connection.dialect.name != POSTGRESQL:
        _remove_grams(connection, file)
    _FORGET_TEXT.count(connection, {"id": file.id})


def _remove_grams(connection: Connection, file: File) -> None:
    """A table without content must be told what it had (https://sqlite.org/fts5.html#the_delete_command)."""
    had = connection.execute(
        select(file_search.c.seq, file_search.c.text).where(file_search.c.file_id == file.id)
    ).one()
    connection.execute(_REMOVE_GRAMS, {"seq": had.seq, "grams": fts_of(file, had.text)})


def _key(tenant: TenantId, visibility: Visibility) -> bytes:
    return hashlib.blake2b(f"{visibility}/{tenant}".encode(), digest_size=8).digest()


def _salt(tenant: TenantId, visibility: Visibility) -> int:
    return int.from_bytes(_key(tenant, visibility), "big") >> 1  # so that a number stays a positive bigint


def _runs(words: str, lengths: Iterable[int]) -> Iterator[str]:
    return (words[at : at + length] for length in lengths for at in range(len(words) - length + 1))


def _signed(runs: Iterable[str]) -> BitString:
    from asyncpg import BitString  # which nobody needs on SQLite

    return BitString.frombytes(_bits(runs, SIGNED).to_bytes(SIGNED // 8, "big"), SIGNED)


def _bits(runs: Iterable[str], size: int) -> int:
    bits = 0
    for run in {*runs}:
        bits |= 1 << zlib.crc32(run.encode()) % size
    return bits


def _number(run: str) -> int:
    number = 0
    for character in run:
        number = number << _BITS | ord(character)
    return number
