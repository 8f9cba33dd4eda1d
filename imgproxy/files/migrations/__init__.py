"""The tables, one version after another (Alembic); run within a transaction that somebody else began.

A version may add what older programs do not know, and must leave what they read and write: while a fleet
is replaced, both run on one record.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from imgproxy.errors import Unavailable

_one_at_a_time = threading.Lock()  # Alembic keeps what it works on in its modules


def upgrade(connection: Connection) -> None:
    """Bring the tables to this version; raise `Unavailable` if a newer program has made them."""
    if current(connection) not in (None, *_known()):
        raise Unavailable("the record of files was made by a newer version of imgproxy")
    with _one_at_a_time:
        command.upgrade(_config(connection), "head")


def expect_newest(connection: Connection) -> None:
    """Raise `Unavailable` unless the tables are of this version."""
    if not is_newest(connection):
        raise Unavailable("the record of files has not the tables of this version: run `imgproxy migrate`")


def is_newest(connection: Connection) -> bool:
    """Whether the tables are of this version."""
    return current(connection) == newest()


def current(connection: Connection) -> str | None:
    """The version of the tables; None if there are none."""
    return MigrationContext.configure(connection).get_current_revision()


@cache
def newest() -> str | None:
    """The version of this program."""
    return _scripts().get_current_head()


@cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
