"""Ranges that would multiply, overflow or hold a response: as many bytes as the file has, at most."""

from __future__ import annotations

import pytest

from tests.attack.server import JPEG, Attacked, Tenant

RANGES = {
    "all twice": "bytes=0-,0-",
    "all a thousand times": "bytes=" + ",".join(["0-"] * 1000),
    "overlapping": "bytes=" + ",".join(f"{n}-" for n in range(1000)),
    "bytes one by one": "bytes=" + ",".join(f"{n}-{n}" for n in range(500)),
    "backwards": "bytes=500-1",
    "first of 10**30": f"bytes={10**30}-",
    "last of 10**30": f"bytes=0-{10**30}",
    "digits by thousands": f"bytes={'9' * 7000}-",
    "suffix of 10**30": f"bytes=-{10**30}",
    "suffix of nothing": "bytes=-0",
    "negative": "bytes=--5",
    "nothing": "bytes=",
    "comma": "bytes=,",
    "dash": "bytes=-",
    "other unit": "lines=0-1",
    "no unit": "0-1",
    "spaces": "bytes = 0 - 1",
    "other digits": "bytes=\xb2-\xb3",
    "underscore": "bytes=0_1-1_0",
    "hex": "bytes=0x1-0x2",
    "plus": "bytes=+1-+2",
    "two units": "bytes=0-1, lines=0-1",
    "upper case": "BYTES=0-1",
    "NUL-like": "bytes=0-1%00",
}


@pytest.fixture(scope="module")
def download(acme: Tenant) -> str:
    """The target of a download URL."""
    told = acme.call("POST", f"/v1/files/{acme.upload()['id']}/download-url", {}).json()
    url = next(value for value in told.values() if isinstance(value, str) and "/-/" in value)
    return "/" + url.split("/", 3)[3]


@pytest.mark.parametrize("name", RANGES)
def test_range_of_a_download_gives_no_more_than_the_file(files: Attacked, download: str, name: str) -> None:
    response = files.request(download, Range=RANGES[name])
    assert response.status in (200, 206, 400, 416), response
    if response.status == 200:
        assert response.body == JPEG
    if response.status == 206:
        first, last = response.headers["content-range"].removeprefix("bytes ").split("/")[0].split("-")
        assert response.body == JPEG[int(first) : int(last) + 1]
    if response.status == 416:
        assert response.headers["content-range"] == f"bytes */{len(JPEG)}"


@pytest.mark.parametrize("name", RANGES)
def test_range_of_an_image_gives_no_more_than_the_image(edge: Attacked, name: str) -> None:
    whole = edge.request("/fit-in/40x40/small.jpg")
    response = edge.request("/fit-in/40x40/small.jpg", Range=RANGES[name])
    assert response.status in (200, 206, 400, 416), response
    assert len(response.body) <= max(len(whole.body), 2000)


def test_condition_of_a_range_that_does_not_hold_gives_the_whole(files: Attacked, download: str) -> None:
    response = files.request(download, Range="bytes=0-1", If_Range='"another"')
    assert (response.status, response.body) == (200, JPEG)


@pytest.mark.parametrize("headers", [{"If_None_Match": '"a",' * 2000 + '"b"'}, {"If_Match": "*," * 2000}])
def test_long_conditions_are_read_at_once(edge: Attacked, headers: dict[str, str]) -> None:
    assert edge.request("/fit-in/40x40/small.jpg", **headers).status in (200, 304, 400, 412, 431)
