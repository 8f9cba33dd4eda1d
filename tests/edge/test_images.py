"""GET and HEAD an image, seen from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from cachetools import LRUCache

from imgproxy.cache.key import ResultKey
from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.tiers import Entry
from imgproxy.dialects.signature import Signer
from imgproxy.errors import (
    BrokenImage,
    DeadlinePassed,
    EngineFailed,
    ImageTooLarge,
    ImgproxyError,
    Overloaded,
    SourceTooLarge,
    StorageFailed,
    StorageSlow,
    TransformFailed,
    UnsupportedImage,
)
from imgproxy.image.source import parse_key
from tests.edge.conftest import START, Edge, MakeEdge
from tests.storage.broken import BrokenStorage

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Timing-Allow-Origin": "*",
}


async def test_a_picture_carries_all_that_browsers_and_cdns_like(edge: Edge) -> None:
    answer = await edge.get("/fit-in/300x200/filters:quality(80)/photo.jpg", Accept=CHROME)
    assert answer.status == 200
    assert await answer.read() == b"original at 300"
    expected = {
        **SAFETY,
        "Content-Type": "image/avif",
        "Content-Length": "15",
        "Cache-Control": "public, max-age=3600, s-maxage=300",
        "X-Accel-Expires": "300",
        "Vary": "Accept",
        "Cache-Status": "imgproxy; fwd=miss; stored",
        "Content-Disposition": 'inline; filename="photo.avif"',
        "Last-Modified": "Fri, 15 Jan 2027 07:43:20 GMT",
        "Server": "imgproxy",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["X-Request-Id"]
    assert len(answer.headers["Cache-Tag"].split(",")) == 2
    assert "photo" not in answer.headers["Cache-Tag"]


async def test_the_second_answer_comes_from_memory_with_the_same_validator(edge: Edge) -> None:
    first = await edge.get("/300x200/photo.jpg")
    second = await edge.get("/300x200/photo.jpg")
    assert second.headers["Cache-Status"] == "imgproxy; hit; detail=memory"
    assert second.headers["ETag"] == first.headers["ETag"]
    assert await second.read() == await first.read()
    assert len(edge.engine.jobs) == 1


async def test_what_no_cache_has_room_for_is_not_called_stored(make_edge: MakeEdge) -> None:
    edge = await make_edge(memory=1_000)
    await edge.store("photo.jpg")
    answers = [await edge.get("/300x200/photo.jpg") for _ in range(2)]
    assert {each.headers["Cache-Status"] for each in answers} == {"imgproxy; fwd=miss"}


async def test_the_same_picture_asked_two_ways_is_made_once(edge: Edge) -> None:
    ways = ["/300x200/photo.jpg", "/unsafe/300x200/photo.jpg", "/300x200/center/middle/photo.jpg"]
    ways += [
        "/photo.jpg?w=300&h=200&upscale=1",
        "/150x100/filters:dpr(2)/photo.jpg",
        "/300x200/filters:blur(0)/photo.jpg",
    ]
    answers = [await edge.get(way) for way in ways]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    assert len(edge.engine.jobs) == 1


async def test_not_modified_costs_neither_fetch_nor_decode(make_edge: MakeEdge) -> None:
    edge = await make_edge(storage=BrokenStorage(only=("open", "head")))
    edge.storage.error = None  # type: ignore[attr-defined]
    await edge.store("photo.jpg")
    tag = (await edge.get("/300x200/photo.jpg", method="HEAD")).headers["ETag"]
    edge.storage.error = StorageFailed("down")  # type: ignore[attr-defined]
    answer = await edge.get("/300x200/photo.jpg", If_None_Match=f'"other", W/{tag}')
    assert answer.status == 304
    assert await answer.read() == b""
    assert answer.headers["ETag"] == tag
    assert answer.headers["Vary"] == "Accept"
    assert "Content-Type" not in answer.headers
    assert edge.engine.jobs == []


async def test_a_star_matches_and_another_tag_does_not(edge: Edge) -> None:
    assert (await edge.get("/1x1/photo.jpg", If_None_Match="*")).status == 304
    assert (await edge.get("/1x1/photo.jpg", If_None_Match='"other"')).status == 200


async def test_dates_count_only_without_tags(edge: Edge) -> None:
    modified = (await edge.get("/1x1/photo.jpg")).headers["Last-Modified"]
    assert (await edge.get("/1x1/photo.jpg", If_Modified_Since=modified)).status == 304
    earlier = "Thu, 14 Jan 2027 07:43:20 GMT"
    assert (await edge.get("/1x1/photo.jpg", If_Modified_Since=earlier)).status == 200
    assert (await edge.get("/1x1/photo.jpg", If_Modified_Since="nonsense")).status == 200
    both = await edge.get("/1x1/photo.jpg", If_Modified_Since=modified, If_None_Match='"other"')
    assert both.status == 200


async def test_head_of_a_picture_nobody_made_makes_none(edge: Edge) -> None:
    head = await edge.get("/300x200/photo.jpg", method="HEAD", Accept=CHROME)
    assert head.status == 200
    assert head.headers["Content-Type"] == "image/avif"
    assert head.headers["ETag"] == (await edge.get("/300x200/photo.jpg", Accept=CHROME)).headers["ETag"]
    assert len(edge.engine.jobs) == 1


async def test_head_of_a_kept_picture_tells_its_length(edge: Edge) -> None:
    got = await edge.get("/300x200/photo.jpg")
    head = await edge.get("/300x200/photo.jpg", method="HEAD")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert await head.read() == b""


@pytest.mark.parametrize(
    ("accept", "mime"),
    [
        (CHROME, "image/avif"),
        ("image/webp,*/*", "image/webp"),
        ("image/avif;q=0.5,image/webp", "image/webp"),
        ("image/avif;q=0,image/webp", "image/webp"),
        ("image/*,*/*;q=0.8", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("", "image/jpeg"),
    ],
)
async def test_accept_is_read_with_its_weights(edge: Edge, accept: str, mime: str) -> None:
    answer = await edge.get("/300x200/photo.jpg", Accept=accept)
    assert (answer.headers["Content-Type"], answer.headers["Vary"]) == (mime, "Accept")


async def test_a_url_that_names_its_type_does_not_vary(edge: Edge) -> None:
    answer = await edge.get("/filters:format(webp)/photo.jpg", Accept=CHROME)
    assert answer.headers["Content-Type"] == "image/webp"
    assert "Vary" not in answer.headers


async def test_errors_of_a_negotiated_url_vary_too(edge: Edge) -> None:
    edge.engine.error = BrokenImage("damaged")
    assert (await edge.get("/1x1/photo.jpg")).headers["Vary"] == "Accept"
    assert "Vary" not in (await edge.get("/filters:format(webp)/photo.jpg")).headers


async def test_unknown_private_and_deleted_look_alike(edge: Edge) -> None:
    await edge.store("secret.jpg", public=False)
    key = await edge.store("deleted.jpg")
    edge.access.forget(key)
    answers = [await edge.get(f"/1x1/{name}") for name in ("unknown.jpg", "secret.jpg", "deleted.jpg")]
    bodies = [{**json.loads(await answer.read()), "request_id": ""} for answer in answers]
    assert [answer.status for answer in answers] == [404] * 3
    assert bodies[0] == bodies[1] == bodies[2]
    assert edge.engine.jobs == []


async def test_a_file_made_private_is_served_no_more_not_even_from_memory(edge: Edge) -> None:
    tag = (await edge.get("/1x1/photo.jpg")).headers["ETag"]
    await edge.store("photo.jpg", public=False)
    assert (await edge.get("/1x1/photo.jpg")).status == 404
    assert (await edge.get("/1x1/photo.jpg", If_None_Match=tag)).status == 404


async def test_a_watermark_that_is_not_public_is_not_shown(edge: Edge) -> None:
    await edge.store("logo.png", public=False)
    assert (await edge.get("/filters:watermark(logo.png,0,0)/photo.jpg")).status == 404
    await edge.store("logo.png")
    assert (await edge.get("/filters:watermark(logo.png,0,0)/photo.jpg")).status == 200
    assert edge.engine.jobs[-1].overlays == ("logo.png",)


async def test_a_new_version_has_a_new_validator(edge: Edge) -> None:
    first = await edge.get("/1x1/photo.jpg")
    await edge.store("photo.jpg", b"replaced")
    second = await edge.get("/1x1/photo.jpg")
    assert await second.read() == b"replaced at 1"
    assert second.headers["ETag"] != first.headers["ETag"]


async def test_a_file_made_private_while_it_is_made_is_not_answered(edge: Edge) -> None:
    edge.engine.hold = asyncio.Event()
    asking = asyncio.create_task(edge.get("/1x1/photo.jpg"))
    await edge.engine.reached.wait()
    await edge.store("photo.jpg", public=False)
    edge.engine.hold.set()
    assert (await asking).status == 404
    await edge.store("photo.jpg", b"later")
    assert await (await edge.get("/1x1/photo.jpg")).read() == b"later at 1"


async def test_a_herd_is_one_decode_and_one_read(edge: Edge) -> None:
    edge.engine.hold = asyncio.Event()
    herd = [asyncio.create_task(edge.get("/300x200/photo.jpg")) for _ in range(50)]
    await edge.engine.reached.wait()
    await asyncio.sleep(0.05)
    edge.engine.hold.set()
    answers = await asyncio.gather(*herd)
    statuses = [answer.headers["Cache-Status"] for answer in answers]
    assert statuses.count("imgproxy; fwd=miss; stored") == 1
    assert statuses.count("imgproxy; fwd=miss; collapsed") == 49
    assert len(edge.engine.jobs) == 1


@pytest.mark.parametrize(
    ("error", "status", "kept"),
    [
        (UnsupportedImage("not a type we read"), 415, "public, max-age=10"),
        (BrokenImage("damaged"), 422, "public, max-age=10"),
        (TransformFailed("it brought its worker down"), 422, "public, max-age=10"),
        (ImageTooLarge("too many pixels"), 422, "public, max-age=10"),
        (SourceTooLarge("too many bytes"), 413, "public, max-age=10"),
        (EngineFailed("a defect"), 500, "no-store"),
        (StorageFailed("down"), 502, "no-store"),
        (Overloaded("full", retry_after=3), 503, "no-store"),
        (StorageSlow("slow"), 504, "no-store"),
        (DeadlinePassed("too long"), 504, "no-store"),
    ],
)
async def test_every_failure_is_a_problem_that_is_not_kept_long(
    edge: Edge, error: Exception, status: int, kept: str
) -> None:
    edge.engine.error = error  # type: ignore[assignment]
    answer = await edge.get("/1x1/photo.jpg")
    problem = json.loads(await answer.read())
    assert answer.status == problem["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == kept
    assert problem["detail"] == str(error)
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert {name: answer.headers[name] for name in SAFETY} == SAFETY


async def test_a_client_that_waits_for_too_many_is_told_to_wait_and_others_are_served(
    make_edge: MakeEdge,
) -> None:
    edge = await make_edge(concurrency=1, proxies=("127.0.0.0/8",))
    await edge.store("photo.jpg")
    edge.engine.hold = asyncio.Event()
    first = asyncio.ensure_future(edge.get("/1x1/photo.jpg", X_Forwarded_For="203.0.113.7"))
    await edge.engine.reached.wait()
    refused = await edge.get("/2x1/photo.jpg", X_Forwarded_For="203.0.113.7")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert refused.headers["Cache-Control"] == "no-store"
    edge.engine.hold.set()
    assert (await edge.get("/3x1/photo.jpg", X_Forwarded_For="198.51.100.1")).status == 200
    assert (await first).status == 200
    assert (await edge.get("/2x1/photo.jpg", X_Forwarded_For="203.0.113.7")).status == 200


async def test_the_log_names_the_client_behind_a_trusted_proxy(make_edge: MakeEdge) -> None:
    edge = await make_edge(proxies=("127.0.0.0/8",))
    await edge.get("/1x1/photo.jpg", X_Forwarded_For="203.0.113.7")
    await edge.access_log.close()
    assert json.loads(edge.log.getvalue())["client"] == "203.0.113.7"


async def test_a_full_queue_says_when_to_come_again(edge: Edge) -> None:
    edge.engine.error = Overloaded("full", retry_after=3)
    assert (await edge.get("/1x1/photo.jpg")).headers["Retry-After"] == "3"


async def test_what_failed_by_its_bytes_is_refused_at_once_the_second_time(edge: Edge) -> None:
    edge.engine.error = BrokenImage("damaged")
    statuses = [(await edge.get(f"/{width}x1/photo.jpg")).status for width in (1, 2, 2)]
    assert statuses == [422] * 3
    assert len(edge.engine.jobs) == 1
    edge.clock.now += 61
    edge.engine.error = None
    assert (await edge.get("/1x1/photo.jpg")).status == 200


async def test_a_defect_tells_nothing_of_the_inside(edge: Edge) -> None:
    edge.engine.error = ZeroDivisionError("/etc/secret")  # type: ignore[assignment]
    answer = await edge.get("/1x1/photo.jpg")
    assert answer.status == 500
    assert b"secret" not in await answer.read()
    assert b"Zero" not in await answer.read()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/70000x1/photo.jpg", "width: 70000 pixels"),
        ("/filters:nope()/photo.jpg", "'nope' is not a filter"),
        ("/filters:quality(800)/photo.jpg", "quality"),
        ("/photo.jpg?wdth=3", "'wdth' is not a parameter"),
        ("/300x200/photo.jpg?w=3", "path and in its query"),
        ("/%2e%2e/etc/passwd", "segment"),
        ("/a/../b.jpg", "segment"),
        ("/a//b.jpg", "segment"),
        ("/a%5Cb.jpg", "backslash"),
        ("/a%00b.jpg", "control"),
        ("/a%0Ab.jpg", "control"),
        ("/a%252eb.jpg", "encoded twice"),
        ("/%ff.jpg", "UTF-8"),
        ("/" + "a" * 2000, "at most 1024"),
        ("/300x200/", "names no image"),
    ],
)
async def test_what_cannot_be_understood_is_named(edge: Edge, target: str, says: str) -> None:
    answer = await edge.get(target)
    assert answer.status == 400
    assert says in json.loads(await answer.read())["detail"]


async def test_needless_escapes_are_undone_once(edge: Edge) -> None:
    answer = await edge.get("/filters%3Aformat%28webp%29%3Anope%28%29/photo.jpg")
    assert answer.status == 404  # the escapes are the key's: nothing is refused, nothing is there
    answer = await edge.get("/filters:format%28webp%29/photo.jpg")
    assert answer.headers["Content-Type"] == "image/webp"


async def test_a_signature_is_one_entry_in_caches_and_its_other_spellings_are_redirected(
    make_edge: MakeEdge,
) -> None:
    signer = Signer(("new", "old"), "sha1")
    edge = await make_edge(signer=signer, unsigned=False)
    await edge.store("photo.jpg")
    path = "filters:format(webp):fill(red)/photo.jpg"
    for written in (signer.sign(path), Signer(("old",), "sha1").sign(path)):
        assert written.endswith("=")  # thumbor, imagor and `imgproxy sign` give it so
        plain = f"/{written}/{path}"
        assert (await edge.get(plain)).status == 200
        for spelling in (
            f"/{written.rstrip('=')}/{path}",
            f"/{written}=/{path}",
            f"/{written.replace('=', '%3D')}/{path}",
            f"//{written}/{path}",
            f"////{written.rstrip('=')}/{path}",
            f"/{written}/{path.replace(':', '%3A')}",
            f"/{written}/{path.replace('(', '%28').replace(')', '%29')}",
        ):
            moved = await edge.get(spelling)
            assert (moved.status, moved.headers["Location"]) == (308, plain)
            assert moved.headers["Cache-Control"] == "public, max-age=3600, s-maxage=300"
            assert (await edge.get(spelling, method="HEAD")).status == 308
    covered = "300x0/%70hoto.jpg"  # the signature covers the needless escape
    assert (await edge.get(f"/{signer.sign(covered)}/{covered}")).status == 200


async def test_a_wrong_signature_is_not_redirected(make_edge: MakeEdge) -> None:
    edge = await make_edge(signer=Signer(("new",)), unsigned=False)
    for target in ("//" + "a" * 43 + "/photo.jpg", "//evil.example/photo.jpg", "//photo.jpg"):
        assert (await edge.get(target)).status == 403


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("//photo.jpg", "/photo.jpg"),
        ("/unsafe//300x0/photo.jpg", "/unsafe/300x0/photo.jpg"),
        ("/300x0/%70hoto.jpg", "/300x0/photo.jpg"),
        ("/photo.jpg?&w=3&", "/photo.jpg?w=3"),
        ("//evil.example/photo.jpg", "/evil.example/photo.jpg"),
        ("////evil.example/%2570", None),
        ("//%5Cevil.example", None),
        ("/%2F/evil.example", None),
    ],
)
async def test_other_spellings_of_unsigned_urls_are_redirected_on_this_host(
    edge: Edge, target: str, location: str | None
) -> None:
    moved = await edge.get(target)
    assert moved.headers.get("Location") == location
    assert moved.status == (308 if location else 400)


async def test_a_long_folder_without_secrets_is_not_redirected_to_unsafe(make_edge: MakeEdge) -> None:
    edge = await make_edge()
    await edge.store("a-folder-of-twenty-letters/photo.jpg")
    assert (await edge.get("/a-folder-of-twenty-letters/photo.jpg")).status == 200
    moved = await edge.get("//a-folder-of-twenty-letters/photo.jpg")
    assert moved.headers["Location"] == "/a-folder-of-twenty-letters/photo.jpg"


async def test_only_signed_urls_pass_where_only_they_may(make_edge: MakeEdge) -> None:
    signer = Signer(("new", "old"))
    edge = await make_edge(signer=signer, unsigned=False)
    await edge.store("photo.jpg")
    path = "300x200/photo.jpg"
    retired = Signer(("old",)).sign(path)
    assert (await edge.get(f"/{signer.sign(path)}/{path}")).status == 200
    assert (await edge.get(f"/{retired}/{path}")).status == 200
    assert (await edge.get(f"/{path}")).status == 403
    assert (await edge.get(f"/unsafe/{path}")).status == 403
    assert (await edge.get(f"/{signer.sign(path)}/301x200/photo.jpg")).status == 403
    assert (await edge.get(f"/{Signer(('wrong',)).sign(path)}/{path}")).status == 403
    assert len(edge.engine.jobs) == 1


async def test_a_signature_covers_the_query(make_edge: MakeEdge) -> None:
    signer = Signer(("secret",))
    edge = await make_edge(signer=signer, unsigned=False)
    await edge.store("photo.jpg")
    signature = signer.sign("photo.jpg?w=300")
    assert (await edge.get(f"/{signature}/photo.jpg?w=300")).status == 200
    assert (await edge.get(f"/{signature}/photo.jpg?w=301")).status == 403
    assert (await edge.get(f"/{signature}/photo.jpg")).status == 403


async def test_a_wrong_signature_is_refused_also_where_none_is_needed(make_edge: MakeEdge) -> None:
    edge = await make_edge(signer=Signer(("secret",)))
    await edge.store("photo.jpg")
    assert (await edge.get(f"/{Signer(('wrong',)).sign('photo.jpg')}/photo.jpg")).status == 403


async def test_without_secrets_a_long_first_folder_is_a_folder(edge: Edge) -> None:
    folder = "0197f2c0-7a3e-7c1d-9b1a-5f0e8d6c4b2a"
    await edge.store(f"{folder}/photo.jpg", b"mine")
    assert await (await edge.get(f"/{folder}/photo.jpg")).read() == b"mine at 0"
    assert (await edge.get(f"/{Signer(('any',)).sign('photo.jpg')}/photo.jpg")).status == 403


async def test_params_answers_what_was_read_without_opening_it(edge: Edge) -> None:
    answer = await edge.get("/params/fit-in/300x0/filters:blur(2)/https://host/a.jpg")
    assert await answer.json() == {
        "params": True,
        "path": "fit-in/300x0/filters:blur(2)/https://host/a.jpg",
        "image": "https://host/a.jpg",
        "fit_in": True,
        "width": 300,
        "filters": [{"name": "blur", "args": "2"}],
    }
    assert (await edge.get("/params/filters:nope()/a.jpg")).status == 400


async def test_meta_answers_facts_that_no_accept_changes(edge: Edge) -> None:
    answer = await edge.get("/meta/300x200/photo.jpg", Accept=CHROME)
    assert answer.headers["Content-Type"] == "application/json"
    assert await answer.json() == {"format": "jpeg"}
    assert "Vary" not in answer.headers


@pytest.mark.parametrize(
    "name", ["v1/files", "s3/x", "-/x", "console", "healthz", "metrics", "favicon.ico", "robots.txt"]
)
async def test_reserved_names_are_no_images(make_edge: MakeEdge, name: str) -> None:
    edge = await make_edge(unregistered=True)
    assert (await edge.get(f"/{name}")).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_told_which_there_are(edge: Edge, method: str) -> None:
    answer = await edge.get("/photo.jpg", method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_an_expired_url_is_not_found_and_a_living_one_is_kept_no_longer(edge: Edge) -> None:
    soon = int((START + 60) * 1000)
    answer = await edge.get(f"/filters:expire({soon})/photo.jpg")
    assert answer.headers["Cache-Control"] == "public, max-age=60, s-maxage=60"
    edge.clock.now += 61
    assert (await edge.get(f"/filters:expire({soon})/photo.jpg")).status == 404


async def test_max_age_is_the_urls_own(edge: Edge) -> None:
    answer = await edge.get("/filters:max_age(60)/photo.jpg")
    assert answer.headers["Cache-Control"] == "public, max-age=60, s-maxage=60"
    none = await edge.get("/filters:max_age(0)/photo.jpg")
    assert none.headers["Cache-Control"] == "private, no-store"


async def test_options_of_delivery_share_one_picture(edge: Edge) -> None:
    for target in ("/photo.jpg", "/filters:max_age(5)/photo.jpg", "/filters:attachment(cat)/photo.jpg"):
        assert (await edge.get(target)).status == 200
    assert len(edge.engine.jobs) == 1


async def test_a_request_id_of_a_proxy_is_kept_and_nonsense_is_not(edge: Edge) -> None:
    kept = await edge.get("/1x1/photo.jpg", X_Request_Id="abc-123-def")
    replaced = await edge.get("/1x1/photo.jpg", X_Request_Id="<script>")
    assert kept.headers["X-Request-Id"] == "abc-123-def"
    assert replaced.headers["X-Request-Id"] != "<script>"


async def test_each_request_is_a_line_of_json(edge: Edge) -> None:
    await edge.get("/1x1/photo.jpg", X_Request_Id="abc-123-def")
    await edge.access_log.close()
    line = json.loads(edge.log.getvalue())
    assert (line["id"], line["status"], line["cache"]) == ("abc-123-def", 200, "miss")
    assert (line["method"], line["target"]) == ("GET", "/1x1/photo.jpg")


async def test_requests_are_counted_by_status_and_cache(edge: Edge) -> None:
    for target in ("/1x1/photo.jpg", "/1x1/photo.jpg", "/1x1/none.jpg"):
        await edge.get(target)
    text = edge.metrics.text().decode()
    assert 'imgproxy_requests_total{cache="miss",status="200"} 1.0' in text
    assert 'imgproxy_requests_total{cache="hit",status="200"} 1.0' in text
    assert 'imgproxy_requests_total{cache="none",status="404"} 1.0' in text


@pytest.mark.parametrize(
    ("call", "error", "status"),
    [
        ("head", StorageFailed("storage failed"), 502),
        ("open", StorageFailed("storage failed"), 502),
        ("head", StorageSlow("storage is slow"), 504),
        ("open", StorageSlow("storage is slow"), 504),
        ("head", SourceTooLarge("large"), 413),
        ("open", SourceTooLarge("larger than the head said"), 502),
    ],
)
async def test_what_storage_cannot_do_is_told_as_its_fault(
    make_edge: MakeEdge, error: ImgproxyError, status: int, call: str
) -> None:
    storage = BrokenStorage(error, only=(call,))
    edge = await make_edge(storage=storage, unregistered=True)
    await storage.put(parse_key("photo.jpg"), chunks())
    assert (await edge.get("/1x1/photo.jpg")).status == status
    assert edge.engine.jobs == []


async def test_a_storage_that_recovers_is_believed_at_once(make_edge: MakeEdge) -> None:
    storage = BrokenStorage(StorageFailed("down"), only=("open",))
    edge = await make_edge(storage=storage)
    await edge.store("photo.jpg")
    assert (await edge.get("/1x1/photo.jpg")).status == 502
    storage.error = None
    assert (await edge.get("/1x1/photo.jpg")).status == 200


async def chunks() -> AsyncIterator[bytes]:
    yield b"original"


async def test_a_miss_reads_the_cache_once(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    get = MemoryTier.get

    async def counted(self: MemoryTier, key: ResultKey) -> Entry | None:
        read.append(key)
        return await get(self, key)

    monkeypatch.setattr(MemoryTier, "get", counted)
    for headers in ({}, {"If_None_Match": '"another"'}):
        read.clear()
        answer = await edge.get(f"/{len(headers) + 1}x1/photo.jpg", **headers)
        assert (answer.status, len(read)) == (200, 1)


# -- damaged originals -------------------------------------------------------------------------------------


async def test_an_image_of_a_damaged_original_says_so_and_is_made_anew_after_the_shared_ttl(
    make_edge: MakeEdge,
) -> None:
    edge = await make_edge(stale=86_400, damaged=300)
    await edge.store("photo.jpg")
    edge.engine.damaged = True
    seen = []
    for seconds in (0, 100, 100, 101):
        edge.clock.now += seconds
        got = await edge.get("/300x200/photo.jpg", If_None_Match="")
        assert (got.status, got.headers.get("ETag"), got.headers.get("Last-Modified")) == (200, None, None)
        assert got.headers["X-Accel-Expires"] == got.headers["Cache-Control"].rpartition("=")[2]
        seen.append((got.headers["Cache-Status"], got.headers["Cache-Control"]))
    assert seen == [
        ("imgproxy; fwd=miss; stored; detail=damaged", "public, max-age=300, s-maxage=300"),
        ("imgproxy; hit; detail=damaged", "public, max-age=200, s-maxage=200"),
        ("imgproxy; hit; detail=damaged", "public, max-age=100, s-maxage=100"),
        ("imgproxy; fwd=miss; stored; detail=damaged", "public, max-age=300, s-maxage=300"),
    ]
    assert len(edge.engine.jobs) == 2
    assert "imgproxy_damaged_total 2.0" in edge.metrics.text().decode()


async def test_an_original_that_decodes_again_is_answered_like_any_other(edge: Edge) -> None:
    edge.engine.damaged = True
    await edge.get("/300x200/photo.jpg")
    edge.engine.damaged = False
    edge.clock.now += 301
    for status in ("fwd=miss; stored", "hit; detail=memory", "hit; detail=memory"):
        got = await edge.get("/300x200/photo.jpg")
        assert got.headers["Cache-Status"] == f"imgproxy; {status}"
        assert got.headers["ETag"]


async def test_an_image_of_a_damaged_original_keeps_a_shorter_life_that_the_url_asks_for(edge: Edge) -> None:
    edge.engine.damaged = True
    for _ in range(2):
        got = await edge.get("/filters:max_age(20)/photo.jpg")
        assert got.headers["Cache-Control"] == "public, max-age=20, s-maxage=20"


async def test_a_head_written_for_a_sound_image_is_not_sent_with_a_damaged_one(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await edge.get("/300x200/photo.jpg")
    get = LRUCache.get

    def damaged(self: LRUCache[object, object], key: object, default: object = None) -> object:
        found = get(self, key, default)
        return replace(found, expires=START + 50) if isinstance(found, Entry) else found

    monkeypatch.setattr(LRUCache, "get", damaged)
    got = await edge.get("/300x200/photo.jpg")
    assert got.headers["Cache-Status"] == "imgproxy; hit; detail=damaged"
    assert got.headers["Cache-Control"] == "public, max-age=50, s-maxage=50"


@pytest.mark.parametrize(("damaged", "asked"), [(300, True), (0, True), (None, False)])
async def test_damaged_originals_are_shown_only_where_the_deployment_says_so(
    make_edge: MakeEdge, damaged: float | None, asked: bool
) -> None:
    edge = await make_edge(damaged=damaged)
    await edge.store("photo.jpg")
    await edge.get("/1x1/photo.jpg")
    assert [job.show_damaged for job in edge.engine.jobs] == [asked]


async def test_images_with_an_operation_that_fails_logs_the_url_and_makes_it_anew(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.engine.error = EngineFailed("a defect")
    for _ in range(2):
        assert (await edge.get("/300x200/filters:blur(7)/photo.jpg")).status == 500
    assert caplog.text.count("EngineFailed: a defect; /300x200/filters:blur(7)/photo.jpg") == 2
    assert len(edge.engine.jobs) == 2
