"""The files of the page, as they lie in the package: read once, and served with headers that let nothing else in.

The page shows what anybody may have written into the store, in the browser of somebody who may do anything. So it may
load its own files and ask its own node, and nothing else; no text ever becomes markup; and no other page can frame it.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from aiohttp import web

from node.api.query import options_of

INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        *("script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"),
        *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
        *("require-trusted-types-for 'script'", "trusted-types 'none'"),
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""`no-cache`: it is asked each time whether a file is still the same, so that a node of the next release is never shown
by the page of this one."""

APART = {"Cross-Origin-Opener-Policy": "same-origin"}
"""For a browser that heeds it: one to which this is a trustworthy origin, as by TLS or on loopback. Any other says in
its console that it does not, which is one error more to whoever looks there for another."""
TRUSTS = "Sec-Fetch-Site"
"""What a browser sends to trustworthy origins alone."""


class File(NamedTuple):
    type: str
    body: bytes
    etag: str


def read_files() -> dict[str, File]:
    """By name."""
    found = {}
    for entry in files(__package__).joinpath("static").iterdir():
        body = entry.read_bytes()
        found[entry.name] = File(TYPES[f".{entry.name.rpartition('.')[2]}"], body, sha256(body).hexdigest()[:16])
    return found


class FilesApi:
    def __init__(self) -> None:
        self.files = read_files()

    async def index(self, request: web.Request) -> web.Response:
        return self._answer(request, self.files[INDEX])

    async def file(self, request: web.Request) -> web.Response:
        """Raises HTTPNotFound."""
        found = self.files.get(request.match_info["file"])
        if found is None:
            raise web.HTTPNotFound
        return self._answer(request, found)

    def _answer(self, request: web.Request, file: File) -> web.Response:
        options_of(request.rel_url.raw_query_string, ())
        headers = HEADERS | {"Content-Type": file.type, "ETag": f'"{file.etag}"'}
        headers |= APART if TRUSTS in request.headers else {}
        if any(tag.value == file.etag for tag in request.if_none_match or ()):
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, headers=headers)
