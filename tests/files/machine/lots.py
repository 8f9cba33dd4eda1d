"""What is drawn."""

from __future__ import annotations

from hypothesis import strategies as st

from imgproxy.files.model import Share, Visibility
from tests.files.machine.faults import Fault
from tests.files.machine.model import (
    ANN,
    DAY,
    ELSEWHERE,
    EVERYBODY,
    HOUR,
    ITSELF,
    KINDS,
    MINUTE,
)

WHO = st.sampled_from(EVERYBODY)
OWNERS = st.sampled_from((ANN, ANN, ANN, ELSEWHERE, ITSELF))
ANY = st.integers(0, 1_000)
BODIES = st.sampled_from(KINDS)
VISIBILITIES = st.sampled_from([*Visibility])
FAULTS = st.builds(
    Fault,
    st.sampled_from(("write", "write", "copy", "head", "put")),
    st.sampled_from(("before", "after", "left")),
    st.integers(0, 1),
)
FAULTS_OF_WORK = st.builds(Fault, st.sampled_from(("delete", "write")), st.sampled_from(("before", "after")))
CHANGES = st.sampled_from(("private", "public", "delete", "restore"))
WHILES = st.sampled_from((1_000, 11_000, 2 * MINUTE, 6 * MINUTE, 17 * MINUTE, 3 * HOUR, 26 * HOUR, 31 * DAY))
SHARES = st.lists(
    st.sampled_from((Share("user", "bob"), Share("user", "cat"), Share("group", "friends"))), max_size=2
)
