"""What the API says of itself."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from imgproxy.api.openapi import document
from imgproxy.api.openapi_routes import routes
from imgproxy.http.problems import meanings, type_url
from tests.api.shell import THINGS


async def test_anybody_may_read_the_document_and_the_page_and_keep_them() -> None:
    application = web.Application()
    application.router.add_routes(routes([THINGS]))
    async with TestClient(TestServer(application)) as client:
        told = await client.get("/v1/openapi.json")
        assert await told.json() == document([THINGS])
        assert told.headers["Access-Control-Allow-Origin"] == "*"
        page = await client.get("/v1/docs")
        assert page.content_type == "text/html"
        for endpoint in THINGS.endpoints:
            assert f"<code>{endpoint.method} {endpoint.path}</code>" in await page.text()
        assert 'href="/v1/docs/errors/file/not-found"' in await page.text()
        kept = await client.get("/v1/docs", headers={"If-None-Match": page.headers["ETag"]})
        assert (page.status, kept.status) == (200, 304)


async def test_routes_serve_a_page_for_every_error_code() -> None:
    application = web.Application()
    application.router.add_routes(routes([THINGS]))
    async with TestClient(TestServer(application)) as client:
        for code in meanings():
            page = await client.get(type_url(code.code))
            text = await page.text()
            assert (page.status, page.content_type, text.splitlines()[0]) == (
                200,
                "text/plain",
                f"# {code.code}",
            )
