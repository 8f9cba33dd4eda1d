"""The tree of errors is the one that its file draws."""

from __future__ import annotations

import re

from imgproxy import errors


def test_the_drawing_names_every_error_and_no_other() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"ImgproxyError"}
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert drawn == defined


def test_every_error_says_what_it_means() -> None:
    for name, value in vars(errors).items():
        if isinstance(value, type):
            assert value.__doc__, name
