"""A machine that does with files whatever clients, workers and time do, in any order, beside a plain model.

After each step the record and the storage are walked (`laws`), and what people see is held against what the
model says that they see. Who runs it says where the record and the storage are.
"""

from __future__ import annotations

from tests.files.machine.background import BackgroundRules
from tests.files.machine.changes import ChangeRules
from tests.files.machine.parts import PartRules
from tests.files.machine.publishing import PublishingRules
from tests.files.machine.sight import SightRules
from tests.files.machine.uploads import UploadRules


class FilesMachine(UploadRules, PartRules, ChangeRules, BackgroundRules, SightRules):
    """All of it; see `Base` for what it needs."""


class PublishingMachine(PublishingRules, FilesMachine):
    """The same where nobody needs to register."""
