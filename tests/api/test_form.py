"""Sending a file to us as a form: read once, as it arrives, whole or not at all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import FormData

from imgproxy.files.collections import DEFAULTS
from imgproxy.files.model import Collection, File, TenantId
from imgproxy.files.repository.outbox import count_tasks
from imgproxy.files.repository.uploads import expired_uploads
from imgproxy.image.source import Key
from tests.api.conftest import FILES, Counter
from tests.files.samples import set_collection
from tests.files.uploading import BROKEN_JPEG, JPEG, OTHER_JPEG, TEXT

BOUNDARY = "----a-boundary"
OF_FORM = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*fields: tuple[str, str], body: bytes = JPEG, after: tuple[tuple[str, str], ...] = ()) -> FormData:
    made = FormData()
    for name, value in fields:
        made.add_field(name, value)
    made.add_field("file", body, filename="cat.jpg", content_type="image/jpeg")
    for name, value in after:
        made.add_field(name, value)
    return made


def raw(*parts: str) -> bytes:
    """A form as it travels, without its end."""
    return "".join(f"--{BOUNDARY}\r\n{part}\r\n" for part in parts).encode("latin-1")


FILE = 'Content-Disposition: form-data; name="file"; filename="cat.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
SENT = FILE + JPEG.decode("latin-1")
END = f"--{BOUNDARY}--\r\n".encode()


async def left(counter: Counter) -> tuple[list[Key], int, int]:
    """Objects, uploads that have not ended, and promises, once all that is due is done."""
    await counter.desk.settle()
    read = counter.desk.database.read
    rows = await read(lambda record: len(expired_uploads(record, before=10**15)))
    return await counter.desk.stored(), rows, (await read(count_tasks))[0]


async def test_what_is_sent_is_a_file(counter: Counter) -> None:
    status, told = await counter.send(form())
    assert status == 201
    assert (told["originalName"], told["mimeType"], told["size"]) == ("cat.jpg", "image/jpeg", len(JPEG))
    assert (told["visibility"], told["bucket"], told["ownerId"]) == ("public", "images", "olga")
    file = await counter.desk.file(Key(told["key"]))
    assert file is not None
    assert await left(counter) == ([file.object_key], 0, 0)
    assert await counter.desk.body(file.object_key) == JPEG


async def test_fields_may_stand_before_and_after_the_file(counter: Counter) -> None:
    status, told = await counter.send(
        form(
            ("category", "attachments"),
            ("originalName", "Cat & Co.jpg"),
            after=(
                ("visibility", "shared"),
                ("alt", "a cat"),
                ("tags", '["cat"]'),
                ("metadata", json.dumps({"camera": "X100"})),
                ("unknown", "left alone"),
            ),
        )
    )
    assert status == 201
    assert (told["bucket"], told["originalName"], told["visibility"]) == (
        "attachments",
        "Cat & Co.jpg",
        "shared",
    )
    assert (told["alt"], told["tags"], told["metadata"]) == ("a cat", ["cat"], {"camera": "X100"})


async def test_a_file_without_a_type_is_of_that_of_its_bytes(counter: Counter) -> None:
    body = raw('Content-Disposition: form-data; name="file"; filename="cat"\r\n\r\n' + JPEG.decode("latin-1"))
    status, told = await counter.send(body + END, **OF_FORM)
    assert (status, told["mimeType"], told["bucket"]) == (201, "image/jpeg", "images")


FORMLESS: list[tuple[bytes, int, str]] = [
    (b"", 400, "common/invalid-request"),
    (END, 400, "common/invalid-request"),
    (raw('Content-Disposition: form-data; name="alt"\r\n\r\nno file') + END, 400, "common/invalid-request"),
    (raw(SENT), 400, "common/invalid-request"),
    (raw(SENT)[:-20], 400, "common/invalid-request"),
    (raw(SENT, SENT) + END, 400, "common/invalid-request"),
    (
        raw(SENT, 'Content-Disposition: form-data; name="category"\r\n\r\na') + END,
        400,
        "common/invalid-request",
    ),
    (
        raw(SENT, 'Content-Disposition: form-data; name="metadata"\r\n\r\n{') + END,
        400,
        "common/invalid-request",
    ),
    (
        raw(SENT, 'Content-Disposition: form-data; name="visibility"\r\n\r\nx') + END,
        400,
        "common/invalid-request",
    ),
    (
        raw(SENT, 'Content-Disposition: form-data; name="alt"\r\n\r\n\xff') + END,
        400,
        "common/invalid-request",
    ),
    (
        raw(SENT, 'Content-Disposition: form-data; name="a"\r\n\r\n' + "x" * 70_000) + END,
        413,
        "common/body-too-large",
    ),
    (raw(SENT.replace("cat.jpg", "a/b.jpg")) + END, 400, "file/invalid-name"),
    (raw(SENT.replace("image/jpeg", "image/png")) + END, 400, "file/invalid-format"),
    (raw("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--") + END, 400, "common/invalid-request"),
    (b"\r\n".join([b"--" + BOUNDARY.encode()] * 3), 400, "common/invalid-request"),
]


@pytest.mark.parametrize(("body", "status", "code"), FORMLESS)
async def test_what_is_no_such_form_is_refused_and_leaves_nothing(
    counter: Counter, body: bytes, status: int, code: str
) -> None:
    found, told = await counter.send(body, **OF_FORM)
    assert (found, told["error"]["code"]) == (status, code)
    assert await left(counter) == ([], 0, 0)


async def test_a_form_without_a_boundary_is_refused(counter: Counter) -> None:
    status, told = await counter.send(raw(SENT) + END, Content_Type="multipart/form-data")
    assert (status, told["error"]["code"]) == (400, "common/invalid-request")


async def test_a_lie_about_the_type_is_refused(counter: Counter) -> None:
    status, told = await counter.send(form(body=TEXT))
    assert (status, told["error"]["code"]) == (400, "file/invalid-format")
    assert await left(counter) == ([], 0, 0)


async def test_more_than_the_collection_takes_is_refused_and_leaves_nothing(counter: Counter) -> None:
    images: Any = DEFAULTS["images"]
    small = Collection("images", images.default_visibility, max_size=100_000)
    await counter.desk.database.write(lambda record: set_collection(record, TenantId("acme"), small))
    status, told = await counter.send(form(body=JPEG + bytes(300_000)))
    assert (status, told["error"]["code"]) == (413, "common/body-too-large")
    assert await left(counter) == ([], 0, 0)


async def test_a_client_that_leaves_half_way_leaves_nothing(counter: Counter) -> None:
    url = counter.client.make_url("/")
    assert url.host is not None
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = [f"POST {FILES} HTTP/1.1", "Host: a", "Content-Length: 1000000"]
    head += [f"{name}: {value}" for name, value in counter.headers.items()]
    head += [f"Content-Type: multipart/form-data; boundary={BOUNDARY}", "", ""]
    writer.write("\r\n".join(head).encode() + raw(SENT)[:-2] + bytes(100_000))
    await writer.drain()
    await _until(counter, uploads=1)
    writer.close()
    await writer.wait_closed()
    await _until(counter, uploads=0)
    assert await left(counter) == ([], 0, 0)


async def _until(counter: Counter, *, uploads: int) -> None:
    """Wait until so many uploads are open."""
    read = counter.desk.database.read
    async with asyncio.timeout(20):
        while await read(lambda record: len(expired_uploads(record, before=10**15))) != uploads:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_send_file_with_a_used_key_and_other_bytes_of_the_same_length_is_422(counter: Counter) -> None:
    _, told = await counter.send(form(), Idempotency_Key="once")
    other = form(body=OTHER_JPEG[: len(JPEG)].ljust(len(JPEG)))
    status, refused = await counter.send(other, Idempotency_Key="once")
    assert (status, refused["error"]["code"]) == (422, "common/idempotency-key-reused")
    assert await counter.desk.body(one_of(await counter.desk.file(Key(told["key"])))) == JPEG
    assert len(await counter.desk.stored()) == 1


@pytest.mark.parametrize(
    "other",
    [
        form(("alt", "a dog")),
        form(after=(("alt", "a cat"),)),
        form(("alt", "a cat"), ("alt", "a cat")),
        form(("tags", '["a cat"]')),
        form(),
    ],
    ids=["value", "place", "twice", "name", "less"],
)
async def test_send_file_with_a_used_key_and_other_fields_is_422(counter: Counter, other: FormData) -> None:
    assert (await counter.send(form(("alt", "a cat")), Idempotency_Key="once"))[0] == 201
    assert (await counter.send(other, Idempotency_Key="once"))[0] == 422


async def test_send_file_again_with_another_boundary_is_answered_alike_and_stores_nothing(
    counter: Counter,
) -> None:
    tries = [await counter.send(form(("alt", "a cat")), Idempotency_Key="once") for _ in range(3)]
    assert [status for status, _ in tries] == [201] * 3
    assert tries[0][1] == tries[1][1] == tries[2][1]
    assert len(await counter.desk.stored()) == 1


async def test_send_file_that_failed_may_be_sent_anew_with_other_bytes(counter: Counter) -> None:
    assert (await counter.send(form(body=BROKEN_JPEG), Idempotency_Key="once"))[0] == 400
    assert (await counter.send(form(), Idempotency_Key="once"))[0] == 201


async def test_send_file_with_a_used_key_and_a_body_that_breaks_off_is_400(counter: Counter) -> None:
    body = raw(SENT)
    assert (await counter.send(body + END, Idempotency_Key="once", **OF_FORM))[0] == 201
    assert (await counter.send(body, Idempotency_Key="once", **OF_FORM))[0] == 400


def one_of(file: File | None) -> Key:
    """Where the bytes of a file that is there lie."""
    assert file is not None
    return file.object_key
