"""Load: how many answers a second a server can give, and how long they take at a rate that it can hold.

`rate` is closed-loop, by wrk, and says what saturates. `latencies` is open-loop: the moments of arrival
are fixed beforehand and time counts from them, so a server that stalls is not spared the requests that it
kept from being sent (coordinated omission).
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time


class NoWrk(Exception):
    """wrk is not installed."""


def rate(url: str, *, seconds: float = 3, connections: int = 16) -> float:
    """Answers a second over kept connections, from one thread of wrk; raise if any is not 2xx."""
    if shutil.which("wrk") is None:
        raise NoWrk("wrk is not installed: apt-get install wrk")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found is not None
    return float(found[1])


async def latencies(
    port: int, target: str, *, a_second: float, seconds: float, connections: int = 16
) -> list[float]:
    """Seconds that each answer took from the moment at which it was due, sorted."""
    begun = time.perf_counter() + 0.05
    due = iter(begun + number / a_second for number in range(int(a_second * seconds)))
    taken: list[float] = []
    request = f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for moment in due:
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            taken.append(time.perf_counter() - moment)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    return sorted(taken)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the sorted ones do not exceed."""
    return values[min(int(len(values) * share), len(values) - 1)]
