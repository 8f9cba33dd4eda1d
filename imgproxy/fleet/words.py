"""What an edge and its parent say to each other, and what an edge asks of a fleet, however large that is.

An edge asks `Join` before it listens, tells by `Listening` that it does, and then asks `Run`, `Await`,
`Spread` and `CheckWorkers`. The parent tells every edge a `Notice`, asks for `Measure` and now and then for
its `Pulse`, and says `Drain` at the end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from imgproxy.clients import Waiters
from imgproxy.engine.pool import Result
from imgproxy.engine.worker_protocol import Job
from imgproxy.image.source import Key

Kind = Literal["purge", "record"]
"""What happens to keys: all that is known of one is to be forgotten; the record of a file has changed."""


@dataclass(frozen=True, slots=True)
class Run:
    """Make a picture; the original's descriptor goes along, if there is one, then the overlays'."""

    job: Job
    original: bool
    clients: tuple[str, ...] = ()
    """Those that wait for it."""


@dataclass(frozen=True, slots=True)
class Await:
    """Another client waits for the job of this name, which was asked for before."""

    name: str
    client: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Tell every edge that something has happened to a key; answered when all have acted on it."""

    kind: Kind
    key: Key


@dataclass(frozen=True, slots=True)
class Notice:
    """Something has happened to a key; the number is larger than of all before, whatever their key."""

    kind: Kind
    key: Key
    number: int


@dataclass(frozen=True, slots=True)
class Join:
    """I have nothing in memory yet: which notices are remembered?"""


@dataclass(frozen=True, slots=True)
class Listening:
    """I can be sent requests."""


@dataclass(frozen=True, slots=True)
class CheckWorkers:
    """Is a worker alive?"""


@dataclass(frozen=True, slots=True)
class Measure:
    """What have you counted? Answered by text for Prometheus."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """Are you alive? Answered by nothing, but answered."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish what is under way, and end."""


Listener = Callable[[Key, int], Awaitable[None]]
"""Acts on a notice of one kind: the key, and the notice's number. It may be told twice, and out of order."""


class Fleet(Protocol):
    """All processes that serve together, as one edge sees them."""

    async def run(
        self,
        job: Job,
        original: int | None = None,
        overlays: Sequence[int] = (),
        waiters: Waiters | None = None,
    ) -> Result:
        """Make one picture, once for all edges that ask for it by one name; see `engine.pool`."""

    async def check(self) -> None:
        """Raise `EngineFailed` if no worker is alive."""

    def subscribe(self, kind: Kind, listener: Listener) -> None:
        """Have every notice of a kind acted on."""

    async def spread(self, kind: Kind, key: Key) -> None:
        """Number a notice, and have it acted on in every edge, this one too, before this returns."""
