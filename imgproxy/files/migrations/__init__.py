"""Migrations of the tables (Alembic), run within the caller's transaction.

A version may add columns and tables that older programs do not know, and must leave those that they read and
write: during an upgrade of several servers, both run on one database.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from imgproxy.errors import Unavailable

# Alembic is loaded when it is needed: half a second that a command without a database saves.
if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_one_at_a_time = threading.Lock()  # Alembic keeps what it works on in its modules


def upgrade(connection: Connection) -> None:
    """Bring the tables to this version; raise `Unavailable` if theirs is newer."""
    if current(connection) not in (None, *_known()):
        raise Unavailable("the database was migrated by a newer version of imgproxy")
    from alembic import command

    with _one_at_a_time:
        command.upgrade(_config(connection), "head")


def expect_newest(connection: Connection) -> None:
    """Raise `Unavailable` unless the tables are of this version."""
    if not is_newest(connection):
        raise Unavailable("the database has tables of another version: run `imgproxy migrate`")


def is_newest(connection: Connection) -> bool:
    """Return whether the tables are of this version."""
    return current(connection) == newest()


def current(connection: Connection) -> str | None:
    """Return the version of the tables; None if there are none."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


@cache
def newest() -> str | None:
    """Return the version of the tables that this program needs."""
    return _scripts().get_current_head()


@cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
