"""nginx.conf with a real nginx before a real edge: what is kept, for whom, how long, and what stays away."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from imgproxy.dialects.signature import Signer
from imgproxy.edge import response_headers
from imgproxy.edge.source_access import SourceGrant
from imgproxy.http import problems
from imgproxy.image.source import parse_key
from tests import pictures
from tests.services import _free_ports
from tests.web import (
    CONFIG,
    Answer,
    Client,
    Edge,
    Front,
    Puppet,
    configuration,
    edge,
    eventually,
    nginx,
    nginx_command,
    puppet,
    receive,
    send,
)

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI = (
    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,"
    "image/svg+xml,image/*;q=0.8,*/*;q=0.5"
)
OPENED = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
OLDER = "image/webp,image/apng,image/*,*/*;q=0.8"
LEGACY = "image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"

MISS, HIT = "nginx; fwd=miss", "nginx; hit"
BYPASS, STALE = "nginx; fwd=bypass", "nginx; hit; detail=stale"
UPDATING = "nginx; hit; detail=updating"
EXPIRED, REVALIDATED = "nginx; fwd=stale", "nginx; fwd=stale; fwd-status=304"

SECRET = "s" * 32


class Site(NamedTuple):
    """nginx, and the edge behind it."""

    web: Front
    edge: Edge

    def put(self, key: str, colours: tuple[tuple[int, ...], ...] = pictures.CORNERS) -> None:
        """Have a new original at a key."""
        path = self.edge.objects / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures.encoded(pictures.quadrants(480, 320, colours), ".jpg"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With the settings' defaults, and time for a slow machine; the source image `photo.jpg` is there."""
    patient = {f"proxy_cache_lock_{word} 2s;": f"proxy_cache_lock_{word} 60s;" for word in ("timeout", "age")}
    settings = {
        "IMGPROXY_SIGNING_SECRETS": SECRET,
        "IMGPROXY_PRESETS": "live=filters:max_age(60);offer=filters:expire(4102444800000)",
    }
    with ExitStack() as stack:
        behind = stack.enter_context(edge(tmp_path_factory.mktemp("edge"), **settings))
        web = stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), behind.client.port, patient))
        made = Site(web, behind)
        made.put("photo.jpg")
        yield made


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pictures are fresh for a second, and storage is asked for their version each time."""
    settings = {"IMGPROXY_SHARED_TTL": "1s", "IMGPROXY_SOURCE_TTL": "0s"}
    with ExitStack() as stack:
        behind = stack.enter_context(edge(tmp_path_factory.mktemp("edge"), **settings))
        web = stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), behind.client.port))
        yield Site(web, behind)


@pytest.fixture
def played(tmp_path: Path) -> Iterator[tuple[Client, Puppet]]:
    """nginx before an edge that says what the test tells it to."""
    with puppet() as behind, nginx(tmp_path, behind.port) as web:
        yield web, behind


# -- the file ----------------------------------------------------------------------------------------------


def test_nginx_takes_it(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(configuration(tmp_path, ports=(20001, 20002, 20003), changes={}))
    told = subprocess.run([*nginx_command(tmp_path), "-t"], check=False, capture_output=True, text=True)
    assert (told.returncode, "warn" in told.stderr) == (0, False), told.stderr


def test_it_has_nothing_that_nginx_has_been_broken_by() -> None:
    words = re.sub(r"#.*", "", CONFIG.read_text())
    assert re.findall(r"\b(rewrite|slice|ssi|charset|alias|include)\b", words) == []
    tables = re.findall(r"map [^{]*\{([^}]*)\}", words)
    assert len(tables) == words.count('map "') + words.count("map $")
    assert [line for table in tables for line in table.splitlines() if re.match(r'\s*"?~', line)] == []
    patterns = [re.sub(r"\[[^]]*\]", "", each) for each in re.findall(r'~\*? (".*")', words)]
    assert len(patterns) == 4
    assert [each for each in patterns if re.search(r"\((?!\?:)", each)] == []


def test_the_document_tells_how_a_tag_is_made() -> None:
    command = re.search(r"^printf .*$", (CONFIG.parent / "docs" / "cdn.md").read_text(), re.MULTILINE)
    assert command
    told = subprocess.run(["sh", "-c", command[0]], check=True, capture_output=True, text=True).stdout
    grant = SourceGrant(parse_key("photos/cat.jpg"), version="1", generation=0, modified=0)
    assert response_headers.tags([grant]) == [f"k-{told.strip()}"]


# -- what is kept ------------------------------------------------------------------------------------------


def test_a_picture_is_made_once_and_kept(site: Site) -> None:
    target = "/fit-in/60x40/photo.jpg"
    first, second = (site.web.get(target, CHROME) for _ in range(2))
    assert (first.status, first.cache) == (200, MISS)
    assert (second.status, second.cache, second.body) == (200, HIT, first.body)
    assert second.headers["cache-status"] == "imgproxy; fwd=miss; stored, nginx; hit"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    direct = site.edge.client.get(target, CHROME)
    told = ["etag", "cache-control", "cache-tag", "vary", "content-type", "content-security-policy"]
    assert {name: second.headers[name] for name in told} == {name: direct.headers[name] for name in told}


def test_what_the_edge_tells_nginx_stays_between_them(site: Site) -> None:
    answers = [site.web.get("/fit-in/59x40/photo.jpg") for _ in range(2)]
    told = {name for each in answers for name in each.headers if name.startswith("x-accel")}
    assert (told, site.edge.client.get("/fit-in/59x40/photo.jpg").headers["x-accel-expires"]) == (
        set(),
        "300",
    )


def test_nginx_takes_no_other_orders_from_an_answer(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    behind.say(200, b"x", X_Accel_Redirect="/healthz")
    assert (web.get("/photo.jpg").body, len(behind.asked)) == (b"x", 1)


def test_what_the_edge_says_nothing_of_is_not_kept(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    behind.say(
        200, b"x", Cache_Control="public, max-age=60, s-maxage=60", Expires="Fri, 01 Jan 2100 00:00:00 GMT"
    )
    assert [web.get("/photo.jpg").cache for _ in range(2)] == [MISS] * 2


def test_who_has_it_already_is_told_so_without_the_edge(site: Site) -> None:
    known = site.web.get("/fit-in/61x40/photo.jpg")
    asked = site.web.get("/fit-in/61x40/photo.jpg", If_None_Match=known.headers["etag"])
    assert (asked.status, asked.cache, asked.body) == (304, HIT, b"")
    modified = site.web.get("/fit-in/61x40/photo.jpg", If_Modified_Since=known.headers["last-modified"])
    assert modified.status == 304


def test_head_is_get_without_the_body(site: Site) -> None:
    head = site.web.ask("HEAD", "/fit-in/62x40/photo.jpg", CHROME)
    got = site.web.get("/fit-in/62x40/photo.jpg", CHROME)
    assert (head.status, head.cache, head.body) == (200, MISS, b"")
    assert (got.cache, int(head.headers["content-length"])) == (HIT, len(got.body))


@pytest.mark.parametrize(
    "target",
    ["/60x40/filters:max_age(60)/photo.jpg", "/preset:live/60x40/photo.jpg", "/photo.jpg?w=60&max_age=60"],
)
def test_a_url_with_a_freshness_of_its_own_is_kept_for_that_time(site: Site, target: str) -> None:
    answers = [site.web.get(target) for _ in range(2)]
    assert [(each.status, each.cache) for each in answers] == [(200, MISS), (200, HIT)]
    assert site.edge.client.get(target).headers["x-accel-expires"] == "60"


def test_and_no_longer(site: Site) -> None:
    target = "/61x40/filters:max_age(1)/photo.jpg"
    first = site.web.get(target)
    again = eventually(lambda: site.web.get(target), REVALIDATED)
    assert again.body == first.body


@pytest.mark.parametrize(
    ("target", "cache"),
    [
        ("/60x40/filters:max_age(0)/photo.jpg", BYPASS),
        ("/60x40/filters:expire(4102444800000)/photo.jpg", BYPASS),
        ("/photo.jpg?w=60&expire=4102444800000", BYPASS),
        ("/photo.jpg?w=60&max_age%3D0", MISS),
        ("/preset:offer/60x40/photo.jpg", MISS),
    ],
)
def test_what_expires_or_is_to_be_kept_nowhere_is_not_kept(site: Site, target: str, cache: str) -> None:
    answers = [site.web.get(target) for _ in range(2)]
    assert [(each.status, each.cache) for each in answers] == [(200, cache)] * 2


def test_a_key_may_be_called_like_a_filter(site: Site) -> None:
    site.put("expire/max_age.jpg")
    assert [site.web.get("/60x40/expire/max_age.jpg").cache for _ in range(2)] == [MISS, HIT]


def test_ranges_get_the_whole(site: Site) -> None:
    site.web.get("/63x40/photo.jpg")
    assert site.web.get("/63x40/photo.jpg", Range="bytes=0-9").status == 200


@pytest.mark.parametrize("host", ["images.example", "evil.example:81"])
def test_the_host_makes_no_other_picture(site: Site, host: str) -> None:
    site.web.get("/64x40/photo.jpg")
    with closing(site.web.connect()) as connection:
        connection.putrequest("GET", "/64x40/photo.jpg", skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        assert receive(connection).cache == HIT


# -- for whom ----------------------------------------------------------------------------------------------


def test_everybody_gets_their_own_type_also_after_each_other(site: Site) -> None:
    wanted = {CHROME: "image/avif", OLDER: "image/webp", LEGACY: "image/jpeg"}
    rounds = [{each: site.web.get("/90x60/photo.jpg", each) for each in wanted} for _ in range(2)]
    for answers, cache in zip(rounds, (MISS, HIT), strict=True):
        assert {each: found.type for each, found in answers.items()} == wanted
        assert {found.cache for found in answers.values()} == {cache}
        assert {found.headers["vary"] for found in answers.values()} == {"Accept"}


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        (CHROME, "image/avif"),
        (SAFARI, "image/avif"),
        (OPENED, "image/avif"),
        ("image/avif , IMAGE/WEBP\t", "image/avif"),
        (OLDER, "image/webp"),
        ("image/webp", "image/webp"),
        ("image/avif;q=0,image/webp", "image/webp"),
        ("image/avif;q=0.5,image/webp,*/*", "image/webp"),
        (LEGACY, "image/jpeg"),
        ("image/avif", "image/jpeg"),
        ("image/avif,image/webp;q=0", "image/jpeg"),
        ("image/avifs,ximage/webp,image/webp2", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("", "image/jpeg"),
        (None, "image/jpeg"),
        (" ," * 2000, "image/jpeg"),
    ],
)
def test_nobody_is_served_what_they_do_not_take(site: Site, accept: str | None, type_: str) -> None:
    found = site.web.get("/92x60/photo.jpg", accept)
    assert (found.status, found.type) == (200, type_)


def test_a_type_that_the_url_names_is_the_type(site: Site) -> None:
    answers = [site.web.get("/60x40/filters:format(png)/photo.jpg", each) for each in (CHROME, LEGACY)]
    assert [(each.type, "vary" in each.headers) for each in answers] == [("image/png", False)] * 2


# -- how many, and how long --------------------------------------------------------------------------------


def test_a_herd_makes_one_miss(site: Site) -> None:
    before = site.edge.misses()
    with ExitStack() as stack:
        herd = [stack.enter_context(closing(site.web.connect())) for _ in range(200)]
        for each in herd:
            send(each, "GET", "/301x201/photo.jpg", LEGACY)
        answers = [receive(each) for each in herd]
    assert {(each.status, each.type) for each in answers} == {(200, "image/jpeg")}
    assert len({each.body for each in answers}) == 1
    assert site.edge.misses() - before == 1


def test_what_is_old_is_asked_for_by_its_tag(hasty: Site) -> None:
    hasty.put("revalidated.jpg")
    first = hasty.web.get("/60x40/revalidated.jpg", CHROME)
    misses = hasty.edge.misses()
    again = eventually(lambda: hasty.web.get("/60x40/revalidated.jpg", CHROME), REVALIDATED)
    assert (again.status, again.body) == (200, first.body)
    assert hasty.web.get("/60x40/revalidated.jpg", CHROME).cache == HIT
    assert hasty.edge.misses() == misses


def test_what_changed_is_new_when_the_old_is_no_longer_fresh(hasty: Site) -> None:
    hasty.put("changed.jpg")
    first = hasty.web.get("/60x40/changed.jpg", CHROME)
    hasty.put("changed.jpg", colours=pictures.CORNERS[::-1])
    for _ in range(60):  # until the new one is made the edge gives the old, for a second at a time
        again = eventually(lambda: hasty.web.get("/60x40/changed.jpg", CHROME), EXPIRED)
        if again.body != first.body:
            break
    assert (again.status, again.type) == (200, "image/avif")
    assert again.body != first.body


def test_what_is_deleted_is_gone_whatever_may_be_stale(hasty: Site) -> None:
    hasty.put("deleted.jpg")
    first = hasty.web.get("/60x40/deleted.jpg")
    assert "stale-if-error=86400" in first.headers["cache-control"]
    (hasty.edge.objects / "deleted.jpg").unlink()
    gone = eventually(lambda: hasty.web.get("/60x40/deleted.jpg"), EXPIRED)
    after = hasty.web.get("/60x40/deleted.jpg")
    assert [(each.status, each.type) for each in (gone, after)] == [(404, "application/problem+json")] * 2


def test_the_old_stands_in_for_the_others_while_one_is_asking(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    behind.say(200, b"old", X_Accel_Expires="1")
    web.get("/photo.jpg")
    behind.say(500)
    eventually(lambda: web.get("/photo.jpg"), STALE)
    behind.say(200, b"new", X_Accel_Expires="60")
    with ThreadPoolExecutor(1) as pool, behind.silent():
        asking = pool.submit(web.get, "/photo.jpg")
        behind.wait_until_asked()
        other = web.get("/photo.jpg")
    assert (other.cache, other.body) == (UPDATING, b"old")
    assert (asking.result().cache, asking.result().body) == (EXPIRED, b"new")
    assert (web.get("/photo.jpg").cache, web.get("/photo.jpg").body) == (HIT, b"new")


def test_without_the_edge_the_old_stands_in_and_the_new_is_refused(hasty: Site) -> None:
    hasty.put("outage.jpg")
    first = {each: hasty.web.get("/60x40/outage.jpg", each) for each in (CHROME, LEGACY)}
    hasty.edge.kill()
    try:
        for accept, before in first.items():
            old = eventually(lambda accept=accept: hasty.web.get("/60x40/outage.jpg", accept), STALE)
            assert (old.status, old.type, old.body) == (200, before.type, before.body)
        unknown = hasty.web.get("/61x41/outage.jpg")
        assert (unknown.status, unknown.type) == (502, "application/problem+json")
        assert (unknown.headers["cache-control"], unknown.headers["retry-after"]) == ("no-store", "5")
        assert json.loads(unknown.body)["request_id"] == unknown.headers["x-request-id"]
    finally:
        hasty.edge.start()
    back = eventually(lambda: hasty.web.get("/60x40/outage.jpg", CHROME), REVALIDATED)
    assert (back.status, back.body) == (200, first[CHROME].body)
    assert hasty.web.get("/61x41/outage.jpg").status == 200


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/60x40/nowhere.jpg", 404),
        ("/60x40/filters:nothing()/photo.jpg", 400),
        ("/" + "A" * 43 + "=/photo.jpg", 403),
    ],
)
def test_a_clients_error_is_kept_for_moments(site: Site, target: str, status: int) -> None:
    answers = [site.web.get(target) for _ in range(2)]
    assert [(each.status, each.cache) for each in answers] == [(status, MISS), (status, HIT)]
    assert {each.headers["cache-control"] for each in answers} == {"public, max-age=10"}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_our_errors_are_kept_nowhere(played: tuple[Client, Puppet], status: int) -> None:
    web, behind = played
    code = problems.code_of_status(status)
    told = problems.cacheable(problems.problem(code, "why", request_id="r"))
    body = told.body
    assert isinstance(body, bytes)
    behind.say(status, body, **{name.replace("-", "_"): value for name, value in told.headers.items()})
    answers = [web.get("/60x40/photo.jpg") for _ in range(2)]
    assert [(each.status, each.cache, each.body) for each in answers] == [(status, MISS, body)] * 2
    assert {each.headers["cache-control"] for each in answers} == {"no-store"}
    assert len(behind.asked) == 2


def test_no_cookie_gets_out(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    behind.say(200, b"x", Set_Cookie="a=b", X_Accel_Expires="10")
    answers = [web.get("/photo.jpg") for _ in range(2)]
    assert [("set-cookie" in each.headers, each.cache) for each in answers] == [(False, MISS)] * 2


# -- what reaches the edge ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/fit-in/60x40/filters:fill(red)/a%20b%2Fc%C3%A9.jpg",
        "/60x40//two///slashes/%2e%2e/a+b;c=d,e&f'g.jpg?w=1&w=2&&x",
        "/unsafe/https://elsewhere.example/a.jpg",
        "/%68ealth",
    ],
)
def test_the_target_passes_byte_for_byte(played: tuple[Client, Puppet], target: str) -> None:
    web, behind = played
    behind.say(404)
    web.get(target)
    assert behind.asked[0].split(b"\r\n")[0] == f"GET {target} HTTP/1.1".encode()


def test_nothing_but_the_target_and_a_canonical_accept_passes(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    behind.say(404)
    with closing(web.connect()) as connection:
        headers = {
            "Accept": SAFARI,
            "Accept-Encoding": "gzip",
            "Authorization": "Bearer x",
            "Cookie": "a=b",
            "DPR": "2",
            "Forwarded": "host=evil",
            "If-None-Match": '"x"',
            "Range": "bytes=0-1",
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Host": "evil",
            "X-Request-Id": "chosen-by-a-client",
        }
        connection.request("GET", "/photo.jpg", body=b"a body", headers=headers)
        answered = receive(connection)
    head, _, body = behind.asked[0].partition(b"\r\n\r\n")
    assert (head.decode().split("\r\n"), body) == (
        [
            "GET /photo.jpg HTTP/1.1",
            "Host: edge",
            "Accept: image/avif,image/webp",
            f"X-Request-Id: {answered.headers['x-request-id']}",
            "X-Forwarded-For: 203.0.113.7, 127.0.0.1",
        ],
        b"",
    )


def test_a_signature_over_escapes_holds(site: Site) -> None:
    site.put("schöne bilder/a,b & c.jpg")
    path = "fit-in/60x40/filters:fill(red)/sch%C3%B6ne%20bilder/a,b%20&%20c.jpg"
    signed = f"/{Signer(secrets=(SECRET,)).sign(path)}/{path}"
    assert [site.web.get(signed, CHROME).status, site.web.get(signed + "x", CHROME).status] == [200, 403]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_other_methods_end_at_nginx(played: tuple[Client, Puppet], method: str) -> None:
    web, behind = played
    found = web.ask(method, "/photo.jpg", Content_Length="0")
    assert (found.status, found.headers["allow"], found.type) == (
        405,
        "GET, HEAD",
        "application/problem+json",
    )
    assert behind.asked == []


def test_nobody_sends_much(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    assert web.get("/photo.jpg", Content_Length="1025").status == 413
    assert web.get("/" + "a" * 8200).status == 414
    assert behind.asked == []


# -- files -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, str]]]:
    """A site that takes files, and what its user olga shows to it."""
    with ExitStack() as stack:
        behind = stack.enter_context(edge(tmp_path_factory.mktemp("edge"), IMGPROXY_JWT_SECRET=SECRET))
        web = stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), behind.client.port))
        key = re.search(r"pk_\w+", behind.run("key", "create", "--kind", "pk"))
        assert key
        shown = {"X_API_Key": key[0], "Authorization": f"Bearer {behind.run('token', '--sub', 'olga')}"}
        yield Site(web, behind), shown


def test_files_come_in_and_go_out_through_it(counter: tuple[Site, dict[str, str]]) -> None:
    site, olga = counter
    body = pictures.encoded(pictures.quadrants(480, 320), ".jpg")
    wish = {"filename": "cat.jpg", "contentType": "image/jpeg", "fileSize": len(body)}
    place = called(site, "/v1/files/presigned-url", olga, wish)
    assert place["url"].startswith(f"http://127.0.0.1:{site.web.port}/-/")
    path = place["url"].removeprefix(f"http://127.0.0.1:{site.web.port}")
    put = site.web.ask("PUT", path, body=body, Content_Type="image/jpeg", Origin="https://app.example")
    assert (put.status, put.headers["access-control-allow-origin"]) == (200, "*")

    said = {"s3Key": place["key"], "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(body)}
    file = called(site, "/v1/files", olga, said)
    url = called(site, f"/v1/files/{file['id']}/download-url", olga)["url"]
    path = url.removeprefix(f"http://127.0.0.1:{site.web.port}")
    part = site.web.get(path, Range="bytes=2-5")
    assert (part.status, part.body) == (206, body[2:6])
    assert part.cache == ""


def called(site: Site, path: str, shown: dict[str, str], body: object = None) -> dict[str, Any]:
    """What the API answers to a POST."""
    found = site.web.ask(
        "POST", path, body=json.dumps(body or {}).encode(), Content_Type="application/json", **shown
    )
    assert (found.status // 100, found.cache) == (2, ""), found
    return json.loads(found.body)  # type: ignore[no-any-return]


@pytest.mark.parametrize("target", ["/v1/files/1?x=%2F&y", "/s3/multipart/1?key=a%2Fb", "/-/a//b%20c?ticket"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_what_is_of_files_passes_as_it_comes(played: tuple[Client, Puppet], method: str, target: str) -> None:
    web, behind = played
    behind.say(404)
    headers = {
        "Host": "img.example:8080",
        "Accept": "text/html",
        "Authorization": "Bearer x",
        "Idempotency-Key": "once",
        "If-Match": '"1"',
        "Origin": "https://app.example",
        "Range": "bytes=0-1",
        "X-API-Key": "pk_x",
    }
    with closing(web.connect()) as connection:
        connection.request(method, target, headers=headers)
        receive(connection)
    first, *lines = behind.asked[0].decode().strip().split("\r\n")
    assert first == f"{method} {target} HTTP/1.1"
    passed = dict(line.split(": ", 1) for line in lines)
    assert headers.items() <= passed.items()
    assert (passed["X-Forwarded-Proto"], passed["X-Forwarded-For"]) == ("http", "127.0.0.1")


def test_a_body_reaches_the_edge_while_it_is_still_being_sent(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    behind.say(413, b"too much")
    with closing(web.connect()) as connection:
        connection.putrequest("PUT", "/-/staging/a?ticket")
        connection.putheader("Content-Length", str(5 * 1024**3))
        connection.endheaders()
        behind.wait_until_asked()
        assert receive(connection).body == b"too much"


def test_an_answer_reaches_the_client_while_it_is_still_being_sent(tmp_path: Path) -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        web = stack.enter_context(nginx(tmp_path, listening.getsockname()[1]))
        connection = stack.enter_context(closing(web.connect()))
        send(connection, "GET", "/-/files/a?ticket")
        behind = stack.enter_context(closing(listening.accept()[0]))
        behind.recv(65_536)
        behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        answer = connection.getresponse()
        first = answer.read(2)
        behind.sendall(b"cd")
        assert (first, answer.read()) == (b"ab", b"cd")


def test_more_than_any_file_may_have_ends_at_nginx(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    assert web.ask("PUT", "/-/staging/a", Content_Length=str(5122 * 1024**2)).status == 413
    assert behind.asked == []


def test_what_is_of_files_is_not_kept(played: tuple[Client, Puppet]) -> None:
    web, behind = played
    behind.say(200, b"x", X_Accel_Expires="60", Cache_Control="public, max-age=60")
    assert [web.get("/v1/files/1").body for _ in range(2)] == [b"x"] * 2
    assert len(behind.asked) == 2


def test_what_is_of_files_is_not_logged_with_its_query(tmp_path: Path) -> None:
    with puppet() as behind, nginx(tmp_path, behind.port) as web:
        behind.answer = b""  # which nginx has a line to say of
        assert web.get("/-/staging/a?secret").status == 502
    logged = (tmp_path / "access.log").read_text()
    assert json.loads(logged)["target"] == "/-/staging/a"
    assert "secret" not in logged + (tmp_path / "error.log").read_text()


# -- purge, health -----------------------------------------------------------------------------------------


def test_a_purge_forgets_one_url_for_one_kind_of_client(site: Site) -> None:
    target = "/95x60/filters:fill(red)/photo.jpg"

    def caches() -> list[str]:
        return [site.web.get(target, each).cache for each in (CHROME, OLDER, LEGACY)]

    def purge(kind: str) -> int:
        return site.web.purge.ask("PURGE", target, Pictures=kind).status

    assert caches() == [MISS] * 3
    assert [purge("avif"), purge("avif")] == [200, 404]
    assert caches() == [MISS, HIT, HIT]
    assert [purge(kind) for kind in ("avif", "webp", "legacy")] == [200] * 3
    assert caches() == [MISS] * 3


@pytest.fixture
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An edge that tells nginx what to forget."""
    (purge_port,) = _free_ports(1)
    settings = {
        "IMGPROXY_PURGE_SECRET": SECRET,
        "IMGPROXY_PURGE_URLS": f"http://127.0.0.1:{purge_port}/{{key}}",
        "IMGPROXY_SIGNING_SECRETS": SECRET,
        "IMGPROXY_JWT_SECRET": SECRET,
    }
    with ExitStack() as stack:
        behind = stack.enter_context(edge(tmp_path_factory.mktemp("edge"), **settings))
        web = stack.enter_context(
            nginx(tmp_path_factory.mktemp("nginx"), behind.client.port, purge_port=purge_port)
        )
        yield Site(web, behind)


def spellings(key: str) -> list[str]:
    """URLs of one image in all that the grammar allows."""
    signed = f"fit-in/300x0/{key}"
    return [
        f"/{key}",
        f"/300x0/{key}",
        f"/unsafe/300x0/{key}",
        f"/300x0/{key.replace('/', '%2F')}",
        f"/meta/{key}",
        f"/{key}?w=300",
        f"/{key}?h=200&w=300",
        f"/filters:format%28png%29/{key}",
        f"/b64:{urlsafe_b64encode(key.encode()).decode().rstrip('=')}",
        f"/8x8/filters:watermark({key.replace('/', '%2F')},0,0,0)/other.jpg",
        f"/{Signer(secrets=(SECRET,)).sign(signed)}/{signed}",
    ]


def test_a_purge_of_a_key_reaches_every_spelling_that_nginx_keeps(told: Site) -> None:
    key = "folder/photo.jpg"
    for each in (key, "other.jpg"):
        told.put(each)
    targets = spellings(key)
    for target in targets:
        assert [told.web.get(target, CHROME).cache for _ in range(2)] == [MISS, HIT], target
    told.web.get("/8x8/other.jpg", CHROME)
    told.edge.run("purge", key, "--server", f"http://127.0.0.1:{told.edge.client.port}")
    for target in targets:
        assert eventually(lambda target=target: told.web.get(target, CHROME), MISS).status == 200
    assert told.web.get("/8x8/other.jpg", CHROME).cache == HIT  # another's image stays


def test_a_file_taken_private_is_gone_from_nginx_in_every_size(told: Site) -> None:
    key = re.search(r"pk_\w+", told.edge.run("key", "create", "--kind", "pk"))
    assert key
    olga = {"X_API_Key": key[0], "Authorization": f"Bearer {told.edge.run('token', '--sub', 'olga')}"}
    body = pictures.encoded(pictures.quadrants(480, 320), ".jpg")
    place = called(told, "/v1/files/presigned-url", olga, {"filename": "a.jpg", "contentType": "image/jpeg"})
    path = place["url"].removeprefix(f"http://127.0.0.1:{told.web.port}")
    assert told.web.ask("PUT", path, body=body, Content_Type="image/jpeg").status == 200
    said = {"s3Key": place["key"], "originalName": "a.jpg", "mimeType": "image/jpeg", "size": len(body)}
    file = called(told, "/v1/files", olga, said)
    targets = [f"/{file['key']}", f"/300x0/{file['key']}", f"/{file['key']}?w=60"]
    for target in targets:
        assert [told.web.get(target).cache for _ in range(2)] == [MISS, HIT]
    change = json.dumps({"visibility": "private"}).encode()
    path = f"/v1/files/{file['id']}"
    assert told.web.ask("PATCH", path, body=change, Content_Type="application/json", **olga).status == 200
    for target in targets:
        assert eventually(lambda target=target: told.web.get(target), MISS).status == 404


def test_other_spellings_of_a_url_are_redirected_and_not_kept_as_images(told: Site) -> None:
    told.put("photo.jpg")
    signed = "300x0/photo.jpg"
    signature = Signer(secrets=(SECRET,)).sign(signed)
    moved = {
        "//300x0/photo.jpg": "/300x0/photo.jpg",
        "/unsafe//300x0/photo.jpg": "/unsafe/300x0/photo.jpg",
        "/300x0/%70hoto.jpg": "/300x0/photo.jpg",
        "/300x0/photo.jpg?": "/300x0/photo.jpg",
        f"/{signature.rstrip('=')}/{signed}": f"/{signature}/{signed}",
        f"//{signature}/{signed}": f"/{signature}/{signed}",
    }
    for target, location in moved.items():
        found = told.web.get(target)
        assert (found.status, found.headers["location"]) == (308, location)
    assert told.web.get("/300x0//photo.jpg").status == 400


def test_only_this_machine_purges_and_only_by_the_word(site: Site) -> None:
    target = "/96x60/photo.jpg"
    site.web.get(target)
    assert "listen 127.0.0.1:8081;" in CONFIG.read_text()
    refused = [site.web.ask("PURGE", target), site.web.purge.get(target, Pictures="legacy")]
    assert [each.status for each in refused] == [405, 405]
    assert site.web.get(target).cache == HIT


def test_health_is_the_edges_own_word(hasty: Site) -> None:
    asked = [hasty.web.get(path) for path in ("/healthz", "/readyz")]
    assert [(each.status, each.headers.get("cache-control"), each.cache) for each in asked] == [
        (200, "no-store", "")
    ] * 2
    hasty.edge.kill()
    try:
        assert [hasty.web.get(path).status for path in ("/healthz", "/readyz")] == [502, 502]
    finally:
        hasty.edge.start()


def test_what_the_edge_counts_is_nobodys_business(site: Site) -> None:
    assert site.web.get("/metrics").status == 404


def test_the_log_is_json(tmp_path: Path) -> None:
    with puppet() as behind, nginx(tmp_path, behind.port) as web:
        behind.say(404)
        found: Answer = web.get('/a"b%0a.jpg', CHROME)
    line = json.loads((tmp_path / "access.log").read_text().splitlines()[-1])
    known = {name: line[name] for name in ("id", "method", "target", "status", "cache", "pictures")}
    assert known == {
        "id": found.headers["x-request-id"],
        "method": "GET",
        "target": '/a"b%0a.jpg',
        "status": 404,
        "cache": "MISS",
        "pictures": "avif",
    }
