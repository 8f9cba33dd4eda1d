"""Attacks on workers: on their memory, and on other clients' turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from ipaddress import ip_network

import pytest

from tests.attack.conftest import Serve
from tests.attack.server import Attacked, attacked
from tests.pictures import encoded, noise

MEGA = 1024**2


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server whose one worker has little memory."""
    chosen = {"unregistered": "public", "worker_memory": 128 * MEGA}
    with attacked(tmp_path_factory.mktemp("tight"), **chosen) as server:
        server.store("photo.jpg", encoded(noise(600, 400), ".jpg"))
        yield server


class TestWorkerMemory:
    def test_image_that_needs_more_is_422_and_its_source_is_not_blamed(self, tight: Attacked) -> None:
        greedy = tight.request("/3500x3500/filters:format(avif)/photo.jpg")
        assert greedy.status == 422, greedy
        assert "memory" in greedy.json()["detail"]
        for size in (30, 40):
            assert tight.request(f"/{size}x{size}/filters:format(avif)/photo.jpg").status == 200
        again = tight.request("/3500x3500/filters:format(avif)/photo.jpg")
        assert (again.status, again.json()["detail"]) == (422, greedy.json()["detail"])

    def test_layers_that_need_more_are_refused_alone(self, tight: Attacked) -> None:
        overlays = ":".join(["watermark(photo.jpg,0,0,0,400,400)"] * 3)
        greedy = tight.request(f"/5000x3000/filters:{overlays}:format(jpeg)/color:red")
        assert greedy.status in (400, 422), "by its cost, or by its memory"
        assert tight.request("/50x30/filters:watermark(photo.jpg,0,0,0,40,40)/color:red").status == 200


class TestFairness:
    def test_first_miss_of_another_client_waits_for_one_job_of_a_flood(self, serve: Serve) -> None:
        server = serve(unregistered="public", trusted_proxies=(ip_network("127.0.0.0/8"),), queue=4)
        server.store("photo.jpg", encoded(noise(600, 400), ".jpg"))

        def request(client: str, width: int) -> tuple[float, int]:
            target = f"/{width}x1200/filters:blur(30):format(png)/photo.jpg"  # longer than to connect
            status = server.request(target, X_Forwarded_For=client).status
            return time.monotonic(), status

        with ThreadPoolExecutor(20) as threads:
            flood = [threads.submit(request, "203.0.113.1", 1300 + number) for number in range(20)]
            wait(flood, return_when=FIRST_COMPLETED)  # refused, for the queue is full of the others
            asked = time.monotonic()
            ended, status = request("203.0.113.2", 1400)
            served = [end for end, status in (each.result() for each in flood) if status == 200]
        assert status == 200
        assert len(served) < len(flood)
        assert sum(asked < end < ended for end in served) <= 2, "one at work, one that ends with ours"
