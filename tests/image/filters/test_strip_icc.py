"""The profile is left out, and the colours are brought to sRGB first."""

from __future__ import annotations

from imgproxy.engine.worker_protocol import Encoding
from imgproxy.image.formats import Format
from tests.pictures import Made, canonical, encoded, gradient, made, refusal, tagged

_PHOTO = encoded(
    tagged(
        gradient(40, 30), exif_ifd0_Make="Camera", exif_ifd0_Copyright="Somebody", xmp_data=b"<x:xmpmeta/>"
    ).icc_transform("p3", input_profile="srgb"),
    ".jpg",
)


def _kept(*calls: str, metadata: str = "keep") -> Made:
    return made(_PHOTO, *calls, encoding=Encoding(metadata=metadata), to=Format.JPEG)  # type: ignore[arg-type]


def test_the_profile_goes_and_the_rest_stays() -> None:
    assert _kept().image.get_typeof("icc-profile-data")
    bare = _kept("strip_icc()")
    assert not bare.image.get_typeof("icc-profile-data")
    assert b"Camera" in bare.data


def test_colours_look_the_same_without_it() -> None:
    as_srgb = _kept("strip_icc()").pixels
    assert abs(as_srgb - gradient(40, 30).numpy().astype(int)).mean() < 5
    assert abs(_kept().pixels - as_srgb).mean() > 3


def test_it_is_in_the_key_and_takes_no_arguments() -> None:
    assert canonical("strip_icc()") == "strip_icc(True)"
    assert refusal("strip_icc(1)").startswith("strip_icc: no arguments")
