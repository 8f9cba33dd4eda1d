"""How many pictures each client may wait for at once: one that asks for thousands leaves room for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from imgproxy.errors import RateLimited


class ClientConcurrency:
    """Counts who waits for how many."""

    def __init__(self, most: int = 0) -> None:
        """0 is any number."""
        self._most = most
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def slot(self, client: str) -> Iterator[None]:
        """Count a picture while it is waited for; raise `RateLimited` if it is one too many."""
        if not self._most:
            yield
            return
        if self._waiting[client] >= self._most:
            raise RateLimited(f"{self._most} pictures at once are made for one client: wait for one of them")
        self._waiting[client] += 1
        try:
            yield
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]
