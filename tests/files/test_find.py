"""Finding a file for somebody; who sees what is proved in `test_permission` and `test_reading`."""

from __future__ import annotations

import asyncio

import pytest

from imgproxy.errors import FileNotFound
from imgproxy.files.find import find, find_to_change
from imgproxy.files.policy import Action
from tests.files.keeping import UNKNOWN, Keeping
from tests.files.uploading import ANN, ELSEWHERE, NOW


@pytest.mark.parametrize("look", [find, find_to_change])
async def test_a_file_is_found_within_its_tenant_alone(keeping: Keeping, look: object) -> None:
    file = await keeping.file()
    database = keeping.desk.database
    assert callable(look)
    assert await database.write(lambda record: look(record, ANN, Action.GET, file.id, now=NOW)) == file
    for principal, id_ in ((ELSEWHERE, file.id), (ANN, UNKNOWN)):
        with pytest.raises(FileNotFound, match=r"^there is no such file$"):
            await database.write(
                lambda record, who=principal, which=id_: look(record, who, Action.GET, which, now=NOW)
            )


async def test_many_find_to_change_at_once(keeping: Keeping) -> None:
    file = await keeping.file()

    def work(record: object) -> int:
        return find_to_change(record, ANN, Action.PATCH, file.id, now=NOW).row_version  # type: ignore[arg-type]

    versions = await asyncio.gather(*(keeping.desk.database.write(work) for _ in range(4)))
    assert versions == [file.row_version] * 4
