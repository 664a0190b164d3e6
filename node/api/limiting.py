"""Which limit each route counts for, and the middleware that lets in those requests for which there is room."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from node.api.admission import STAY, Admission, Limit
from node.api.batch_lines import BATCH
from node.api.tally import WAIT_ROUTE
from node.net.handshake import PATH

LIMITS: Mapping[str, Limit | None] = {
    **dict.fromkeys(("/livez", "/readyz", "/metrics", PATH), None),
    WAIT_ROUTE: Limit.WATCHERS,
    "/kvs/watch": Limit.WATCHERS,
    "/ui/stream": Limit.WATCHERS,
    "/kvs/keys": Limit.LISTINGS,
    BATCH: Limit.BATCHES,
    "/kvs/export": Limit.EXPORTS,
}
"""By route, as it is counted; None: none, as for other nodes, and who asks for health. Whatever is not named here is a
request like any other."""


def limiting(admission: Admission, route_of: Callable[[web.Request], str]) -> Middleware:
    """`route_of`: as it is counted. Who sends the answer ends their stay."""

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        limit = LIMITS.get(route_of(request), Limit.REQUESTS)
        if limit is None:
            return await handler(request)
        stay = request[STAY] = admission.stay(limit)
        try:
            return await handler(request)
        except BaseException:
            stay.end()
            raise

    return let_in
