"""Dockerfile and compose.yaml without an engine: every name in them is one that exists.

What an engine would find out by building is found here by reading: sources, commands, ports, settings.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from imgproxy import settings
from imgproxy.cli import parser
from imgproxy.storage.address import parse as storage_address
from tests.services import _binary as weed
from tests.web import puppet

ROOT = Path(__file__).parent.parent
NGINX = (ROOT / "nginx.conf").read_text()

KNOWN = {*settings.variables(), "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MALLOC_ARENA_MAX", "PATH"}
BUILDERS = {"build-essential", "gcc", "g++", "make", "cmake", "git", "pkg-config", "rustc"}


class Step(NamedTuple):
    """One instruction."""

    word: str
    text: str

    @property
    def command(self) -> list[str]:
        """The words of the form that no shell reads."""
        found = json.loads(self.text[self.text.index("[") :])
        assert all(isinstance(word, str) for word in found)
        return list(found)


def stages() -> dict[str, list[Step]]:
    """The Dockerfile's steps by stage, FROM first."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    found: dict[str, list[Step]] = {}
    for instruction in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not instruction.strip():
            continue
        word, text = instruction.split(None, 1)
        if word == "FROM":
            name = re.fullmatch(r"\S+ AS (\w+)", text)
            assert name, instruction
            current = found.setdefault(name[1], [])
        current.append(Step(word, " ".join(text.split())))
    return found


STAGES = stages()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def texts(stage: str, word: str) -> list[str]:
    return [step.text for step in STAGES[stage] if step.word == word]


def step(stage: str, word: str) -> Step:
    (found,) = (each for each in STAGES[stage] if each.word == word)
    return found


# -- Dockerfile --------------------------------------------------------------------------------------------


def test_the_image_that_is_built_unasked_is_the_edge() -> None:
    assert list(STAGES) == ["nginx", "build", "imgproxy"]


def test_every_instruction_is_one() -> None:
    making = {"FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR"}
    running = {"VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {step.word for steps in STAGES.values() for step in steps} <= making | running


@pytest.mark.parametrize("stage", STAGES)
def test_whatever_is_copied_is_there(stage: str) -> None:
    for text in texts(stage, "COPY"):
        *sources, _ = [word for word in text.split() if not word.startswith("--")]
        origin = re.search(r"--from=(\w+)", text)
        if origin:
            assert any(f"venv {source} " in run for source in sources for run in texts(origin[1], "RUN"))
        else:
            assert [source for source in sources if not (ROOT / source).exists()] == []


def test_what_the_package_is_built_from_is_copied() -> None:
    copied = {word for text in texts("build", "COPY") for word in text.split()[:-1]}
    project = (ROOT / "pyproject.toml").read_text()
    assert {"pyproject.toml", "imgproxy", *re.findall(r'^readme = "(.+)"', project, re.MULTILINE)} == copied


def test_python_is_new_enough_and_the_same_in_both_stages() -> None:
    bases = {step(stage, "FROM").text.split()[0] for stage in ("build", "imgproxy")}
    (version,) = (re.fullmatch(r"python:3\.(\d+)-slim-bookworm", base) for base in bases)
    wanted = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert version
    assert wanted
    assert int(version[1]) >= int(wanted[1])


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_left_of_installing(stage: str) -> None:
    for run in texts(stage, "RUN"):
        assert ("apt-get install" in run) == ("rm -rf /var/lib/apt/lists/*" in run)
        assert not BUILDERS & set(run.split())
        assert "pip install" not in run or (stage == "build" and "--no-cache-dir" in run)
        subprocess.run(["sh", "-n", "-c", run], check=True)


def test_every_variable_is_known() -> None:
    names = {name for stage in STAGES for text in texts(stage, "ENV") for name in re.findall(r"(\w+)=", text)}
    assert names <= KNOWN
    assert "MALLOC_ARENA_MAX=2" in step("imgproxy", "ENV").text


def test_the_edge_is_not_root_and_owns_what_it_writes() -> None:
    user, (made,) = step("imgproxy", "USER").text, texts("imgproxy", "RUN")
    assert user.isdigit()
    assert f"--uid {user} " in made
    home, data = step("imgproxy", "WORKDIR").text, step("imgproxy", "VOLUME").text
    defaults = settings.Settings.model_construct()
    for path in (f"{defaults.storage.root}", f"{defaults.cache_dir.parent}"):
        assert re.search(rf"install -d -o imgproxy .*{home}/{Path(path)}\b", made)
    assert data == f"{home}/data"


def test_the_edge_is_started_as_its_help_says_and_checked_where_it_listens() -> None:
    assert step("imgproxy", "ENTRYPOINT").command == ["imgproxy"]
    asked = parser().parse_args(step("imgproxy", "CMD").command)
    assert (asked.host, str(asked.port)) == ("0.0.0.0", step("imgproxy", "EXPOSE").text)  # noqa: S104
    assert f":{asked.port}/readyz'" in step("imgproxy", "HEALTHCHECK").command[-1]


@pytest.mark.parametrize("status", [200, 503])
def test_the_health_check_knows_ready_from_not_ready(status: int) -> None:
    program, *arguments = step("imgproxy", "HEALTHCHECK").command
    assert program == "python"
    with puppet() as edge:
        edge.say(status)
        there = [word.replace(":8080/", f":{edge.port}/") for word in arguments]
        checked = subprocess.run([sys.executable, *there], check=False, capture_output=True)
    assert [asked.split(b"\r\n")[0] for asked in edge.asked] == [b"GET /readyz HTTP/1.1"]
    assert (checked.returncode == 0) == (status == 200)


def test_nginx_gets_our_configuration_with_the_edges_name(tmp_path: Path) -> None:
    (change,) = (text for text in texts("nginx", "RUN") if text.startswith("sed "))
    copied, target = step("nginx", "COPY").text.split()
    assert (copied, target) == ("nginx.conf", "/etc/nginx/nginx.conf")
    (tmp_path / copied).write_text(NGINX)
    words = [str(tmp_path / copied) if word == target else word for word in shlex.split(change)]
    subprocess.run(words, check=True)
    changed = (tmp_path / copied).read_text()
    port = step("imgproxy", "EXPOSE").text
    assert changed.count(f"server imgproxy:{port};") == 1
    assert changed.replace(f"server imgproxy:{port};", f"server 127.0.0.1:{port};") == NGINX
    assert "imgproxy" in SERVICES


def test_nginx_has_what_its_configuration_names() -> None:
    (installed,) = (text for text in texts("nginx", "RUN") if "apt-get install" in text)
    assert {"nginx", "libnginx-mod-http-cache-purge", "curl"} <= set(installed.split())
    for log in re.findall(r"/var/log/nginx/\w+\.log", NGINX):
        assert f" {log}" in installed
    assert f"proxy_cache_path {step('nginx', 'VOLUME').text} " in NGINX
    assert f"listen {step('nginx', 'EXPOSE').text} " in NGINX
    assert "daemon" not in NGINX
    assert step("nginx", "CMD").command == ["nginx", "-g", "daemon off;"]


# -- compose.yaml ------------------------------------------------------------------------------------------


def test_compose_names_what_is_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
        if "build" in service:
            assert service["build"] == {"context": ".", "target": service["build"]["target"]}
            assert service["build"]["target"] in STAGES
        else:
            assert re.fullmatch(r"\S+:\d[\d.]*", service["image"])
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", ["nginx", "imgproxy"])
def test_volumes_lie_where_the_images_have_them(name: str) -> None:
    mounted = [volume.split(":")[1] for volume in SERVICES[name]["volumes"]]
    assert mounted == [step(name, "VOLUME").text]


def test_nothing_is_published_beyond_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert SERVICES["nginx"]["ports"][0].endswith(f":{step('nginx', 'EXPOSE').text}")
    assert "ports" not in SERVICES["imgproxy"]


def test_the_edge_may_do_no_more_than_it_needs() -> None:
    edge = SERVICES["imgproxy"]
    assert (edge["read_only"], edge["cap_drop"]) == (True, ["ALL"])
    assert edge["security_opt"] == ["no-new-privileges:true"]


def test_the_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {name: str(value) for name, value in SERVICES["imgproxy"]["environment"].items()}
    assert set(environment) <= KNOWN
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    read = settings.read()
    assert read.storage == storage_address(environment["IMGPROXY_STORAGE"])
    bucket, endpoint = read.storage.bucket, read.storage.endpoint
    assert f"-bucket={bucket}" in SERVICES["seaweedfs"]["command"]
    assert endpoint == "http://seaweedfs:8333"
    assert set(SERVICES["seaweedfs"]["networks"]) & set(SERVICES["imgproxy"]["networks"])


def test_the_store_is_told_what_it_understands() -> None:
    command, *options = SERVICES["seaweedfs"]["command"]
    told = subprocess.run([weed(), "help", command], check=False, capture_output=True, text=True)
    known = set(re.findall(r"^ +(-[\w.]+)", told.stdout + told.stderr, re.MULTILINE))
    assert {option.split("=")[0] for option in options} <= known
    version = subprocess.run([weed(), "version"], check=False, capture_output=True, text=True).stdout
    assert SERVICES["seaweedfs"]["image"].rpartition(":")[2] in version.split()
    assert SERVICES["seaweedfs"]["environment"]["AWS_ACCESS_KEY_ID"] == "imgproxy"


def test_what_compose_says_of_the_grace_period_is_enough() -> None:
    drain = re.search(r"_DRAIN_SECONDS = (\d+)", (ROOT / "imgproxy" / "app.py").read_text())
    assert drain
    assert int(SERVICES["imgproxy"]["stop_grace_period"].removesuffix("s")) > int(drain[1])
