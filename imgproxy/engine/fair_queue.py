"""Fair queue: clients take turns, and a client's items leave in order of arrival.

Each client has one turn a round. After its turn, a client's other items wait for the next round, so a new
client waits for at most one item of each other client. An item that several clients wait for leaves at the
first turn of any of them.

Ordered dictionaries, because finding the first key of a plain one takes longer with every key deleted before
it (10,000 clients: 26 µs a turn instead of 2 µs).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

_ROUND = 1_024
"""Turns of a round at most: newcomers without end may not keep others from their second turn."""


class FairQueue(Generic[Item]):
    """Places in queue, each of one client or more."""

    def __init__(self) -> None:
        self._clients: dict[Item, list[str]] = {}
        self._items: dict[str, OrderedDict[Item, None]] = {}
        self._now: OrderedDict[str, None] = OrderedDict()
        """Clients with items whose turn in this round is to come, in order."""
        self._next: OrderedDict[str, None] = OrderedDict()
        """Clients with items that have had their turn."""
        self._served: set[str] = set()
        """Clients that have had their turn in this round, with items or without."""

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, item: Item) -> bool:
        return item in self._clients

    def add(self, item: Item, clients: Iterable[str]) -> None:
        """Put a item at the end of the queue of each of its clients."""
        self._clients[item] = []
        for client in clients:
            self.join(item, client)

    def add_first(self, item: Item, client: str) -> None:
        """Put a item before all others."""
        self._clients[item] = [client]
        items = self._items.setdefault(client, OrderedDict())
        items[item] = None
        items.move_to_end(item, last=False)
        self._next.pop(client, None)
        self._now[client] = None
        self._now.move_to_end(client, last=False)

    def join(self, item: Item, client: str) -> None:
        """Let a item that waits be called up in this client's turn as well."""
        if item not in self._clients or client in self._clients[item]:
            return
        self._clients[item].append(client)
        self._items.setdefault(client, OrderedDict())[item] = None
        if client not in self._now and client not in self._next:
            (self._next if client in self._served else self._now)[client] = None

    def remove(self, item: Item) -> None:
        """Take a item out of the queue, wherever it stands."""
        for client in self._clients.pop(item):
            items = self._items[client]
            del items[item]
            if not items:
                del self._items[client]
                self._now.pop(client, None)
                self._next.pop(client, None)

    @property
    def first(self) -> Item:
        """The item whose turn it is."""
        if not self._now:
            self._begin_round()
        return next(iter(self._items[next(iter(self._now))]))

    def pop(self) -> Item:
        """Take out the item whose turn it is."""
        item = self.first
        self.count_turn(next(iter(self._now)))
        self.remove(item)
        return item

    def count_turn(self, client: str) -> None:
        """Count a turn of a client, also of one that did not have to wait."""
        if client in self._served or len(self._served) >= _ROUND:
            self._begin_round()
        self._served.add(client)
        if client in self._now:
            del self._now[client]
            self._next[client] = None

    def evictable(self, client: str) -> Item | None:
        """Return a item to give up for a job of `client`; None if no client has two items more.

        It is the last of the client with the most, if possible one that no other client waits for.
        """
        most = max(self._items.values(), key=len, default=OrderedDict[Item, None]())
        if len(most) <= len(self._items.get(client, ())) + 1:
            return None
        own = (item for item in reversed(most) if len(self._clients[item]) == 1)
        return next(own, next(reversed(most)))

    def _begin_round(self) -> None:
        self._now.update(self._next)
        self._next.clear()
        self._served.clear()
