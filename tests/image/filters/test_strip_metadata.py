"""Nothing is left but the pixels, also where metadata is kept."""

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


def test_everything_goes_and_colours_are_srgb() -> None:
    bare = _kept("strip_metadata()")
    for trace in (b"Camera", b"Exif", b"xmpmeta", b"ICC_PROFILE", b"Somebody"):
        assert trace in _kept().data
        assert trace not in bare.data
    assert bare.data == _kept(metadata="strip").data


def test_the_copyright_goes_with_it() -> None:
    assert b"Somebody" not in _kept("strip_metadata()", metadata="copyright").data


def test_it_is_in_the_key_and_takes_no_arguments() -> None:
    assert canonical("strip_metadata()") == "strip_metadata(True)"
    assert refusal("strip_metadata(1)").startswith("strip_metadata: no arguments")
