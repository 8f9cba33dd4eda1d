"""What an endpoint is handed."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from imgproxy.api.endpoints import Call, version_tag
from imgproxy.errors import Changed, FileNotFound
from imgproxy.files.model import TenantId
from imgproxy.files.principal import Kind, Principal
from tests.api.shell import THINGS, Part
from tests.files.test_policy import a_file

ID = "0197a1f0-0000-7000-8000-000000000001"


def call(id_: str = ID, **headers: str) -> Call[None]:
    http = make_mocked_request("GET", "/", headers=headers)
    return Call(Principal(TenantId("t"), Kind.ANONYMOUS), None, {"id": id_}, "", http)


def test_an_id_in_the_path_is_one_in_either_case() -> None:
    assert call(ID.upper()).file_id == ID


@pytest.mark.parametrize("text", ["", "1", "..", ID + "0", ID.replace("-", ""), "%00"])
def test_what_cannot_be_an_id_is_not_found(text: str) -> None:
    with pytest.raises(FileNotFound):
        _ = call(text).file_id


@pytest.mark.parametrize("names", ["*", '"1"', '"0", "1"'])
def test_a_version_that_is_still_the_last_may_be_changed(names: str) -> None:
    call(**{"If-Match": names}).require_match(a_file())


def test_who_names_no_version_means_whichever_is_there() -> None:
    call().require_match(a_file())


@pytest.mark.parametrize("names", ['"2"', 'W/"1"', "1", '""'])
def test_a_version_that_is_not_the_last_may_not_be_changed(names: str) -> None:
    with pytest.raises(Changed):
        call(**{"If-Match": names}).require_match(a_file())


def test_a_version_is_a_strong_tag() -> None:
    assert version_tag(a_file()) == '"1"'


def test_a_group_is_bound_whole() -> None:
    assert [bound.endpoint for bound in THINGS.bind(Part())] == list(THINGS.endpoints)
