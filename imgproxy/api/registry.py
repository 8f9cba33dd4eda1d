"""Every group of endpoints, in the order in which the documentation tells of them."""

from __future__ import annotations

from typing import Any

from imgproxy.api.admin import ADMIN
from imgproxy.api.companion import COMPANION
from imgproxy.api.endpoints import Group
from imgproxy.api.entity_uploads import ENTITY_UPLOADS
from imgproxy.api.files import FILES
from imgproxy.api.multipart import MULTIPART
from imgproxy.api.shares import SHARES
from imgproxy.api.uploads import UPLOADS

GROUPS: tuple[Group[Any], ...] = (UPLOADS, MULTIPART, FILES, SHARES, COMPANION, ENTITY_UPLOADS, ADMIN)
