"""Negative cache of failed transforms, so that the same work is not done again to fail again.

Damaged bytes, an unsupported format and too many bytes are cached against the source. Failures that a URL's
arguments may have caused are cached against the job alone: too many pixels, too much time, a damaged frame or
overlay, a crash. So no odd request blocks a good source for everybody.
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
    """Failures of sources and of jobs: at most `entries` each, for `seconds`."""

    def __init__(self, *, seconds: float, entries: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._sources: TTLCache[str, ImgproxyError] = TTLCache(entries, seconds, timer)
        self._jobs: TTLCache[str, ImgproxyError] = TTLCache(entries, seconds, timer)

    def check(self, *, source: str, job: str) -> None:
        """Raise the cached failure of this source or this job, if there is one."""
        known = self._sources.get(source) or self._jobs.get(job)
        if known is not None:
            raise type(known)(str(known))  # a new one: raised twice, it would collect tracebacks

    def add(self, error: ImgproxyError, *, source: str, job: str) -> None:
        """Cache a failure that the same request would meet again."""
        if isinstance(error, _OF_THE_SOURCE):
            self._sources[source] = error
        elif isinstance(error, _OF_THE_JOB):
            self._jobs[job] = error
