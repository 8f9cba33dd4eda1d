"""Changing, deleting and restoring files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from imgproxy.errors import (
    AccessDenied,
    Changed,
    FileNotFound,
    ImgproxyError,
    InvalidRequest,
    KeyExists,
    Unavailable,
)
from imgproxy.files.editing import MAX_METADATA_BYTES, FileEditor, merged, patched
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Collection, File, FileState, Share, UploadState, Visibility
from imgproxy.files.retention import Retention
from tests.files.keeping import UNKNOWN, Keeping, writable_once
from tests.files.samples import file, set_collection
from tests.files.uploading import ACME, ACME_ITSELF, ANN, BOB, ELSEWHERE, JPEG, NOBODY, NOW, Clock

DAY = 24 * 3600 * 1000
MONTH = 30 * DAY


def version(wanted: int):  # type: ignore[no-untyped-def]
    """A check that a file is in one version."""

    def check(file: File) -> None:
        if file.row_version != wanted:
            raise Changed("it is another")

    return check


async def test_a_patch_changes_what_it_names_and_raises_the_version(keeping: Keeping) -> None:
    before = await keeping.file(alt="a cat", metadata={"a": 1, "b": {"c": 2, "d": 3}}, tags=("cat",))
    keeping.desk.clock.now += 5
    after = await keeping.changes.patch(
        ANN, before.id, {"alt": None, "metadata": {"a": None, "b": {"c": 4}}, "tags": ["tom"]}
    )
    expected = replace(before, alt=None, metadata={"b": {"c": 4, "d": 3}}, tags=("tom",))
    assert after == replace(expected, row_version=2, updated_at=keeping.desk.clock.now)
    assert await keeping.now(before) == after


async def test_what_the_edge_need_not_know_is_told_to_nobody(keeping: Keeping) -> None:
    file = await keeping.file()
    await keeping.changes.patch(ANN, file.id, {"alt": "a cat"})
    assert (keeping.desk.told, await keeping.tasks()) == ([], [])


async def test_a_flip_is_told_and_promised_to_caches_in_front(keeping: Keeping) -> None:
    file = await keeping.file()
    after = await keeping.changes.patch(ANN, file.id, {"visibility": Visibility.PRIVATE})
    assert after.generation == file.generation + 1
    assert keeping.desk.told == [file.key]
    assert [task.payload for task in await keeping.tasks("purge")] == [{"key": file.key}]


async def test_a_change_and_its_promise_are_one_write(one: Keeping) -> None:
    file = await one.file()
    changes = FileEditor(database=writable_once(one.desk.database), ids=one.ids, tell=one.desk.tell)
    await changes.patch(ANN, file.id, {"visibility": Visibility.PRIVATE})
    assert [task.payload for task in await one.tasks("purge")] == [{"key": file.key}]


async def test_a_patch_that_changes_nothing_is_no_change(keeping: Keeping) -> None:
    file = await keeping.file(alt="a cat")
    after = await keeping.changes.patch(ANN, file.id, {"alt": "a cat", "visibility": Visibility.PUBLIC})
    assert after == file
    assert keeping.desk.told == []


async def test_a_refused_change_changes_nothing(keeping: Keeping) -> None:
    file = await keeping.file()
    with pytest.raises(Changed):
        await keeping.changes.patch(
            ANN, file.id, {"visibility": Visibility.PRIVATE}, check=version(file.row_version + 1)
        )
    assert await keeping.now(file) == file
    assert (keeping.desk.told, await keeping.tasks()) == ([], [])


async def test_of_many_who_change_one_version_one_does(keeping: Keeping) -> None:
    file = await keeping.file()
    outcomes = await asyncio.gather(
        *(
            keeping.changes.patch(ANN, file.id, {"alt": str(n)}, check=version(file.row_version))
            for n in range(8)
        ),
        return_exceptions=True,
    )
    won = [each for each in outcomes if isinstance(each, File)]
    assert [type(each) for each in outcomes if not isinstance(each, File)] == [Changed] * 7
    assert [await keeping.now(file)] == won


async def test_who_minds_no_version_loses_nobodys_change(keeping: Keeping) -> None:
    file = await keeping.file()
    await asyncio.gather(*(keeping.changes.patch(ANN, file.id, {"metadata": {str(n): n}}) for n in range(8)))
    assert (await keeping.now(file)).metadata == {str(n): n for n in range(8)}


async def test_a_deleted_file_is_there_for_its_owner_alone_and_its_bytes_stay(keeping: Keeping) -> None:
    file = await keeping.file()
    await keeping.changes.delete(ANN, file.id)
    after = await keeping.now(file)
    assert (after.state, after.deleted_at, after.purge_after) == (FileState.DELETED, NOW, NOW + MONTH)
    assert after.generation == file.generation + 1
    assert keeping.desk.told == [file.key]
    assert [task.kind for task in await keeping.tasks()] == ["purge"]
    assert await keeping.desk.body(file.object_key) == JPEG


async def test_deleting_again_is_as_good(keeping: Keeping) -> None:
    file = await keeping.file()
    await asyncio.gather(*(keeping.changes.delete(ANN, file.id) for _ in range(4)))
    once = await keeping.now(file)
    keeping.desk.clock.now += DAY
    await keeping.changes.delete(ANN, file.id, check=version(file.row_version))
    assert await keeping.now(file) == once
    assert len(await keeping.tasks("purge")) == 1


async def test_who_deletes_again_has_it_told_again(one: Keeping) -> None:
    # the first may have ended between its commit and its telling
    file = await one.deleted()
    await one.changes.delete(ANN, file.id)
    assert one.desk.told == [file.key]


async def test_a_restored_file_is_as_it_was(keeping: Keeping) -> None:
    file = await keeping.file(alt="a cat")
    await keeping.changes.delete(ANN, file.id)
    keeping.desk.clock.now += MONTH - 1
    after = await keeping.changes.restore(ANN, file.id)
    changed = {"row_version": 3, "generation": file.generation + 2, "updated_at": keeping.desk.clock.now}
    assert after == replace(file, **changed)
    assert await keeping.desk.body(after.object_key) == JPEG
    assert keeping.desk.told == [file.key, file.key]
    assert len(await keeping.tasks("purge")) == 2


async def test_restoring_what_is_there_changes_nothing(one: Keeping) -> None:
    file = await one.file()
    assert await one.changes.restore(ANN, file.id) == file


async def test_what_is_past_its_retention_cannot_be_restored(keeping: Keeping) -> None:
    file = await keeping.deleted()
    keeping.desk.clock.now += MONTH
    with pytest.raises(FileNotFound):
        await keeping.changes.restore(ANN, file.id)
    assert (await keeping.now(file)).state is FileState.DELETED


async def test_retention_is_the_collections(one: Keeping) -> None:
    file = await one.file()
    brief = Collection("images", Visibility.PUBLIC, 10**9, retention=60)
    await one.desk.database.write(lambda record: set_collection(record, ACME, brief))
    await one.changes.delete(ANN, file.id)
    assert (await one.now(file)).purge_after == NOW + 60_000


async def test_a_file_is_restored_or_purged_and_never_half_of_both(keeping: Keeping) -> None:
    file = await keeping.deleted()
    assert file.purge_after is not None
    early, late = Clock(file.purge_after - 1), Clock(file.purge_after)  # two machines' clocks differ

    async def tell(_: object) -> None: ...

    changes = FileEditor(
        database=keeping.desk.database, ids=IdGenerator(early, keeping.ids.entropy), tell=tell
    )
    retention = Retention(keeping.desk.database, ids=IdGenerator(late, keeping.ids.entropy))
    restored, _ = await asyncio.gather(
        changes.restore(ANN, file.id), retention.purge_files(), return_exceptions=True
    )
    keeping.desk.clock.now = file.purge_after + DAY
    await keeping.outbox.drain()
    after = await keeping.now(file)
    if isinstance(restored, File):
        assert after.state is FileState.READY
    else:
        assert isinstance(restored, FileNotFound)
        assert after.state is FileState.PURGED
    assert await keeping.desk.exists(file.object_key) == (after.state is FileState.READY)


async def test_a_purged_file_is_never_there_again(keeping: Keeping) -> None:
    file = await keeping.deleted()
    keeping.desk.clock.now += MONTH
    assert await keeping.retention.purge_files() == 1
    for principal in (ANN, ACME_ITSELF):
        with pytest.raises(FileNotFound):
            await keeping.changes.restore(principal, file.id)
        with pytest.raises(FileNotFound):
            await keeping.changes.delete(principal, file.id)


async def test_deleting_and_registering_at_once_never_brings_it_back(keeping: Keeping) -> None:
    upload = await keeping.desk.uploaded(visibility=Visibility.PUBLIC)
    assert await keeping.desk.publisher.publish(upload.key)
    file = await keeping.desk.file(upload.key)
    assert file is not None
    _, registered = await asyncio.gather(
        keeping.changes.delete(ANN, file.id), keeping.desk.register(upload), return_exceptions=True
    )
    assert isinstance(registered, File | KeyExists | Changed)
    assert (await keeping.now(file)).state is FileState.DELETED
    with pytest.raises(KeyExists):
        await keeping.desk.register(upload)
    found = await keeping.desk.upload(upload)
    assert found is not None
    assert found.state in (UploadState.CONSUMED, UploadState.PUBLISHED)


async def test_a_change_that_nobody_could_be_told_of_is_made(one: Keeping) -> None:
    file = await one.file()
    one.deaf = Unavailable("nobody listens")
    await one.changes.delete(ANN, file.id)
    assert (await one.now(file)).state is FileState.DELETED


@pytest.mark.parametrize(
    ("principal", "visibility", "refusal"),
    [
        (BOB, Visibility.PUBLIC, AccessDenied),
        (BOB, Visibility.PROTECTED, AccessDenied),
        (BOB, Visibility.PRIVATE, FileNotFound),
        (BOB, Visibility.SHARED, FileNotFound),
        (NOBODY, Visibility.PRIVATE, FileNotFound),
        (ELSEWHERE, Visibility.PUBLIC, FileNotFound),
    ],
)
async def test_who_may_not_is_told_no_more_than_he_sees(
    one: Keeping, principal: object, visibility: Visibility, refusal: type[ImgproxyError]
) -> None:
    file = await one.file(visibility=visibility)
    changes = one.changes
    for change in (
        changes.patch(principal, file.id, {"alt": "mine"}),  # type: ignore[arg-type]
        changes.delete(principal, file.id),  # type: ignore[arg-type]
        changes.share(principal, file.id, [Share("user", "bob")]),  # type: ignore[arg-type]
        changes.unshare(principal, file.id),  # type: ignore[arg-type]
    ):
        with pytest.raises(refusal):
            await change
    assert await one.now(file) == file


async def test_the_tenant_itself_may_change_everybodys_files(one: Keeping) -> None:
    file = await one.file(visibility=Visibility.PRIVATE)
    assert (await one.changes.patch(ACME_ITSELF, file.id, {"alt": "ours"})).alt == "ours"


async def test_what_is_deleted_cannot_be_changed(one: Keeping) -> None:
    file = await one.deleted()
    with pytest.raises(FileNotFound):
        await one.changes.patch(ANN, file.id, {"alt": "a cat"})


async def test_what_is_not_there_is_not_found(one: Keeping) -> None:
    with pytest.raises(FileNotFound):
        await one.changes.delete(ANN, UNKNOWN)


async def test_sharing_is_with_these_and_nobody_else(keeping: Keeping) -> None:
    file = await keeping.file(visibility=Visibility.SHARED)
    await keeping.changes.share(ANN, file.id, [Share("user", "bob"), Share("role", "editor")])
    given = (Share("group", "sales", NOW + 5), Share("user", "bob"))
    assert await keeping.changes.share(ANN, file.id, given) == given
    assert await keeping.reading.shares(ANN, file.id) == given


async def test_those_who_share_at_once_leave_what_one_of_them_said(keeping: Keeping) -> None:
    file = await keeping.file(visibility=Visibility.SHARED)
    wanted = [(Share("user", "always"), Share("user", f"user-{n}")) for n in range(6)]
    await asyncio.gather(*(keeping.changes.share(ANN, file.id, each) for each in wanted))
    assert await keeping.reading.shares(ANN, file.id) in wanted


async def test_shares_can_be_taken_away_by_kind_and_name(keeping: Keeping) -> None:
    file = await keeping.file(visibility=Visibility.SHARED)
    bob, editor = Share("user", "bob"), Share("role", "editor")
    await keeping.changes.share(ANN, file.id, [bob, editor])
    assert await keeping.changes.unshare(ANN, file.id, lambda share: share.id == "bob") == (editor,)
    assert await keeping.changes.unshare(ANN, file.id) == ()


@pytest.mark.parametrize(
    ("given", "raised"),
    [
        ([Share("user", "bob")], 0),
        ([Share("user", "bob"), Share("user", "eve")], 0),
        ([Share("user", "bob", NOW + 1000)], 1),
        ([Share("user", "eve")], 1),
        ([], 1),
    ],
)
async def test_share_raises_the_generation_if_somebody_may_not_see_the_file_any_more(
    keeping: Keeping, given: list[Share], raised: int
) -> None:
    file = await keeping.file(visibility=Visibility.SHARED)
    await keeping.changes.share(ANN, file.id, [Share("user", "bob")])
    assert (await keeping.now(file), keeping.desk.told) == (file, [])
    await keeping.changes.share(ANN, file.id, given)
    assert (await keeping.now(file)).generation == file.generation + raised
    assert keeping.desk.told == [file.key] * raised


async def test_unshare_of_a_file_that_is_not_shared_changes_nothing_for_the_edge(one: Keeping) -> None:
    file = await one.file()
    await one.changes.share(ANN, file.id, [Share("user", "bob")])
    await one.changes.unshare(ANN, file.id)
    assert (await one.now(file), one.desk.told) == (file, [])


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_is_as_the_rfc_has_it(target: Any, patch: Any, expected: Any) -> None:
    assert merged(target, patch) == expected


def test_merging_leaves_what_it_merges_into_as_it_was() -> None:
    target = {"a": {"b": 1}}
    merged(target, {"a": {"b": 2}})
    assert target == {"a": {"b": 1}}


def test_what_is_left_out_stays() -> None:
    before = file(alt="a cat", tags=("cat",), metadata={"a": 1})
    assert patched(before, {"description": "asleep"}) == file(
        id=before.id, alt="a cat", tags=("cat",), metadata={"a": 1}, description="asleep"
    )


@pytest.mark.parametrize(
    ("field", "emptied"), [("alt", None), ("category", None), ("tags", ()), ("metadata", {})]
)
def test_null_empties(field: str, emptied: object) -> None:
    before = file(alt="a cat", category="cats", tags=("cat",), metadata={"a": 1})
    assert getattr(patched(before, {field: None}), field) == emptied


def test_only_a_flip_is_the_edges_business() -> None:
    before = file()
    assert patched(before, {"alt": "a cat", "visibility": Visibility.PUBLIC}).generation == before.generation
    assert patched(before, {"visibility": Visibility.SHARED}).generation == before.generation + 1


def test_what_no_patch_may_change_is_left_alone() -> None:
    before = file()
    assert patched(before, {"id": "1", "key": "a", "owner": None, "size": 1, "state": "purged"}) == before


def test_many_patches_come_to_no_more_metadata_than_one_may_bring() -> None:
    before = file(metadata={"a": "x" * (MAX_METADATA_BYTES - 20)})
    assert patched(before, {"metadata": {"a": None, "b": 1}}).metadata == {"b": 1}
    with pytest.raises(InvalidRequest, match="metadata"):
        patched(before, {"metadata": {"b": "twenty characters more"}})
