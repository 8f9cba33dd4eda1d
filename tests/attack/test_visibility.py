"""A visibility that flips while many clients read: no request that begins after a flip gets the old image."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.attack.server import Attacked, Tenant

READERS = 6
FLIPS = 8


@dataclass(frozen=True)
class Seen:
    """One response, and when its request was sent."""

    sent: float
    came: float
    status: int


def read(server: Attacked, target: str, stop: threading.Event, **headers: str) -> list[Seen]:
    """Ask for an image until told to stop, over one connection, and again if that is closed."""
    found = []
    while not stop.is_set():
        with server.connect() as wire:
            try:
                while not stop.is_set():
                    sent = time.monotonic()
                    status = wire.request(target, **headers).status
                    found.append(Seen(sent, time.monotonic(), status))
            except ConnectionError:
                continue
    return found


@pytest.mark.parametrize("way", ["cached", "validated", "rendered", "meta"])
def test_flip_to_private_is_seen_by_every_request_after_it(files: Attacked, acme: Tenant, way: str) -> None:
    file = acme.upload()
    path, headers = f"/fit-in/20x20/{file['key']}", {}
    if way == "validated":
        headers["If_None_Match"] = files.request(path).headers["etag"]
    targets = [path] * READERS
    if way == "rendered":
        targets = [f"/fit-in/{20 + n}x20/{file['key']}" for n in range(READERS)]
    if way == "meta":
        targets = [f"/meta/{file['key']}"] * READERS
    stop, hidden = threading.Event(), []
    with ThreadPoolExecutor(READERS) as threads:
        reading = [threads.submit(read, files, each, stop, **headers) for each in targets]
        for _ in range(FLIPS):
            assert acme.call("PATCH", f"/v1/files/{file['id']}", {"visibility": "private"}).status == 200
            begin = time.monotonic()
            time.sleep(0.01)  # for reads to fall between the flips; nothing is waited for
            end = time.monotonic()
            assert acme.call("PATCH", f"/v1/files/{file['id']}", {"visibility": "public"}).status == 200
            hidden.append((begin, end))
            while files.request(path).status != 200:
                pass
        stop.set()
        seen = [each for future in reading for each in future.result()]
    # 502: the generation changed at each try of a render, as it may while flips are faster than renders
    assert {each.status for each in seen} <= {200, 304, 404, 502}
    within = [each for each in seen for begin, end in hidden if each.sent >= begin and each.came <= end]
    assert {each.status for each in within} <= {404}


def test_deleted_file_is_gone_for_every_request_after_it(files: Attacked, acme: Tenant) -> None:
    for _ in range(5):
        file = acme.upload()
        target = f"/fit-in/20x20/{file['key']}"
        with files.connect() as wire:
            tag = wire.request(target).headers["etag"]
            assert acme.call("DELETE", f"/v1/files/{file['id']}").status in (200, 204)
            assert wire.request(target).status == 404
            assert wire.request(target, If_None_Match=tag).status == 404
            assert wire.request(target, method="HEAD").status == 404
            assert wire.request(f"/meta/{file['key']}").status == 404
