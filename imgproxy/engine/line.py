"""Fair queue of jobs: clients take turns, and within a client jobs go in order of arrival.

In a round each client is called up once. A client that was called up waits for the next round with its other
jobs, so a newcomer stands behind one job of each other client at most. A job that several clients wait for
stands in the line of each and goes at the first turn that comes.

All is in ordered dictionaries: the first key of a plain one is found in a time that grows with the number of
keys that were deleted before it (10,000 clients: 26 µs a turn, and 2 µs so).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

Place = TypeVar("Place")

_ROUND = 1_024
"""Turns of a round at most: newcomers without end may not keep others from their second turn."""


class Line(Generic[Place]):
    """Places in line, each of one client or more."""

    def __init__(self) -> None:
        self._clients: dict[Place, list[str]] = {}
        self._places: dict[str, OrderedDict[Place, None]] = {}
        self._now: OrderedDict[str, None] = OrderedDict()
        """Clients with places whose turn in this round is to come, in order."""
        self._next: OrderedDict[str, None] = OrderedDict()
        """Clients with places that have had their turn."""
        self._served: set[str] = set()
        """Clients that have had their turn in this round, with places or without."""

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, place: Place) -> bool:
        return place in self._clients

    def add(self, place: Place, clients: Iterable[str]) -> None:
        """Put a place at the end of the line of each of its clients."""
        self._clients[place] = []
        for client in clients:
            self.join(place, client)

    def add_first(self, place: Place, client: str) -> None:
        """Put a place before all others."""
        self._clients[place] = [client]
        places = self._places.setdefault(client, OrderedDict())
        places[place] = None
        places.move_to_end(place, last=False)
        self._next.pop(client, None)
        self._now[client] = None
        self._now.move_to_end(client, last=False)

    def join(self, place: Place, client: str) -> None:
        """Let a place that waits be called up in this client's turn as well."""
        if place not in self._clients or client in self._clients[place]:
            return
        self._clients[place].append(client)
        self._places.setdefault(client, OrderedDict())[place] = None
        if client not in self._now and client not in self._next:
            (self._next if client in self._served else self._now)[client] = None

    def remove(self, place: Place) -> None:
        """Take a place out of the line, wherever it stands."""
        for client in self._clients.pop(place):
            places = self._places[client]
            del places[place]
            if not places:
                del self._places[client]
                self._now.pop(client, None)
                self._next.pop(client, None)

    @property
    def first(self) -> Place:
        """The place whose turn it is."""
        if not self._now:
            self._begin_round()
        return next(iter(self._places[next(iter(self._now))]))

    def call_up(self) -> Place:
        """Take out the place whose turn it is."""
        place = self.first
        self.serve(next(iter(self._now)))
        self.remove(place)
        return place

    def serve(self, client: str) -> None:
        """Count a turn of a client, also of one that did not have to wait."""
        if client in self._served or len(self._served) >= _ROUND:
            self._begin_round()
        self._served.add(client)
        if client in self._now:
            del self._now[client]
            self._next[client] = None

    def give_way(self, client: str) -> Place | None:
        """Return a place to give up for a job of `client`; None if no client has two places more.

        It is the last of the client with the most, if possible one that nobody else waits for.
        """
        most = max(self._places.values(), key=len, default=OrderedDict[Place, None]())
        if len(most) <= len(self._places.get(client, ())) + 1:
            return None
        own = (place for place in reversed(most) if len(self._clients[place]) == 1)
        return next(own, next(reversed(most)))

    def _begin_round(self) -> None:
        self._now.update(self._next)
        self._next.clear()
        self._served.clear()
