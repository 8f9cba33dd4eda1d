"""The use case: one request, one picture. Read this file first.

A request is prepared without a byte moving (who may see it, in which version, under which key), answered
from a cache if it can be, and made if it must be, once for all who ask at the same time. What was made
is kept and answered only if everything it was made from is still as it was. When an object has been
overwritten, the picture of its version before may stand in while the new one is made.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import NamedTuple, Protocol

from imgproxy.background_tasks import BackgroundTasks
from imgproxy.cache.key import ResultKey, SourceVersion, result_key
from imgproxy.cache.singleflight import Singleflight
from imgproxy.cache.tiers import CacheHit, Entry, Tiers
from imgproxy.dialects import ImageRequest
from imgproxy.edge.source_access import SourceAccess, SourceGrant
from imgproxy.edge.source_cache import SourceCache, SourceChanged, SourceRequest
from imgproxy.engine.negative_cache import NegativeCache
from imgproxy.engine.pool import Result
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.errors import ImgproxyError, OurError, StorageFailed
from imgproxy.image.formats import TRAITS
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key, PlainColour
from imgproxy.storage import OpenObject
from imgproxy.telemetry import Metrics
from imgproxy.waiters import Waiters

_TRIES = 3  # a source image that changes more often while it is read is not served


class Engine(Protocol):
    """Makes pictures; see `engine.pool`."""

    async def run(self, job: Job, original: int | None, overlays: Sequence[int], waiters: Waiters) -> Result:
        """Make one picture from descriptors, which stay the caller's."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How this deployment makes pictures."""

    encoding: Encoding
    ceiling: Ceiling
    encoder: str
    """Names the settings and the libvips that write; part of every key."""
    damaged_seconds: float | None = None
    """Lifetime of an image of a damaged original in the caches; None refuses damaged originals."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with all that is known before a byte moves."""

    request: ImageRequest
    output: Output
    grants: tuple[SourceGrant, ...]
    """The original's, if it is no plain colour, then the overlays'."""
    key: ResultKey

    @property
    def old(self) -> bool:
        """Whether it goes by an old word of storage's, so that it should be asked for again soon."""
        return any(grant.old for grant in self.grants)


class Hit(NamedTuple):
    """A picture that was in a cache; of an earlier version, if `prepared` is not what was asked for."""

    prepared: Prepared
    found: CacheHit
    old: bool
    """Whether storage may know better by now, so that it should be asked for again soon."""


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that was not in a cache."""

    entry: Entry
    collapsed: bool
    """Whether somebody else's request made it."""
    kept: bool
    """Whether a cache has room for it."""


class Renderer:
    """Makes and keeps pictures for one process."""

    def __init__(
        self,
        *,
        source_access: SourceAccess,
        sources: SourceCache,
        tiers: Tiers,
        engine: Engine,
        negative_cache: NegativeCache,
        recipe: Recipe,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` tells seconds since 1970."""
        self._source_access = source_access
        self._sources = sources
        self._tiers = tiers
        self._engine = engine
        self._negative_cache = negative_cache
        self._recipe = recipe
        self._metrics = metrics
        self._clock = clock
        self._flights: Singleflight[tuple[Entry, bool]] = Singleflight()
        self._tasks = BackgroundTasks()
        self._puts: set[asyncio.Task[None]] = set()
        self._storing: dict[ResultKey, Entry] = {}

    async def prepare(self, request: ImageRequest, output: Output, *, old: bool = False) -> Prepared:
        """Ask who may see it and name the result; raise `NotFound` for what is not public.

        `old` says that an old word of storage's will do.
        """
        keys = request.keys if not isinstance(request.source, str) else (request.source, *request.keys)
        grants = tuple([await self._source_access.authorize(key, old=old) for key in keys])
        return self._named(request, output, grants)

    async def look(self, request: ImageRequest, output: Output) -> tuple[Prepared, Hit | None]:
        """What is asked for, and the answer if a cache has it: by an old word of storage's, else by a new."""
        prepared = await self.prepare(request, output, old=True)
        hit = await self.cached(prepared)
        if hit is None and prepared.old:
            before, prepared = prepared, await self.prepare(request, output)
            if prepared.key != before.key:  # the same key was a miss a moment ago
                hit = await self.cached(prepared)
        return prepared, hit

    async def cached(self, prepared: Prepared) -> Hit | None:
        """The answer, if a cache has it and nothing has changed while it was looked for."""
        found = await self._tiers.get(prepared.key)
        if found is None or not await self._still_permitted(prepared, old=True):
            return None
        return Hit(prepared, found, prepared.old)

    async def earlier(self, prepared: Prepared) -> Hit | None:
        """The answer of the version before, if a cache has it, while a new one is made with nobody waiting.

        None also if a new one cannot be made for its original's sake: then that is the answer.
        """
        for grants in self._source_access.before(prepared.grants):
            before = self._named(prepared.request, prepared.output, grants)
            found = await self._tiers.get(before.key)
            if found is not None:
                break
        else:
            return None
        if self._refused(prepared) or not await self._still_permitted(prepared):
            return None
        self._tasks.spawn(prepared.key, partial(self.make, prepared))
        return Hit(before, found, old=True)

    def at_hand(self, prepared: Prepared) -> Hit | None:
        """The answer, if memory has it and every grant still holds as far as memory knows."""
        old = False
        for grant in prepared.grants:
            held = self._source_access.at_hand(grant.key)
            if held is None or (held is not grant and held != grant):
                return None
            old = old or held.old
        found = self._tiers.at_hand(prepared.key)
        return None if found is None else Hit(prepared, found, old)

    def still_at_hand(self, prepared: Prepared) -> bool:
        """Whether every grant still holds as far as memory knows, and none by an old word."""
        held = [self._source_access.at_hand(grant.key) for grant in prepared.grants]
        return held == list(prepared.grants) and not any(grant.old for grant in held if grant)

    async def make(self, prepared: Prepared, client: str | None = None) -> tuple[Prepared, Made]:
        """The answer, made now or with somebody else's request, in the turn of a client or the background.

        An object that changed since it was granted is prepared anew, so the key returned is the key of
        the bytes returned.
        """
        waiters = Waiters() if client is None else Waiters(client)
        for _ in range(_TRIES):
            try:
                (entry, found), joined = await self._flights.run(
                    prepared.key, partial(self._find_or_make, prepared, waiters), waiters
                )
            except SourceChanged:
                for grant in prepared.grants:
                    self._source_access.forget(grant.key)
            else:
                if await self._still_permitted(prepared):
                    return prepared, Made(entry, joined or found, self._tiers.fits(entry))
            prepared = await self.prepare(prepared.request, prepared.output)
        raise StorageFailed("the source image keeps changing while it is read")

    async def purge(self, key: Key, number: int = 0) -> None:
        """Make all results and cached bytes of a source unreachable; work under way is done anew."""
        place = self._source_access.place(key)
        await self._source_access.purge(key, number)
        self._sources.purge(place)

    async def close(self) -> None:
        """Wait for what is being kept; give up what nobody waits for."""
        await self._tasks.close()
        await self._source_access.close()
        await asyncio.gather(*self._puts, return_exceptions=True)
        self._sources.close()

    def _named(self, request: ImageRequest, output: Output, grants: tuple[SourceGrant, ...]) -> Prepared:
        key = result_key(
            [SourceVersion(each.key, f"{each.generation}.{each.epoch}:{each.version}") for each in grants],
            transform=f"{request.params.image if not grants else ''};{request.transform.canonical()}",
            output=output.canonical(),
            answer=request.answer,
            encoder=self._recipe.encoder,
        )
        return Prepared(request, output, grants, key)

    def _refused(self, prepared: Prepared) -> bool:
        """Whether it is known that the bytes of the source image are at fault."""
        try:
            self._negative_cache.check(source=_blamed(prepared), job=prepared.key)
        except OurError:
            return False
        except ImgproxyError:
            return True
        return False

    async def _find_or_make(self, prepared: Prepared, waiters: Waiters) -> tuple[Entry, bool]:
        """Return the entry, and whether an earlier flight made it.

        A request may read the disk cache while another flight lands. Its miss is then out of date: the entry
        is in memory, or about to be put there. A herd of 500 was decoded twice in one of three tries.
        """
        entry = self._storing.get(prepared.key)
        if entry is not None:
            return entry, True
        found = self._tiers.at_hand(prepared.key)
        if found is not None:
            return found.entry, True
        return await self._make(prepared, waiters), False

    async def _make(self, prepared: Prepared, waiters: Waiters) -> Entry:
        source = _blamed(prepared)
        self._negative_cache.check(source=source, job=prepared.key)
        try:
            result = await self._fetch_and_run(prepared, waiters)
        except ImgproxyError as error:
            self._negative_cache.add(error, source=source, job=prepared.key)
            raise
        entry = _entry(prepared, result, self._expiry(result))
        self._store(prepared.key, entry)
        return entry

    async def _fetch_and_run(self, prepared: Prepared, waiters: Waiters) -> Result:
        begun = perf_counter()
        wanted = [SourceRequest(each.place, each.version, each.size, each.epoch) for each in prepared.grants]
        async with self._sources.borrow(wanted, waiters) as borrowed:
            _require_versions(prepared.grants, borrowed)
            self._metrics.fetched(perf_counter() - begun, sum(each.head.size for each in borrowed))
            descriptors = [each.descriptor for each in borrowed]
            plain = prepared.request.source if isinstance(prepared.request.source, PlainColour) else None
            original = None if plain else descriptors.pop(0)
            job = Job(
                transform=prepared.request.transform,
                output=prepared.output,
                encoding=self._recipe.encoding,
                ceiling=self._recipe.ceiling,
                plain=plain.colour if plain else None,
                overlays=prepared.request.keys,
                meta=prepared.request.answer == "meta",
                show_damaged=self._recipe.damaged_seconds is not None,
            )
            result = await self._engine.run(job, original, descriptors, waiters)
        self._metrics.rendered(
            wait=result.waited_seconds,
            decode=result.rendered.decode_seconds,
            encode=result.rendered.encode_seconds,
        )
        return result

    def _expiry(self, result: Result) -> float | None:
        """Return when the caches must forget a result, and count it if its original is damaged."""
        if not result.rendered.damaged:
            return None
        self._metrics.damaged()
        return self._clock() + (self._recipe.damaged_seconds or 0)

    async def _still_permitted(self, prepared: Prepared, *, old: bool = False) -> bool:
        """Whether nothing has changed since; raise `NotFound` for what is not public any more."""
        grants = tuple([await self._source_access.authorize(each.key, old=old) for each in prepared.grants])
        return grants == prepared.grants and not any(map(self._source_access.voided, grants))

    def _store(self, key: ResultKey, entry: Entry) -> None:
        """Put a result into the caches in the background; its key names the state that it was made from."""

        def end(task: asyncio.Task[None]) -> None:
            self._puts.discard(task)
            self._storing.pop(key, None)

        self._storing[key] = entry
        task = asyncio.create_task(self._tiers.put(key, entry))
        self._puts.add(task)
        task.add_done_callback(end)


def _blamed(prepared: Prepared) -> str:
    """Return the source that a failure is remembered of, until a purge; of several it is unknown which."""
    alone = prepared.grants[0] if len(prepared.grants) == 1 else None
    return f"{alone.key}@{alone.version}@{alone.epoch}" if alone else prepared.key


def _require_versions(grants: Sequence[SourceGrant], borrowed: Sequence[OpenObject]) -> None:
    for grant, original in zip(grants, borrowed, strict=True):
        if grant.version != original.head.version:
            raise SourceChanged


def _entry(prepared: Prepared, result: Result, expires: float | None) -> Entry:
    sources = tuple(grant.key for grant in prepared.grants)
    if prepared.request.answer == "meta":
        body = json.dumps(result.rendered.info).encode()
        return Entry(body, "application/json", None, sources, expires)
    made = result.rendered.format
    return Entry(result.body, TRAITS[made].mime, made, sources, expires)
