"""Finding a file for somebody: what he may not see is not there, in whatever form he asks."""

from __future__ import annotations

from imgproxy.errors import FileNotFound
from imgproxy.files.database import Connection
from imgproxy.files.model import File, FileId, Share, Visibility
from imgproxy.files.policy import Action, owns, require
from imgproxy.files.principal import Principal
from imgproxy.files.repository.files import file_by_id, lock_file, shares_of


def find(connection: Connection, principal: Principal, action: Action, id_: FileId, *, now: int) -> File:
    """The file that somebody may do this with; raise `FileNotFound` or `AccessDenied`."""
    return _allowed(connection, principal, action, file_by_id(connection, principal.tenant, id_), now)


def find_to_change(
    connection: Connection, principal: Principal, action: Action, id_: FileId, *, now: int
) -> File:
    """The same, and nobody else changes it before this transaction ends."""
    return _allowed(connection, principal, action, lock_file(connection, principal.tenant, id_), now)


def _allowed(
    connection: Connection, principal: Principal, action: Action, file: File | None, now: int
) -> File:
    if file is None:
        raise FileNotFound("there is no such file")
    require(principal, action, file, _shares(connection, principal, file), now=now)
    return file


def _shares(connection: Connection, principal: Principal, file: File) -> tuple[Share, ...]:
    """The shares of a file if they matter to who asks."""
    if file.visibility is not Visibility.SHARED or principal.is_service or owns(principal, file):
        return ()
    return shares_of(connection, file.tenant, file.id)
