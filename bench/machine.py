"""On what and with what a run was measured."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pyvips

from bench import installed

_QUIET = 0.25
"""Load average for each core, of the last minute, up to which nobody else is at work."""


def describe() -> dict[str, str]:
    """Names and what they are now; words only."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": f"{cores} × {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load at the start": f"{load:.2f}" + ("" if load <= _QUIET * cores else ", so these are preliminary"),
        "Python": platform.python_version(),
        "libvips": ".".join(str(pyvips.version(part)) for part in range(3)),
        **{name: version(name) for name in ("pyvips", "aiohttp", "uvloop")},
        **_programs(),
        **installed.versions(),
    }


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    said = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return said.stdout.strip() or "not in git"


def _programs() -> dict[str, str]:
    found = {}
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    for name in ("nginx", "wrk"):
        if (binary := shutil.which(name, path=path)) is not None:
            said = subprocess.run([binary, "-v"], capture_output=True, text=True)
            number = re.search(r"\d+\.\d+(\.\d+)?", said.stdout + said.stderr)
            found[name] = number[0] if number else "of unknown version"
    return found
