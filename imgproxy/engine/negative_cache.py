"""What went wrong lately, so that the same work is not done again to fail again.

A source that is damaged, of a type we do not read, or too long, is refused whatever is asked of it. What
a URL's arguments may have caused is remembered of the job alone, so that no odd request shuts a good original
for everybody: too many pixels, too much time, a damaged frame or overlay, a crash. A crash costs 0.1 s of CPU
for a new worker, less than many a good job, so it need not be remembered of the source image.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import TTLCache

from imgproxy.errors import (
    BrokenImage,
    DeadlinePassed,
    ImageTooLarge,
    ImgproxyError,
    SourceTooLarge,
    TransformFailed,
    UnsupportedImage,
)

_OF_THE_SOURCE = (BrokenImage, SourceTooLarge, UnsupportedImage)
_OF_THE_JOB = (DeadlinePassed, ImageTooLarge, TransformFailed)


class NegativeCache:
    """Remembers `entries` failures for `seconds`, of sources and of jobs, each by its identity."""

    def __init__(self, *, seconds: float, entries: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._sources: TTLCache[str, ImgproxyError] = TTLCache(entries, seconds, timer)
        self._jobs: TTLCache[str, ImgproxyError] = TTLCache(entries, seconds, timer)

    def check(self, *, source: str, job: str) -> None:
        """Raise again what is remembered of this source or this job."""
        known = self._sources.get(source) or self._jobs.get(job)
        if known is not None:
            raise type(known)(str(known))  # anew: one raised twice would gather tracebacks

    def add(self, error: ImgproxyError, *, source: str, job: str) -> None:
        """Remember a failure, if the same would fail again."""
        if isinstance(error, _OF_THE_SOURCE):
            self._sources[source] = error
        elif isinstance(error, _OF_THE_JOB):
            self._jobs[job] = error
