"""Clients that wait for one result: their turns count when workers are shared out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

BACKGROUND = ""
"""Stands for a client where none waits."""


class Waiters:
    """Clients that wait for one result, by name; none for work in the background. Others may join them."""

    def __init__(self, *names: str) -> None:
        self._names = dict.fromkeys(names)
        self._joined: Callable[[str], None] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that wait, in the order in which they came."""
        return tuple(self._names)

    @property
    def turns(self) -> tuple[str, ...]:
        """Whose turns count: those of all that wait, or that of the background."""
        return self.names or (BACKGROUND,)

    def join(self, others: Waiters) -> None:
        """Have others wait for the same result."""
        for name in others.names:
            if name not in self._names:
                self._names[name] = None
                if self._joined is not None:
                    self._joined(name)

    @contextmanager
    def reported_to(self, joined: Callable[[str], None]) -> Iterator[None]:
        """Call `joined` with the name of each client that joins within this context."""
        self._joined = joined
        try:
            yield
        finally:
            self._joined = None
