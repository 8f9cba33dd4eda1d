"""What the outbox is promised, and when: now, and again when nobody can write there any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from imgproxy.files import outbox_tasks
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Task
from imgproxy.files.outbox_tasks import AFTER_URL_MS
from imgproxy.image.source import Key
from tests.files.samples import ACME, NOW, upload

KEY = Key("files/acme/1/a")
PARTS = upload(kind="multipart", storage_upload="s3-upload")
END = PARTS.url_expires_at + AFTER_URL_MS


def at(now: int = NOW) -> IdGenerator:
    """IdGenerator that are drawn at a time."""
    return IdGenerator(lambda: now, os.urandom)


def when(tasks: Iterator[Task]) -> list[int]:
    return [task.not_before for task in tasks]


def test_an_object_is_removed_at_its_time_and_the_promise_is_of_now() -> None:
    task = outbox_tasks.delete_object(at(), ACME, KEY, at=NOW + 5)
    assert task == Task(task.id, ACME, "delete", {"key": KEY}, not_before=NOW + 5, created_at=NOW)


def test_caches_in_front_forget_a_key_now() -> None:
    task = outbox_tasks.forget_in_front(at(), ACME, KEY)
    assert task == Task(task.id, ACME, "purge", {"key": KEY}, not_before=NOW, created_at=NOW)


def test_parts_that_the_record_does_not_know_are_thrown_away_now() -> None:
    task = outbox_tasks.abort_upload(at(), ACME, KEY, "s3-upload")
    payload = {"key": KEY, "upload": "s3-upload"}
    assert task == Task(task.id, ACME, "abort", payload, not_before=NOW, created_at=NOW)


def test_what_a_client_may_still_write_is_removed_now_and_when_it_cannot_any_more() -> None:
    tasks = [*outbox_tasks.clear_staging(at(), PARTS)]
    assert [task.not_before for task in tasks] == [NOW, END]
    assert [(task.kind, task.payload) for task in tasks] == [("delete", {"key": PARTS.staging_key})] * 2


@pytest.mark.parametrize(("now", "times"), [(END - 1, 2), (END, 1), (END + 1, 1)])
def test_what_nobody_can_write_any_more_is_removed_once(now: int, times: int) -> None:
    assert len(when(outbox_tasks.clear_staging(at(now), PARTS))) == times


def test_parts_are_thrown_away_now_and_again_for_what_arrives_meanwhile() -> None:
    tasks = [*outbox_tasks.abort_parts(at(), PARTS)]
    assert [task.not_before for task in tasks] == [NOW, END]
    payload = {"key": PARTS.staging_key, "upload": "s3-upload"}
    assert [(task.kind, task.payload) for task in tasks] == [("abort", payload)] * 2


def test_of_an_upload_that_storage_never_began_there_is_nothing_to_throw_away() -> None:
    assert [*outbox_tasks.abort_parts(at(), replace(PARTS, storage_upload=None))] == []


def test_each_promise_has_a_name_of_its_own() -> None:
    tasks = [*outbox_tasks.clear_staging(at(), PARTS), *outbox_tasks.abort_parts(at(), PARTS)]
    assert len({task.id for task in tasks}) == len(tasks)


def test_all_are_the_upload_s_tenant_s() -> None:
    tasks = [*outbox_tasks.clear_staging(at(), PARTS), *outbox_tasks.abort_parts(at(), PARTS)]
    assert {task.tenant for task in tasks} == {PARTS.tenant}


def test_a_put_that_began_before_its_url_ended_has_a_while_to_end() -> None:
    assert AFTER_URL_MS >= 30_000  # as long as the gateway waits for a client that is silent
