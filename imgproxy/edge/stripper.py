"""Personal metadata taken out of a file that is to be registered, by a worker."""

from __future__ import annotations

from imgproxy.edge.probe import turn_of
from imgproxy.edge.render import Engine
from imgproxy.edge.source_cache import SourceCache, SourceRequest
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.image.formats import STRIPPED, TRAITS
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key
from imgproxy.image.transform import Transform

_TYPES = frozenset(TRAITS[format_].mime for format_ in STRIPPED)


class Stripper:
    """Removes metadata of images; their bytes count to those of the sources that are held at once."""

    def __init__(self, sources: SourceCache, engine: Engine, *, ceiling: Ceiling) -> None:
        self._sources = sources
        self._engine = engine
        self._job = Job(Transform(), Output(), Encoding(), ceiling, strip=True)

    def takes(self, mime_type: str) -> bool:
        """Whether metadata of images of a type can be removed."""
        return mime_type in _TYPES

    async def strip(self, key: Key, version: str) -> bytes:
        """Return an object's bytes without personal metadata.

        Raise an `ImageError` if they are no such image or a broken one, `SourceTooLarge`, or a `ServerError`.
        """
        async with self._sources.borrow([SourceRequest(key, version)], turn_of(key)) as (original,):
            self._sources.purge(key)  # nobody reads an upload again
            return (await self._engine.run(self._job, original.descriptor, (), turn_of(key))).body
