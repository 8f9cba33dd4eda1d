"""Width and height of a file that is to be registered: measured by a worker, where its bytes can do no harm.

The source image is borrowed as for a picture, so that whoever asks for one next finds it here.
"""

from __future__ import annotations

from imgproxy.edge.render import Engine
from imgproxy.edge.source_cache import SourceCache, SourceChanged, SourceRequest
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.errors import SourceTooLarge, StorageFailed
from imgproxy.image.negotiate import Output
from imgproxy.image.options import Options
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key
from imgproxy.image.transform import Transform
from imgproxy.waiters import Waiters

_LONGEST = 10_000_000  # pixels; libvips knows no picture that is wider


class ImageProbe:
    """Looks into pictures; see `files.object_storage.Inspector`."""

    def __init__(self, sources: SourceCache, engine: Engine, *, ceiling: Ceiling) -> None:
        """Pictures of more pixels than `ceiling` has are refused: they would be when they are asked for."""
        first_frame = Transform(options=Options(max_frames=1))
        as_it_is = ceiling._replace(side=_LONGEST)  # or it would be told as it is answered: made smaller
        self._sources = sources
        self._engine = engine
        self._job = Job(first_frame, Output(), Encoding(), as_it_is, meta=True)

    async def inspect(self, key: Key, version: str, size: int) -> tuple[int, int] | None:
        """Width and height as a person sees it; None if it has more bytes than we read of a source image.

        Raise an `ImageError`, or a `ServerError` when no worker can tell.
        """
        try:
            wanted = [SourceRequest(key, version, size)]
            async with self._sources.borrow(wanted, turn_of(key)) as (original,):
                result = await self._engine.run(self._job, original.descriptor, (), turn_of(key))
        except SourceTooLarge:
            return None
        except SourceChanged:
            raise StorageFailed("the object is larger than storage said") from None
        return result.rendered.width, result.rendered.height


def turn_of(key: Key) -> Waiters:
    """Name a line by the tenant, the second part of a key's path (`files.id_generator`), staged or not."""
    return Waiters("/".join(("files", *key.split("/")[1:2])))
