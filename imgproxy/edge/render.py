"""Render use case: one request, one image. Read this file first.

A request is prepared before any byte moves: authorization, source versions, key. The response comes from
a cache, or from one transform for all requests with that key. It is sent only if its sources are unchanged.
When an object was overwritten, the cached image of its previous version is sent while a new one is made.
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
from imgproxy.errors import ImgproxyError, ServerError, StorageFailed
from imgproxy.image.formats import TRAITS
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key, PlainColour
from imgproxy.storage import OpenObject
from imgproxy.telemetry import Metrics
from imgproxy.waiters import Waiters

_TRIES = 3  # a source image that changes more often while it is read is not served


class Engine(Protocol):
    """Transforms of images; see `engine.pool`."""

    async def run(self, job: Job, original: int | None, overlays: Sequence[int], waiters: Waiters) -> Result:
        """Transform one image from descriptors, which the caller closes."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of transforms, the same for all requests."""

    encoding: Encoding
    ceiling: Ceiling
    encoder: str
    """Text of the encoder's settings and version; part of every key."""
    damaged_seconds: float | None = None
    """Lifetime in the caches of an image of a damaged source; None refuses damaged sources."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with its authorization and cache key."""

    request: ImageRequest
    output: Output
    grants: tuple[SourceGrant, ...]
    """Those of the source, unless it is a plain colour, then of the overlays."""
    key: ResultKey

    @property
    def old(self) -> bool:
        """Whether a source version is stale and is being revalidated."""
        return any(grant.old for grant in self.grants)


class Hit(NamedTuple):
    """A cached image; of a previous version, if `prepared` is not the one of the request."""

    prepared: Prepared
    found: CacheHit
    old: bool
    """Whether it is stale, so that clients should request it again soon."""


@dataclass(frozen=True, slots=True)
class Made:
    """An image that was in no cache."""

    entry: Entry
    collapsed: bool
    """Whether another request made it."""
    kept: bool
    """Whether a cache has room for it."""


class Renderer:
    """Images of one process, transformed or from its caches."""

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
        """`clock` returns seconds since 1970."""
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
        """Authorize a request and compute its key; raise `NotFound` unless all its sources are public.

        `old` accepts stale source versions.
        """
        keys = request.keys if not isinstance(request.source, str) else (request.source, *request.keys)
        grants = tuple([await self._source_access.authorize(key, old=old) for key in keys])
        return self._named(request, output, grants)

    async def look(self, request: ImageRequest, output: Output) -> tuple[Prepared, Hit | None]:
        """Return the prepared request and a cache hit: of stale source versions, else of fresh ones."""
        prepared = await self.prepare(request, output, old=True)
        hit = await self.cached(prepared)
        if hit is None and prepared.old:
            before, prepared = prepared, await self.prepare(request, output)
            if prepared.key != before.key:  # the same key was a miss a moment ago
                hit = await self.cached(prepared)
        return prepared, hit

    async def cached(self, prepared: Prepared) -> Hit | None:
        """Return the cached image, unless a source has changed during the lookup."""
        found = await self._tiers.get(prepared.key)
        if found is None or not await self._still_permitted(prepared, old=True):
            return None
        return Hit(prepared, found, prepared.old)

    async def earlier(self, prepared: Prepared) -> Hit | None:
        """Return the cached image of the previous version, and make the new one in the background.

        Return None also if the new source is known to be broken: then the response is that error.
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
        """Return the image if it is in memory and memory knows that every grant holds."""
        old = False
        for grant in prepared.grants:
            held = self._source_access.at_hand(grant.key)
            if held is None or (held is not grant and held != grant):
                return None
            old = old or held.old
        found = self._tiers.at_hand(prepared.key)
        return None if found is None else Hit(prepared, found, old)

    def still_at_hand(self, prepared: Prepared) -> bool:
        """Return whether memory knows that every grant holds and is fresh."""
        held = [self._source_access.at_hand(grant.key) for grant in prepared.grants]
        return held == list(prepared.grants) and not any(grant.old for grant in held if grant)

    async def make(self, prepared: Prepared, client: str | None = None) -> tuple[Prepared, Made]:
        """Make the image, or join the request that makes it, in the turn of a client or the background.

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
        """Wait for writes to the caches; cancel work in the background."""
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
        """Return whether the source image is known to be broken."""
        try:
            self._negative_cache.check(source=_blamed(prepared), job=prepared.key)
        except ServerError:
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
        """Return the time at which a result of a damaged source expires; count it."""
        if not result.rendered.damaged:
            return None
        self._metrics.damaged()
        return self._clock() + (self._recipe.damaged_seconds or 0)

    async def _still_permitted(self, prepared: Prepared, *, old: bool = False) -> bool:
        """Return whether the sources are unchanged; raise `NotFound` if one is no longer public."""
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
