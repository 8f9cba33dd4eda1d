"""Measure the longest time for which an event loop was held.

Wall time between two ticks of a loop says nothing on a busy machine: the kernel may have run another
process, or Python another thread. So the measure is CPU time of the loop's thread, which stands still while
it waits for either. A call that blocks without computing is not seen; callbacks that compute are. What the
collector of cycles takes is left out: it walks the heap of pytest, which is not the server's.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import traceback

LONGEST_SECONDS = 0.05
"""The bound for every request of the suite."""

_TICK_SECONDS = 0.005
_LOOK_SECONDS = 0.01
_SUSPICIOUS_SECONDS = 0.02


class Watchdog:
    """The longest hold of the loop that runs in the thread that makes this."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds of CPU time, at most a tick too many."""
        self.where = ""
        """The stack during that hold, if it was long enough to be seen."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._thread)
        self._ticks = 0
        self._last = time.thread_time()
        self._collecting_since = 0.0
        self._seen = (0, "")
        self._stopped = threading.Event()
        self._sampler = threading.Thread(target=self._look, daemon=True)
        self._sampler.start()
        gc.callbacks.append(self._collect)
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)

    def reset(self) -> None:
        """Begin again, with the next tick."""
        self.longest, self.where = 0.0, ""

    @property
    def running(self) -> bool:
        return not self._stopped.is_set()

    def stop(self) -> None:
        """Measure no more; call it in the loop's thread."""
        self._timer.cancel()
        gc.callbacks.remove(self._collect)
        self._stopped.set()
        self._sampler.join()

    def _tick(self) -> None:
        now = time.thread_time()
        held = now - self._last
        if held > self.longest:
            number, stack = self._seen
            self.longest, self.where = held, stack if number == self._ticks else ""
        self._ticks += 1
        self._last = now
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)

    def _collect(self, phase: str, _: object) -> None:
        """Leave a collection out that the loop's thread does."""
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._collecting_since = time.thread_time()
        else:
            self._last += time.thread_time() - self._collecting_since

    def _look(self) -> None:
        """Keep the stack of a hold while it lasts."""
        while not self._stopped.wait(_LOOK_SECONDS):
            number, last = self._ticks, self._last
            if time.clock_gettime(self._clock) - last > _SUSPICIOUS_SECONDS and self._seen[0] != number:
                frame = sys._current_frames().get(self._thread)
                self._seen = (number, "".join(traceback.format_stack(frame)[-12:]))
