"""EXIF is left out, also where metadata is kept."""

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


def test_exif_goes_and_the_rest_stays() -> None:
    assert b"Camera" in _kept().data
    bare = _kept("strip_exif()")
    assert b"Camera" not in bare.data
    assert b"Exif" not in bare.data
    assert bare.image.get_typeof("icc-profile-data")
    assert b"xmpmeta" in bare.data


def test_the_copyright_goes_with_it() -> None:
    assert b"Somebody" in _kept(metadata="copyright").data
    assert b"Somebody" not in _kept("strip_exif()", metadata="copyright").data


def test_it_is_in_the_key_and_takes_no_arguments() -> None:
    assert canonical("strip_exif()") == "strip_exif(True)"
    assert refusal("strip_exif(1)").startswith("strip_exif: no arguments")
