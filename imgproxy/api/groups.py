"""Every group of endpoints, in the order in which the documentation tells of them."""

from __future__ import annotations

from typing import Any

from imgproxy.api.companion import COMPANION
from imgproxy.api.endpoints import Group
from imgproxy.api.multipart import MULTIPART
from imgproxy.api.uploads import UPLOADS

GROUPS: tuple[Group[Any], ...] = (UPLOADS, MULTIPART, COMPANION)
