"""What is where: the answer to whoever opens a node in a browser, or curls it, and has read nothing yet."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gossip.view import Address
from node.api.answers import JSON_HEADERS
from node.api.shapes.one_node import Index
from node.release import version

PATHS = {
    "/kvs/keys/<key>": 'PUT {"value": V, "ttl": S}, GET, DELETE: a key, percent-encoded, its value: any JSON',
    "/kvs/keys": "GET ?prefix=P&after=K&limit=N&values=true: the keys, in order, a page at a time",
    "/kvs/batch": 'POST lines {"op": "put", "key": K, "value": V}, "get", "delete": an answer each, in order',
    "/kvs/export": "GET ?prefix=P&cursor=C: all keys and values as a stream of lines, in no order",
    "/kvs/watch": "GET ?prefix=P: what changes, as server-sent events: put, delete, expire, gap",
    "/kvs/key-count": "GET: how many keys this node owns",
    "/kvs/shards": "GET: the ids of the shards",
    "/kvs/shards/<id>": "GET: the keys and replicas of a shard",
    "/kvs/view-change": 'PUT {"view": "a:1,b:2", "repl-factor": N}, GET, DELETE: change the nodes, see how far, undo',
    "/kvs/status": "GET: what is wrong, who is alive and holds what",
    "/kvs/node": "GET: what this node is, how it is, and how it reaches the others",
    "/kvs/ring": "GET: which shard has which keys",
    "/ui": "GET: a page that shows all of this, for a browser",
    "/ui/stream": "GET: what the page shows, as server-sent events",
    "/ui/copies": "GET ?key=K: where each copy of a key stands",
    "/livez": "GET: 200 while the process and its loop run",
    "/readyz": "GET ?verbose: 200 if this node would serve now, else 503; each check on a line",
    "/metrics": "GET: figures for Prometheus",
    "/openapi.json": "GET: all of this for programs, as OpenAPI 3.1",
}
"""What each path takes, and what for."""
LINKS = {
    "openapi": "/openapi.json",
    "status": "/kvs/status",
    "node": "/kvs/node",
    "ring": "/kvs/ring",
    "keys": "/kvs/keys?limit=100",
    "page": "/ui",
    "ready": "/readyz?verbose",
    "metrics": "/metrics",
}
"""What can be opened as it is, by what it is."""
MESSAGE = "A node of kvs, a key-value store: ask any node for any key"
DESCRIBED_BY = {"Link": '</openapi.json>; rel="service-desc"; type="application/json"'}
"""How programs find the description (RFC 8631)."""


class IndexApi:
    """The handler of the paths that lead to all others."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def index(self, _: web.Request) -> web.Response:
        answer = Index(MESSAGE, version(), self._address, PATHS, LINKS)
        return web.Response(body=msgspec.json.encode(answer), headers=JSON_HEADERS | DESCRIBED_BY)
