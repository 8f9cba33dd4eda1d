"""What went wrong lately, so that the same work is not done again to fail again.

An original that is damaged, of a type we do not read, too long, or that brought its worker down, is refused
whatever is asked of it. A picture that had too many pixels or took too long may do with less, so that is
remembered of the job alone: no one odd request shuts a good original for everybody.
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
    UnsupportedImage,
)

_OF_THE_SOURCE = (BrokenImage, SourceTooLarge, UnsupportedImage)
_OF_THE_JOB = (DeadlinePassed, ImageTooLarge)


class FailureMemo:
    """Remembers `entries` failures for `seconds`, of sources and of jobs, each by its identity."""

    def __init__(self, *, seconds: float, entries: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._sources: TTLCache[str, ImgproxyError] = TTLCache(entries, seconds, timer)
        self._jobs: TTLCache[str, ImgproxyError] = TTLCache(entries, seconds, timer)

    def check(self, *, source: str, job: str) -> None:
        """Raise again what is remembered of this source or this job."""
        known = self._sources.get(source) or self._jobs.get(job)
        if known is not None:
            raise type(known)(str(known))  # anew: one raised twice would gather tracebacks

    def note(self, error: ImgproxyError, *, source: str, job: str) -> None:
        """Remember a failure, if the same would fail again."""
        if isinstance(error, _OF_THE_SOURCE):
            self._sources[source] = error
        elif isinstance(error, _OF_THE_JOB):
            self._jobs[job] = error
