"""What went wrong lately, so that the same work is not done again to fail again.

A type we do not read stays one whatever is asked of it: that is remembered of the source. A picture that was
too large or took too long may be neither when less is asked, so that is remembered of the job. A source
that is damaged, or brought its worker down, may have done so because of the job: the job is refused at
once, the source after its second job, so that no one odd request shuts a good picture for everyone. (Two can,
for `seconds`: the price of not killing a worker for each of a thousand sizes.)
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import TTLCache

from imgproxy.errors import BrokenImage, DeadlinePassed, ImageError, ImgproxyError, UnsupportedImage

_STRIKES = 2


class FailureMemo:
    """Remembers `entries` failures for `seconds`, of sources and of jobs, each by its identity."""

    def __init__(self, *, seconds: float, entries: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._sources: TTLCache[str, tuple[int, ImageError]] = TTLCache(entries, seconds, timer)
        self._jobs: TTLCache[str, ImgproxyError] = TTLCache(entries, seconds, timer)

    def check(self, *, source: str, job: str) -> None:
        """Raise again what is remembered of this source or this job."""
        strikes, error = self._sources.get(source, (0, None))
        if error is not None and strikes >= _STRIKES:
            raise _again(error)
        known = self._jobs.get(job)
        if known is not None:
            raise _again(known)

    def note(self, error: ImgproxyError, *, source: str, job: str) -> None:
        """Remember a failure, if the same would fail again."""
        if isinstance(error, UnsupportedImage):
            self._sources[source] = _STRIKES, error
        elif isinstance(error, ImageError | DeadlinePassed):
            self._jobs[job] = error
        if isinstance(error, BrokenImage):
            strikes, _ = self._sources.get(source, (0, None))
            self._sources[source] = strikes + 1, error


def _again(error: ImgproxyError) -> ImgproxyError:
    """The same error, anew: one raised twice would gather tracebacks."""
    return type(error)(str(error))
