"""Causes of PostgreSQL's failures: what an operator reads, and whether to run the work again.

Texts name users, databases and hosts, as the server's own messages do, and never a password or a value.
"""

from __future__ import annotations

import socket
import ssl

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from imgproxy.files.database import POOL_SECONDS, STATEMENT_SECONDS, DatabaseFault

RAISED = (
    PoolTimeout,
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that ended while it was idle, before asyncpg knows
    OSError,
)
"""Errors of SQLAlchemy's pool and of asyncpg, by itself or through SQLAlchemy."""

_SERIALIZATION = {"40001", "40P01"}
# Classes of SQLSTATE: connection, state, resources, locks, operator.
_UNAVAILABLE = ("08", "25", "53", "55", "57")
_BROKEN = ("08", "57P")  # the connection has ended, or will in a moment
_MISCONFIGURED = ("28", "3D", "42")  # to connect again changes nothing
_NAMES = {
    "28P01": "wrong password",
    "28000": "login refused",
    "3D000": "unknown database",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "42501": "missing privilege",
    "53300": "too many connections",
    "55P03": "lock timeout",
    "57014": f"statement timeout: over {STATEMENT_SECONDS:.0f} s",
    "57P03": "server not ready",
}


class PostgresFault(DatabaseFault):
    """Cause of a failure; `message` is for clients, `retry` says to run the work again."""

    def __init__(self, text: str, *, message: str = "the database cannot be reached", retry: bool) -> None:
        super().__init__(text)
        self.message = message
        self.retry = retry


def connect_fault(error: Exception) -> PostgresFault:
    """Return the fault of work that got no connection."""
    if isinstance(error, PoolTimeout):
        text = f"pool exhausted: no connection was free for {POOL_SECONDS:.0f} s"
        return PostgresFault(text, message="the database is busy", retry=False)
    cause = _driver_error(error)
    text = _text(cause)
    is_final = _state(cause).startswith(_MISCONFIGURED) or text.startswith(("unknown host", "TLS refused"))
    return PostgresFault(text, retry=not is_final)


def work_fault(error: Exception, *, committing: bool) -> PostgresFault | None:
    """Return the fault of work that failed; None if the work's own statement or value is to blame.

    If the connection broke while `committing`, the outcome is unknown, and running again could write twice.
    """
    cause = _driver_error(error)
    state = _state(cause)
    if is_broken(error):
        return PostgresFault(f"connection lost: {_text(cause)}", retry=not committing)
    if state in _SERIALIZATION:
        return PostgresFault(_text(cause), retry=True)
    if state.startswith(_UNAVAILABLE):
        return PostgresFault(_text(cause), retry=False)
    return None


def is_broken(error: Exception) -> bool:
    """Return whether the connection is of no further use."""
    state = _state(_driver_error(error))
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or state.startswith(_BROKEN)
    return not state or state.startswith(_BROKEN)


def _driver_error(error: Exception) -> BaseException:
    """Return asyncpg's error: SQLAlchemy's text has the statement and its values."""
    orig = error.orig if isinstance(error, DBAPIError) else error
    return (orig.__cause__ if isinstance(error, DBAPIError) and orig else orig) or error


def _state(cause: BaseException) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _text(cause: BaseException) -> str:
    match cause:
        case socket.gaierror():
            return f"unknown host: {cause.strerror}"
        case ssl.SSLError():
            return f"TLS refused: {cause.reason or cause}"
        case TimeoutError():
            return "no response in time"
        case ConnectionRefusedError():
            return "connection refused: no server listens there"
        case ConnectionError() if "SSL" in str(cause):
            return "TLS refused: the server offers none"
    name = _NAMES.get(_state(cause))
    return f"{name}: {cause}" if name else str(cause) or type(cause).__name__
