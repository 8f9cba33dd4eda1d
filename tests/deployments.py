"""Both ways to deploy, as a pytest plugin: a folder and SQLite; a real S3 server and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from imgproxy.cli import keys
from imgproxy.files.model import TenantId
from imgproxy.settings import read
from tests.postgres import Postgres
from tests.services import SeaweedFS

SECRET = "a secret for tests, of 32 bytes and more"
_EVERYWHERE = {
    "IMGPROXY_ADMIN_PORT": "0",
    "IMGPROXY_AUTO_FORMATS": "webp",  # drawn sooner than AVIF
    "IMGPROXY_JWT_SECRET": SECRET,
    "IMGPROXY_UNREGISTERED": "deny",
    "IMGPROXY_WORKERS": "1",
}


@pytest.fixture(scope="session", params=["folder-sqlite", "s3-postgresql"])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The settings of a server, as environment."""
    cache = {"IMGPROXY_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}
    if request.param == "folder-sqlite":
        folder = tmp_path_factory.mktemp("deployment")
        yield _EVERYWHERE | cache | _local(folder)
        return
    seaweedfs, postgres = request.getfixturevalue("seaweedfs"), request.getfixturevalue("postgres")
    with _remote(seaweedfs, postgres) as settings:
        yield _EVERYWHERE | cache | settings


def _local(folder: Path) -> dict[str, str]:
    return {
        "IMGPROXY_STORAGE": f"file://{folder}/objects",
        "IMGPROXY_DATABASE": f"sqlite:///{folder}/imgproxy.db",
    }


def signed_in(settings: dict[str, str]) -> dict[str, str]:
    """What a page of the deployment's tenant shows for its user olga: headers by name."""
    with ThreadPoolExecutor(1) as beside:  # a thread in which no browser is driven has no loop yet
        return beside.submit(_signed_in, settings).result()


def _signed_in(settings: dict[str, str]) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        read_ = read()
    key, _ = asyncio.run(keys.create_key(read_, "pk", TenantId("default")))
    token = keys.make_token(read_, user="olga", seconds=3600, tenant="default", role=None)
    return {"X-API-Key": key, "Authorization": f"Bearer {token}"}


@contextmanager
def _remote(seaweedfs: SeaweedFS, postgres: Postgres) -> Iterator[dict[str, str]]:
    with seaweedfs.bucket() as bucket, postgres.database() as name:
        rule = {
            "AllowedOrigins": ["*"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["Content-Type"],
            "ExposeHeaders": ["ETag"],
        }
        seaweedfs.client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
        yield {
            "IMGPROXY_STORAGE": f"s3://{bucket}?region=us-east-1&endpoint={seaweedfs.endpoint}&path_style=1",
            "IMGPROXY_DATABASE": postgres.url(name),
            **seaweedfs.owner.environment,
        }
