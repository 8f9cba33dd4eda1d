"""A variable that is no setting is named, with the nearest that is, or with the server that it belongs to."""

from __future__ import annotations

import pytest

from imgproxy.unknown_variables import first_error

KNOWN = ("IMGPROXY_TTL", "IMGPROXY_MAX_PIXELS", "IMGPROXY_STORAGE")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("IMGPROXY_MAX_PIXEL", "IMGPROXY_MAX_PIXEL: is no setting; the nearest is IMGPROXY_MAX_PIXELS"),
        ("IMGPROXY_XYZ", "IMGPROXY_XYZ: is no setting"),
        ("imgproxy_stroage", "imgproxy_stroage: is no setting; the nearest is IMGPROXY_STORAGE"),
    ],
)
def test_first_error_names_the_nearest_setting(name: str, error: str) -> None:
    assert first_error([name], KNOWN) == error


@pytest.mark.parametrize("name", ["KEY", "SALT", "BIND", "USE_S3", "MAX_SRC_RESOLUTION"])
def test_first_error_tells_the_other_imgproxy_apart(name: str) -> None:
    assert "imgproxy.net's server" in str(first_error([f"IMGPROXY_{name}"], KNOWN))


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "IMGPROXYX", "IMGPROXY_TTL", "imgproxy_ttl"),
        *(
            "IMGPROXY_SERVICE_HOST",
            "IMGPROXY_SERVICE_PORT_HTTP",
            "IMGPROXY_PORT",
            "IMGPROXY_PORT_8080_TCP_ADDR",
        ),
    ],
    ids=str,
)
def test_first_error_leaves_settings_and_kubernetes_alone(name: str) -> None:
    assert first_error([name], KNOWN) is None
