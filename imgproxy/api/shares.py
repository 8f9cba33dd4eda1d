"""Endpoints that say who a file is shared with; it counts while its visibility is `shared`."""

from __future__ import annotations

from collections.abc import Iterable

from imgproxy.api.endpoints import Answer, Call, Endpoint, Group
from imgproxy.api.requests import ShareGiven, ShareRemoved, SharesGiven
from imgproxy.api.responses import SharesTold, shares_told
from imgproxy.files.model import Share
from imgproxy.files.service import FilesService


async def _get(service: FilesService, call: Call[None]) -> Answer:
    return _answer(await service.reader.shares(call.principal, call.file_id))


async def _put(service: FilesService, call: Call[SharesGiven]) -> Answer:
    wanted = map(_share, call.given.shares)
    return _answer(await service.editor.share(call.principal, call.file_id, wanted))


async def _delete(service: FilesService, call: Call[ShareRemoved]) -> Answer:
    asked = call.given

    def goes(share: Share) -> bool:
        return asked.type in (None, share.type) and asked.id in (None, share.id)

    return _answer(await service.editor.unshare(call.principal, call.file_id, goes))


def _share(given: ShareGiven) -> Share:
    ends = given.expires_at
    return Share(given.type, given.id, round(ends.timestamp() * 1000) if ends is not None else None)


def _answer(shares: Iterable[Share]) -> Answer:
    return Answer(shares_told(list(shares)))


SHARES: Group[FilesService] = Group(
    "Shares",
    "Who sees a file whose visibility is `shared`: users, roles and groups, as their tokens name them.",
    (
        Endpoint(
            "GET",
            "/v1/files/{id}/shares",
            "getShares",
            "See who a file is shared with",
            _get,
            answers=SharesTold,
        ),
        Endpoint(
            "PUT",
            "/v1/files/{id}/shares",
            "setShares",
            "Share a file with these and nobody else",
            _put,
            takes=SharesGiven,
            answers=SharesTold,
        ),
        Endpoint(
            "DELETE",
            "/v1/files/{id}/shares",
            "removeShares",
            "Take shares away",
            _delete,
            takes=ShareRemoved,
            answers=SharesTold,
            text="Those of the `type` and the `id` that the query names, or all. What stays is answered.",
        ),
    ),
)
