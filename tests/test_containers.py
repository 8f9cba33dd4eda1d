"""Dockerfile and compose.yaml without an engine: every name in them is one that exists.

What an engine would find out by building is found here by reading: sources, commands, ports, settings; what
it would find out by running, `.ci/containers` does.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgproxy import settings
from imgproxy.cli import parser
from imgproxy.storage.storage_url import parse_storage_url as storage_address
from tests import dockerfile
from tests.dockerfile import ROOT
from tests.services import _binary as weed
from tests.web import puppet

NGINX = (ROOT / "nginx.conf").read_text()

KNOWN = {
    *settings.variables(),
    "IMGPROXY_DATABASE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "MALLOC_ARENA_MAX",
    "PATH",
}
BUILDERS = {"build-essential", "gcc", "g++", "make", "cmake", "git", "pkg-config", "rustc"}


STAGES = dockerfile.stages()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def texts(stage: str, word: str) -> list[str]:
    return dockerfile.texts(STAGES[stage], word)


def step(stage: str, word: str) -> dockerfile.Step:
    return dockerfile.only(STAGES[stage], word)


def interpolated(text: str) -> str:
    """A value as Compose reads it where nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


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
    locks = {path.name for path in ROOT.glob("*.lock")}
    readme = re.findall(r'^readme = "(.+)"', project, re.MULTILINE)
    licences = set(re.findall(r"^license-files = \[\"(.+)\"\]", project, re.MULTILINE))
    assert {"pyproject.toml", "imgproxy", "docs/errors", *readme, *licences, *locks} == copied


def test_nothing_is_fetched_without_a_hash() -> None:
    (run,) = texts("build", "RUN")
    fetching = [command for command in run.split(" && ") if re.search(r"pip (install|wheel) ", command)]
    assert len(fetching) == 4
    assert [each for each in fetching if not {"--require-hashes", "--no-index"} & set(each.split())] == []
    builds = [each for each in fetching if "/pip wheel " in each]
    assert [each for each in builds if "--no-build-isolation" not in each] == []


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
    assert "IMGPROXY_SANDBOX=require" in step("imgproxy", "ENV").text


def test_the_edge_is_not_root_and_owns_what_it_writes() -> None:
    user, (made,) = step("imgproxy", "USER").text, texts("imgproxy", "RUN")
    assert user.isdigit()
    assert f"--uid {user} " in made
    home, data = step("imgproxy", "WORKDIR").text, step("imgproxy", "VOLUME").text
    defaults = settings.Settings.model_construct()
    for path in (f"{defaults.storage.root}", f"{defaults.cache_dir.parent}"):
        assert re.search(rf"install -d -m 0700 -o imgproxy .*{home}/{Path(path)}\b", made)
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


def test_compose_trusted_proxies_is_the_address_of_nginx_alone() -> None:
    trusted = SERVICES["imgproxy"]["environment"]["IMGPROXY_TRUSTED_PROXIES"]
    address = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    assert trusted == f"{address}/32"
    (pool,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    subnet, dynamic = ip_network(pool["subnet"]), ip_network(pool["ip_range"])
    assert ip_address(address) in subnet
    assert ip_address(address) != subnet[1]  # the gateway's, from which the host itself connects
    assert dynamic.subnet_of(subnet)
    assert ip_address(address) not in dynamic  # or another container, started first, may be given it
    assert {name for name, each in SERVICES.items() if "front" in each["networks"]} == {"nginx", "imgproxy"}


def test_the_edge_may_do_no_more_than_it_needs() -> None:
    edge = SERVICES["imgproxy"]
    assert (edge["read_only"], edge["cap_drop"]) == (True, ["ALL"])
    assert edge["security_opt"] == ["no-new-privileges:true"]


def test_the_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = SERVICES["imgproxy"]["environment"]
    environment = {name: interpolated(str(value)) for name, value in given.items()}
    assert set(environment) <= KNOWN
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    read = settings.read()
    assert read.storage == storage_address(environment["IMGPROXY_STORAGE"])
    bucket, endpoint = read.storage.bucket, read.storage.endpoint
    assert f"-bucket={bucket}" in SERVICES["seaweedfs"]["command"]
    assert endpoint == "http://seaweedfs:8333"
    assert read.storage.public_endpoint == f"http://{SERVICES['seaweedfs']['ports'][0].rpartition(':')[0]}"
    assert set(SERVICES["seaweedfs"]["networks"]) & set(SERVICES["imgproxy"]["networks"])


def test_the_records_lie_where_the_edge_looks_for_them() -> None:
    service = SERVICES["postgres"]
    told = {name: interpolated(value) for name, value in service["environment"].items()}
    user, password = told["POSTGRES_USER"], told["POSTGRES_PASSWORD"]
    url = interpolated(SERVICES["imgproxy"]["environment"]["IMGPROXY_DATABASE"])
    assert url == f"postgresql://{user}:{password}@postgres:5432/{user}"
    assert service["networks"] == ["back"]
    assert "ports" not in service


def test_the_records_outlive_their_container() -> None:
    """From version 18 on the image's volume is the parent of the former one, which it leaves empty."""
    service = SERVICES["postgres"]
    _, version = service["image"].split(":")
    assert int(version) >= 18
    assert [volume.split(":")[1] for volume in service["volumes"]] == ["/var/lib/postgresql"]


def test_what_is_asked_before_a_service_depends_on_it_is_its_readiness() -> None:
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] == "service_healthy"
            built = SERVICES[name].get("build", {}).get("target")
            assert step(built, "HEALTHCHECK") if built else SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_postgres_is_asked_by_the_way_that_the_edge_takes() -> None:
    command = SERVICES["postgres"]["healthcheck"]["test"][1:]
    assert (command[0], command[command.index("-h") + 1]) == ("pg_isready", "127.0.0.1")


def test_every_password_can_be_set() -> None:
    secret = re.compile(r"(\$\{\w+:-)?only-for-this-machine")
    text = (ROOT / "compose.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert {found[1] for line in lines for found in secret.finditer(line)} == {
        "${S3_SECRET_KEY:-",
        "${DATABASE_PASSWORD:-",
    }


def test_the_store_is_told_what_it_understands() -> None:
    command, *options = SERVICES["seaweedfs"]["command"]
    told = subprocess.run([weed(), "help", command], check=False, capture_output=True, text=True)
    known = set(re.findall(r"^ +(-[\w.]+)", told.stdout + told.stderr, re.MULTILINE))
    assert {option.split("=")[0] for option in options} <= known
    version = subprocess.run([weed(), "version"], check=False, capture_output=True, text=True).stdout
    assert SERVICES["seaweedfs"]["image"].rpartition(":")[2] in version.split()
    assert SERVICES["seaweedfs"]["environment"]["AWS_ACCESS_KEY_ID"] == "imgproxy"


def test_what_compose_says_of_the_grace_period_is_enough() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "imgproxy").rglob("*.py"))
    (drain,) = re.findall(r"^DRAIN_SECONDS = (\d+)", sources, re.MULTILINE)
    assert int(SERVICES["imgproxy"]["stop_grace_period"].removesuffix("s")) >= int(drain) + 10


# -- without an engine -------------------------------------------------------------------------------------


def containers(*arguments: str) -> list[str]:
    """What the script says that runs the Dockerfile's lines."""
    command = [sys.executable, str(ROOT / ".ci" / "containers"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_the_script_has_a_line_for_each_of_the_edges_steps() -> None:
    steps = [f"{step.word} {step.text}" for stage in ("build", "imgproxy") for step in STAGES[stage]]
    listed = [
        re.fullmatch(r"containers: +(run|not run|instead)  (.+)", line) for line in containers("--list")
    ]
    assert [found and found[2].partition(": /")[0] for found in listed] == steps


def test_the_script_leaves_out_what_needs_root_and_nothing_else() -> None:
    left_out = {line.split("  ")[1].split()[0] for line in containers("--list") if ": not run  " in line}
    ran = [line for line in containers("--list") if "   run  RUN " in line]
    assert left_out == {"RUN", "USER"}
    assert [line.count("pip install") for line in ran] == [2]


def test_the_script_has_a_help_worth_reading() -> None:
    told = "\n".join(containers("--help"))
    assert "--list" in told
    assert "SIGTERM" in told
