"""What clients do to bring files in by parts."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import rule

from imgproxy.errors import (
    Conflict,
    InvalidParts,
    UploadNotFound,
)
from imgproxy.files.model import Visibility
from imgproxy.files.principal import Principal
from imgproxy.files.uploads import UploadRequest
from imgproxy.storage import Part
from tests.files.machine.base import Base, all_of, place_of
from tests.files.machine.faults import Fault
from tests.files.machine.lots import ANY, FAULTS, OWNERS, VISIBILITIES, WHO
from tests.files.machine.model import (
    ANN,
    PART,
    Body,
    Sent,
    body,
)


class PartRules(Base):
    """Uploads in parts, in any order."""

    @rule(who=OWNERS, visibility=VISIBILITIES)
    def begin_parts(self, who: Principal, visibility: Visibility) -> None:
        request = UploadRequest("cat.jpg", "image/jpeg", None, visibility)
        self._note(who, self.run(self.world.uploads.issue_parts(who, request)))

    @rule(fault=FAULTS)
    def begin_parts_in_trouble(self, fault: Fault) -> None:
        """What storage began, and we could not note, is swept."""
        request = UploadRequest("cat.jpg", "image/jpeg")
        self._in_trouble(fault, self.world.uploads.issue_parts(ANN, request))

    @rule(which=ANY, number=st.integers(1, 3), large=st.sampled_from((False, False, False, True)))
    def put_part(self, which: int, number: int, large: bool) -> None:
        sent = self._pick_parts(which)
        if sent is None:
            return
        if sent.state == "open" and not sent.joined and not sent.held_until > self.now:
            signed = self.run(self.world.multipart.sign(sent.principal, place_of(sent), number=number))
            sent.part_urls[number] = signed.url, signed.expires_at
            self.laws.writable.add(sent.upload.staging_key)
        if number not in sent.part_urls:
            return
        url, ends = sent.part_urls[number]
        content = self._body("jpeg").bytes + bytes(PART if large else 0)
        if self.now >= ends and not self._is_ours(url):
            return
        status, etag = self.run(self.world.put(url, content))
        there = sent.state == "open" and not sent.joined
        if self.now >= ends:
            assert status == 403
        elif there:
            assert status == 200, f"{status} for part {number} of {sent}"
            sent.parts[number] = etag, content
        elif sent.joined and self._is_ours(url):
            assert status == 404

    @rule(which=ANY, numbers=st.lists(st.integers(1, 3), max_size=3), all_=st.booleans(), who=WHO)
    def complete_parts(self, which: int, numbers: list[int], all_: bool, who: Principal) -> None:
        """Complete with parts in any order, or with all as they should be, and sometimes as a stranger."""
        sent = self._pick_parts(which)
        if sent is None:
            return
        if who is not sent.principal and not self._may_use(who, sent):
            self._refused(self.world.multipart.complete(who, place_of(sent), ()), (UploadNotFound,))
            who = sent.principal
        wanted = sorted(sent.parts) if all_ else numbers
        parts = [Part(number, sent.parts.get(number, ('"none"', b""))[0]) for number in wanted]
        work = self.world.multipart.complete(who, place_of(sent), parts)
        if sent.state == "over":
            self._refused(work, (UploadNotFound,))
        elif sent.file is not None:
            self.run(work)
        elif sent.joined:
            (answer,) = self.run(all_of(work))
            orderly = wanted and wanted == sorted(set(wanted))
            fine = () if orderly else (InvalidParts,)  # which some storages see first
            assert not isinstance(answer, BaseException) or isinstance(answer, fine), answer
            self._look_for(sent)
        elif self._is_whole(sent, wanted):
            self.run(work)
            content = b"".join(sent.parts[number][1] for number in wanted)
            sides = body("jpeg", int(content.partition(b"#")[2].split(b"\0")[0].split(b"\xff")[0])).sides
            sent.staged, sent.joined = Body("image/jpeg", content, sides), True
            self._look_for(sent)
        elif self.strict_parts or not wanted or wanted != sorted(set(wanted)):
            self._refused(work, (InvalidParts,))
        else:
            self.run(all_of(work))
            self._believe_parts(sent, wanted)

    @rule(which=ANY, who=WHO)
    def list_parts(self, which: int, who: Principal) -> None:
        sent = self._pick_parts(which)
        if sent is None or sent.held_until > self.now:
            return
        work = self.world.multipart.parts(who, place_of(sent))
        if sent.state != "open" or sent.joined or not self._may_use(who, sent):
            self._refused(work, (UploadNotFound,))
            return
        found = {part.number: (part.etag.strip('"'), part.size) for part in self.run(work)}
        assert found == {
            number: (etag.strip('"'), len(content)) for number, (etag, content) in sent.parts.items()
        }

    @rule(which=ANY)
    def abort_parts(self, which: int) -> None:
        sent = self._pick_parts(which)
        if sent is None:
            return
        work = self.world.multipart.abort(sent.principal, place_of(sent))
        if sent.file is not None or (sent.state == "open" and sent.held_until > self.now):
            self._refused(work, (Conflict,))
            return
        self.run(work)
        sent.state = "over"

    def _pick_parts(self, which: int) -> Sent | None:
        found = [sent for sent in self.sent if sent.upload.kind == "multipart"]
        return found[-1 - which % min(len(found), 3)] if found else None

    def _believe_parts(self, sent: Sent, wanted: Sequence[int]) -> None:
        """A storage that puts small parts together, too."""
        there = sent.upload.staging_key in self.run(self._stored())
        if there:
            content = b"".join(sent.parts[number][1] for number in wanted)
            number = int(content.partition(b"#")[2].split(b"\0")[0].split(b"\xff")[0])
            sent.staged, sent.joined = Body("image/jpeg", content, body("jpeg", number).sides), True
            self._look_for(sent)

    def _is_whole(self, sent: Sent, wanted: Sequence[int]) -> bool:
        return (
            bool(wanted)
            and all(number in sent.parts for number in wanted)
            and [*wanted] == sorted(set(wanted))
            and all(len(sent.parts[number][1]) >= PART for number in wanted[:-1])
        )
