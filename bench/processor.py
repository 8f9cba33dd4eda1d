"""What a side spends of the processor for each answer: it tells where a difference comes from.

On a machine that others use too it says more than answers a second: those go up and down with the neighbours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from bench.figure import Turn

Processes = Callable[[], Iterable[int]]
"""Process ids of whatever works for a side, asked for before and after."""


def rate(
    side: Callable[[], Turn], processes: Mapping[str, Processes], spent: dict[str, list[float]]
) -> float:
    """Let a side have its turn; its answers a second. Milliseconds for each go into `spent`, by name."""
    before = {name: seconds(pids()) for name, pids in processes.items()}
    turn = side()
    for name, pids in processes.items():
        each = (seconds(pids()) - before[name]) / turn.answers
        spent.setdefault(name, []).append(each * 1000)
    return turn.rate


def seconds(pids: Iterable[int]) -> float:
    """Seconds of the processor that these processes have spent so far."""
    return sum(map(_seconds, pids))


def spent(pids: Callable[[], Iterable[int]]) -> float:
    """The same, to the microsecond, of processes that have one thread."""
    return sum(map(_nanoseconds, pids())) / 1e9


def descendants(pid: int) -> list[int]:
    """Process ids of the children of one and theirs."""
    found, waiting = [], [pid]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with suppress(OSError):  # it has ended
                children = [int(one) for one in path.read_text().split()]
                found += children
                waiting += children
    return found


def _nanoseconds(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except OSError:  # it has ended
        return 0


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
