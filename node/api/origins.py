"""Pages of other origins may change nothing.

A browser sends some requests for any page that is open in it, with no question asked before: a POST with a text, say.
This store answers whoever reaches it, so such a page could write into a store that only the browser's machine reaches.
What a browser sends says from which page it comes; who is no browser says nothing, and is not concerned.

A PUT or DELETE of another origin hardly arrives: a browser asks first whether it may be sent, and is never told so. The
short way in does not look: what says from which page it comes is not for it, see `plain_request`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from node.errors import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITE = frozenset({"same-origin", "none"})
"""`none`: somebody has typed it in."""


@web.middleware
async def own_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises Forbidden."""
    if request.method not in SAFE:
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if is_foreign(origin, site, request.headers.get("Host", "")):
            raise Forbidden(f"A page of another origin may change nothing here: {origin or site}")
    return await handler(request)


def is_foreign(origin: str | None, site: str | None, host: str) -> bool:
    """Whether a page that was not served under the name `host` has sent this: by the headers Origin, Sec-Fetch-Site and
    Host. Sec-Fetch-Site, where there is one, is what the browser itself makes of it: it holds behind a proxy too, which
    may change the Host."""
    if site is not None:
        return site not in OWN_SITE
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True
