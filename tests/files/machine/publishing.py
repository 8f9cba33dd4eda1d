"""What happens where nobody needs to register: `IMGPROXY_PUBLISH=auto`."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from imgproxy.errors import FilesError
from imgproxy.files.model import File, UploadState, Visibility
from imgproxy.files.principal import Principal
from tests.files.machine.base import Base, all_of, said_of
from tests.files.machine.faults import Fault
from tests.files.machine.lots import ANY, BODIES, CHANGES, FAULTS, OWNERS, WHO

_PICTURES = st.sampled_from(("jpeg", "jpeg", "png", "broken"))
_FAULTS_OF_SERVER = st.builds(
    Fault,
    st.sampled_from(("write", "write", "copy", "head")),
    st.sampled_from(("before", "after")),
    st.integers(0, 1),
)
"""Without clients that leave: nobody else's leaving ends what is being published."""


class PublishingRules(Base):
    """Uploads that are files before anybody registers them."""

    auto = True

    @rule(who=OWNERS, kind=_PICTURES, visibility=st.sampled_from((None, Visibility.PUBLIC)))
    def upload_only(self, who: Principal, kind: str, visibility: Visibility | None) -> None:
        """Presign and PUT a picture, as clients do that never register."""
        found = self._body(kind)
        self._put(self._sent(who, found.type, None, visibility, None), found, found.type)

    @rule(which=ANY)
    def ask_for_upload(self, which: int) -> None:
        """The edge shows it once it is there, and not before."""
        sent = self._pick(which)
        status, _ = self.run(self.world.picture(sent.upload.key))
        self._look_for(sent)
        assert status == (200 if sent.file is not None and sent.file.shown else 404)

    @rule(which=ANY, kind=BODIES, fault=_FAULTS_OF_SERVER)
    def put_in_trouble(self, which: int, kind: str, fault: Fault) -> None:
        """PUT while something fails: it may be a file then, and is one at last."""
        sent = self._pick(which)
        if not sent.url or self.now >= sent.url_ends or sent.state != "open":
            return
        found = self._body(kind)
        self.world.faults.plan(fault)
        status, _ = self.run(self.world.put(sent.url, found.bytes, sent.upload.declared_type))
        self.world.faults.clear()
        held = sent.held_until
        if status == 200:
            sent.staged = found
        self._believe(sent)
        sent.held_until = max(held, sent.held_until) if sent.state == "open" else 0

    @rule(which=ANY, fault=FAULTS)
    def register_published_in_trouble(self, which: int, fault: Fault) -> None:
        """Register what is a file already, while something fails."""
        sent = self._pick(which)
        if sent.state != "published" or sent.file is None:
            return
        said = said_of(sent, mime_type=sent.file.body.type, size=len(sent.file.body.bytes))
        self._in_trouble(fault, self.world.registrar.register(sent.principal, said))
        self._believe(sent)

    @rule(which=ANY, who=WHO, change=CHANGES)
    def race_to_register_published(self, which: int, who: Principal, change: str) -> None:
        """Two register what is a file already, and it is changed meanwhile: nobody loses what another did."""
        sent = self._pick(which)
        known = sent.file
        if sent.state != "published" or known is None:
            return
        said = said_of(sent, mime_type=known.body.type, size=len(known.body.bytes))
        answers = self.run(
            all_of(
                self.world.registrar.register(sent.principal, said),
                self._change(known, change),
                self.world.registrar.register(who, said),
            )
        )
        made = [each for each in (answers[0], answers[2]) if isinstance(each, File)]
        assert len(made) <= 1
        assert all(isinstance(each, File | FilesError | None) for each in answers), answers
        was_ready = known.state == "ready"
        self._expect(known, change)
        record = self.run(self.laws.hold())
        state = record.uploads[sent.upload.staging_key].state
        assert state is (UploadState.CONSUMED if made else UploadState.PUBLISHED)
        assert made or not was_ready or known.state != "ready", answers
        sent.state = "file" if made else "published"
        self.touched.add(known.id)
