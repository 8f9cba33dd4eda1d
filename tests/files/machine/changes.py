"""What people do with files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from imgproxy.errors import (
    Changed,
    FileNotFound,
    FilesError,
)
from imgproxy.files.model import File, Share, Visibility
from imgproxy.files.principal import Principal
from tests.files.machine.base import Base, all_of, master_of
from tests.files.machine.faults import Fault
from tests.files.machine.lots import ANY, CHANGES, FAULTS, SHARES, VISIBILITIES, WHO
from tests.files.machine.model import (
    HOUR,
    Known,
)


class ChangeRules(Base):
    """Changes by those who may, and by others."""

    @rule(
        which=ANY,
        who=st.none() | WHO,
        visibility=st.none() | VISIBILITIES,
        metadata=st.none() | st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 9)),
        tags=st.none() | st.lists(st.sampled_from(("red", "blue")), unique=True),
        stale=st.booleans(),
    )
    def patch(
        self,
        which: int,
        who: Principal | None,
        visibility: Visibility | None,
        metadata: dict[str, int | None] | None,
        tags: list[str] | None,
        stale: bool,
    ) -> None:
        """Change some fields; sometimes against what was read long ago."""
        known = self._file(which)
        who = who or master_of(known)
        patch: dict[str, Any] = {"visibility": visibility, "metadata": metadata, "tags": tags}
        patch = {name: value for name, value in patch.items() if value is not None}
        check = refuse if stale else accept
        work = self.world.changes.patch(who, known.id, patch, check=check)
        if wrong := known.errors_of_change(who, self.now):
            self._refused(work, wrong)
        elif stale:
            self._refused(work, (Changed,))
        else:
            self.run(work)
            apply(known, patch)
        self.touched.add(known.id)

    @rule(which=ANY, who=WHO, shares=SHARES, ends=st.booleans())
    def share(self, which: int, who: Principal, shares: list[Share], ends: bool) -> None:
        known = self._file(which)
        wanted = tuple(replace(each, expires_at=self.now + HOUR) if ends else each for each in shares)
        work = self.world.changes.share(who, known.id, wanted)
        if wrong := known.errors_of_change(who, self.now):
            self._refused(work, wrong)
            return
        self.run(work)
        by_name = {(each.type, each.id): each for each in wanted}
        known.shares = tuple(by_name[name] for name in sorted(by_name))

    @rule(which=ANY, name=st.sampled_from(("bob", "cat")))
    def unshare(self, which: int, name: str) -> None:
        known = self._file(which)
        work = self.world.changes.unshare(master_of(known), known.id, lambda share: share.id == name)
        if wrong := known.errors_of_change(master_of(known), self.now):
            self._refused(work, wrong)
            return
        self.run(work)
        known.shares = tuple(each for each in known.shares if each.id != name)

    @rule(which=ANY, who=st.none() | WHO)
    def delete(self, which: int, who: Principal | None) -> None:
        known = self._file(which)
        who = who or master_of(known)
        work = self.world.changes.delete(who, known.id)
        self.touched.add(known.id)
        if wrong := known.errors_of_change(who, self.now, deleted=True):
            self._refused(work, wrong)
            return
        self.run(work)
        known.delete(self.now)

    @rule(which=ANY, who=st.none() | WHO, late=st.booleans())
    def restore(self, which: int, who: Principal | None, late: bool) -> None:
        """Restore, sometimes when the time for it has just ended."""
        known = self._file(which)
        if late:
            self.world.clock.now = max(self.now, known.purge_after)
        who = who or master_of(known)
        work = self.world.changes.restore(who, known.id)
        self.touched.add(known.id)
        if wrong := known.errors_of_change(who, self.now, deleted=True):
            self._refused(work, wrong)
        elif known.state == "deleted" and known.purge_after <= self.now:
            self._refused(work, (FileNotFound,))
        else:
            self.run(work)
            known.state, known.purge_after = "ready", 0

    @rule(which=ANY, fault=FAULTS, change=CHANGES)
    def change_in_trouble(self, which: int, fault: Fault, change: str) -> None:
        """What failed was done, or it was not; ten seconds later at the latest the edge knows which."""
        known = self._file(which)
        was = known.state, known.visibility
        self._in_trouble(fault, self._change(known, change))
        self._expect(known, change)  # as of now: ten seconds later it may be too late to restore
        self.world.clock.now += 11_000
        row = self.run(self.laws.hold()).files[known.id]
        assert (row.state, row.visibility) in (was, (known.state, known.visibility))
        known.state, known.visibility = row.state.value, row.visibility.value
        known.purge_after = row.purge_after or 0
        self.touched.add(known.id)

    @rule(
        which=ANY, changes=st.lists(st.sampled_from(("private", "public", "delete", "restore")), min_size=2)
    )
    def race_to_change(self, which: int, changes: list[str]) -> None:
        """Many change one file at once: each is done whole, one after the other."""
        known = self._file(which)
        answers = self.run(all_of(*(self._change(known, change) for change in changes)))
        assert all(isinstance(each, File | FilesError | None) for each in answers), answers
        row = self.run(self.laws.hold()).files[known.id]
        known.state, known.visibility = row.state.value, row.visibility.value
        known.purge_after = row.purge_after or 0
        self.touched.add(known.id)


def refuse(_: File) -> None:
    raise Changed("it is not as you think")


def accept(_: File) -> None:
    """It is."""


def apply(known: Known, patch: dict[str, Any]) -> None:
    known.visibility = patch.get("visibility", known.visibility)
    known.tags = tuple(patch.get("tags", known.tags))
    for name, value in patch.get("metadata", {}).items():
        known.metadata.pop(name, None)
        if value is not None:
            known.metadata[name] = value
