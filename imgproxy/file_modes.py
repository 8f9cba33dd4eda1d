"""Modes of files and folders: what this program creates is its user's alone."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

FILE = 0o600
FOLDER = 0o700

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_folder(path: Path) -> None:
    """Create a folder and the missing ones above it for their owner alone; one that exists keeps its mode."""
    try:
        path.mkdir(FOLDER)
    except FileNotFoundError:
        make_folder(path.parent)  # `mkdir(parents=True)` would leave these to the umask
        make_folder(path)
    except FileExistsError:
        if not path.is_dir():
            raise


def make_file(path: Path) -> None:
    """Create an empty file for its owner alone, unless it exists; it is never opened.

    To close a descriptor of a file drops every lock that this process has on it (fcntl(2)). Another process
    that closes the same SQLite file would then take itself for the last, and delete the WAL in use.
    """
    with suppress(FileExistsError):
        os.mknod(path, stat.S_IFREG | FILE)


def exposed_mode(path: Path) -> str | None:
    """Return the mode of a file or folder that other users can reach; None if it is the owner's alone.

    A file in a folder that only its owner can enter is out of reach, whatever its own mode.
    """
    try:
        mode, above = path.stat().st_mode, path.parent.stat().st_mode
    except OSError:
        return None
    if not mode & _OTHERS or (not stat.S_ISDIR(mode) and not above & _OTHERS):
        return None
    return f"{stat.S_IMODE(mode):04o}"
