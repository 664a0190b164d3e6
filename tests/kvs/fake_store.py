"""The interface of README.md as a dumb server to test clients with: a dictionary, a view, faults on demand; and the
conditions of writes, each of which is decided at once, as there is nobody else to ask."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

PATIENCE_S = 30.0
"""For the server to come and go: it takes milliseconds where there is a core for it."""
NODES = ("10.0.0.1:80", "10.0.0.2:80")
RANGES = [[0, 2047, "1"], [2048, 4095, "2"]]
SHARDS = [{"shard-id": str(n), "replicas": [node], "partitions": 2048} for n, node in enumerate(NODES, 1)]
ZONED_SHARDS = [shard | {"zones": [f"rack{shard['shard-id']}"]} for shard in SHARDS]
CROWDED = [{"shard-id": "2", "zones": ["rack2", "rack9"]}]
COUNTS = {"10.0.0.1:80": 5, "10.0.0.2:80": 4}
PLAN = {
    "partitions": 1365,
    "keys": 3,
    "moves": [{"from": "10.0.0.1:80", "to": "10.0.0.3:80", "partitions": 1365, "keys": 3}],
    "shards": [*SHARDS, {"shard-id": "3", "replicas": ["10.0.0.3:80"], "partitions": 1365}],
}
NODE = {
    "address": "10.0.0.1:80",
    "state": "alive",
    "member": True,
    "shard-id": "1",
    "key-count": 12345,
    "settled-epoch": 3,
    "clock-offset-ms": None,
    "keys-to-hand-over": 0,
    "keys-waiting-for-copies": 0,
}
STATUS = {
    "address": "10.0.0.1:80",
    "epoch": 3,
    "digest": "00ff00ff00ff00ff",
    "state": "moving",
    "repl-factor": None,
    "crowded-shards": CROWDED,
    "nodes": [
        NODE,
        {
            "address": "[fe80::1]:80",
            "state": "dead",
            "member": False,
            "shard-id": None,
            "key-count": None,
            "settled-epoch": None,
            "clock-offset-ms": -3_600_000,
            "keys-to-hand-over": None,
            "keys-waiting-for-copies": None,
        },
    ],
    "keys-waiting-for-copies": 0,
    "problems": [],
}

Fault = Callable[[str, str], web.Response | None]
"""(method, raw path) -> what to answer instead."""


class FakeStore:
    """Stands in for a node, as far as its clients see it; keeps what it was asked."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.versions: dict[bytes, int] = {}
        """Of the keys that were ever written; what a test puts into `values` itself has version 0."""
        self.writes = 0
        self.ttls: dict[bytes, msgspec.Raw] = {}
        """Of those that have one, as it was put."""
        self.expiries: dict[bytes, float] = {}
        """When they expire."""
        self.now: Callable[[], float] = lambda: 0.0
        """Time stands still, unless a test moves it."""
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.address: str | None = None
        """The node that serves, if this one forwards."""
        self.copies = ""
        """The header of writes that fewer owners have than there are."""
        self.ring: dict[str, object] | None = None
        """As it is told; None: that of two nodes that nobody can reach."""
        self.page_keys_max = 10_000
        self.repl_factor: int | None = None
        """As the ring shows it."""
        self.token: str | None = None
        """That it wants; None: it wants none."""
        self.fault: Fault = lambda _method, _path: None
        self.progress: list[dict[str, object]] = []
        """What is told of a view change, one at a time; it ends once all was told."""
        self.loses: Fault = lambda _method, _path: None
        """The same as `fault`, after the request was executed."""
        self.told = asyncio.Event()
        self.exports = True
        """Or it is of a release that does not."""
        self.block_keys = 100
        """In one block of an export."""
        self.export_breaks: list[int | bytes] = []
        """What befalls the next exports, one each: after so many lines the connection breaks, or after the second block
        this is the last line."""
        self.takes_batches = True
        """Or it is of a release that knows none."""
        self.breaks_after: int | None = None
        """So many lines of the next answer to a batch come, before the connection breaks."""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        method, path = request.method, request.raw_path
        self.asked.append((method, path))
        self.bodies.append(body)
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return answer(401, error="Token is unknown")
        if (response := self.fault(method, path)) is not None:
            return response
        self._expire()
        if path == "/kvs/batch" and self.takes_batches:
            return await self._batch(request, body)
        executed = self._execute(request, method, path, body)
        done = await executed if isinstance(executed, Awaitable) else executed
        return self.loses(method, path) or done

    def _execute(
        self, request: web.Request, method: str, path: str, body: bytes
    ) -> web.Response | Awaitable[web.StreamResponse]:
        if path.startswith("/kvs/export") and self.exports:
            return self._export(
                **dict(parse_qsl(path.partition("?")[2], strict_parsing=bool("?" in path))), request=request
            )
        if path.startswith("/kvs/keys?"):
            return self._page(**dict(parse_qsl(path.removeprefix("/kvs/keys?"), strict_parsing=True, errors="strict")))
        if path.startswith("/kvs/keys/"):
            return self._data(method, unquote_to_bytes(path.removeprefix("/kvs/keys/")), body, request.headers)
        if path == "/kvs/view-change" and method in ("PUT", "DELETE"):
            return self._change()
        match path.removeprefix("/kvs/").split("/"):
            case ["status"]:
                return answer(200, **STATUS)
            case ["ring"] if self.ring is not None:
                return answer(200, **self.ring)
            case ["ring"]:
                more = {"repl-factor": self.repl_factor, "partitions": 4096, "shards": ZONED_SHARDS, "ranges": RANGES}
                view = {"epoch": 3, "digest": "00ff00ff00ff00ff"}
                return answer(200, **view, **more, hash="xxh3_64", faults=CROWDED)
            case ["shards"]:
                return answer(200, shards=["1", "2"])
            case ["shards", id]:
                node = NODES[int(id) - 1]
                return answer(200, **{"shard-id": id, "key-count": COUNTS[node], "replicas": [node]})
            case ["view-change?dry-run=true"]:
                return answer(200, **PLAN)
            case ["view-change?wait=false"]:
                return answer(202, epoch=4)
            case ["view-change"]:
                return self._progress()
        return answer(404, error="Not found")

    def _data(self, method: str, key: bytes, body: bytes, headers: Mapping[str, str]) -> web.Response:
        sent = msgspec.json.decode(body or b"{}", type=dict[str, msgspec.Raw])
        more: dict[str, object] = {} if self.address is None else {"address": self.address}
        if "causal-context" in sent:
            more["causal-context"] = {"seen": json.loads(bytes(sent["causal-context"])).get("seen", 0) + 1}
        held, etag = key in self.values, {"ETag": f'"{self.versions.get(key, 0)}"'}
        refused = headers.get("If-None-Match") == "*" and held
        refused |= "If-Match" in headers and not (held and headers["If-Match"] == etag["ETag"])
        if refused:
            return answer(412, etag if held else None, error="Precondition failed", **more)
        copies = {"Kvs-Copies": self.copies} if self.copies and method != "GET" else {}
        if method == "PUT":
            if len(key.decode()) > 50:
                return answer(400, error="Key is too long", **more)
            self._write(key, bytes(sent["value"]))
            self.ttls.pop(key, None)
            self.expiries.pop(key, None)
            if "ttl" in sent:
                self.ttls[key] = sent["ttl"]
                self.expiries[key] = self.now() + float(bytes(sent["ttl"]))
            etag = {"ETag": f'"{self.versions[key]}"'}
            return answer(200 if held else 201, etag | copies, replaced=held, **more)
        if not held:
            return answer(404, doesExist=False, error="Key does not exist", **more)
        if method == "DELETE":
            self._write(key, None)
            return answer(200, copies, doesExist=True, **more)
        ttl = {"ttl": self._left(key)} if key in self.ttls else {}
        fields = msgspec.json.encode({"doesExist": True, "value": msgspec.Raw(self.values[key]), **ttl, **more})
        return web.Response(body=fields, content_type="application/json", headers=etag)

    async def _export(self, request: web.Request, prefix: str = "", cursor: str = "") -> web.StreamResponse:
        """A cursor is the last key before it."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        keys = sorted(key for key in self.values if key.startswith(prefix.encode()) and key > bytes.fromhex(cursor))
        fault = self.export_breaks.pop(0) if self.export_breaks else None
        for n, key in enumerate(keys):
            if isinstance(fault, bytes) and n == 2 * self.block_keys:
                await response.write(fault + b"\n")
                return response
            if fault == n:
                assert request.transport is not None
                request.transport.abort()
                return response
            expires = b',"expires":%.3f' % self.expiries[key] if key in self.expiries else b""
            name = json.dumps(key.decode()).encode()
            await response.write(b'{"key":%b,"value":%b%b}\n' % (name, self.values[key], expires))
            if n % self.block_keys == self.block_keys - 1 or n == len(keys) - 1:
                await response.write(b'{"cursor":"%b"}\n' % key.hex().encode())
        await response.write(b'{"end":true}\n')
        return response

    async def _batch(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """`fault` and `loses` are asked about each operation as if it was a request of its own."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        left, self.breaks_after = self.breaks_after, None
        for line in body.splitlines():
            told = self._line(line)
            if left == 0:
                assert request.transport is not None
                request.transport.abort()
                return response
            left = None if left is None else left - 1
            await response.write(told)
        await response.write_eof()
        return response

    def _line(self, line: bytes) -> bytes:
        sent = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        method, key = json.loads(bytes(sent.pop("op"))).upper(), json.loads(bytes(sent.pop("key")))
        names = {"if-match": "If-Match", "if-none-match": "If-None-Match"}
        headers = {names[name]: json.loads(bytes(sent.pop(name))) for name in names if name in sent}
        path = f"/kvs/keys/{quote(key, safe='')}"
        response = self.fault(method, path)
        if response is None:
            response = self._data(method, key.encode(), msgspec.json.encode(sent), headers)
            response = self.loses(method, path) or response
        assert isinstance(response.body, bytes)
        told = {"key": key, "status": response.status} | msgspec.json.decode(response.body, type=dict[str, msgspec.Raw])
        more = {name.lower(): response.headers[name] for name in ("ETag",) if name in response.headers}
        if "Kvs-Copies" in response.headers:
            more["copies"] = response.headers["Kvs-Copies"]
        return msgspec.json.encode(told | more) + b"\n"

    def _write(self, key: bytes, value: bytes | None) -> None:
        self.writes += 1
        self.versions[key] = self.writes
        if value is None:
            del self.values[key]
            self.ttls.pop(key, None)
            self.expiries.pop(key, None)
        else:
            self.values[key] = value

    async def _change(self) -> web.Response:
        if self.progress:
            await self.told.wait()
        return answer(200, shards=[{"address": node, "key-count": COUNTS[node]} for node in NODES])

    def _ttl(self, key: bytes) -> bytes:
        return b',"ttl":%b' % self._left(key) if key in self.ttls else b""

    def _left(self, key: bytes) -> msgspec.Raw:
        """In how many seconds it expires; as it was put, if a test has put it there itself."""
        if key not in self.expiries:
            return self.ttls[key]
        return msgspec.Raw(b"%.3f" % (self.expiries[key] - self.now()))

    def _expire(self) -> None:
        """What has expired is a deletion of its own version."""
        for key, expiry in list(self.expiries.items()):
            if expiry <= self.now():
                del self.expiries[key], self.ttls[key]
                self.values.pop(key, None)

    def _page(self, prefix: str = "", after: str = "", limit: str = "1000", values: str = "false") -> web.Response:
        if not 1 <= int(limit) <= 10_000 or values not in ("true", "false"):
            return answer(400, error="Malformed limit or values")
        found = sorted(key for key in self.values if key.startswith(prefix.encode()) and key > after.encode())
        keys = found[: min(int(limit), self.page_keys_max)]
        texts = [json.dumps(key.decode()).encode() for key in keys]
        end = texts[-1] if len(keys) < len(found) else b"null"
        if values == "true":
            entries = zip(texts, keys, strict=True)
            texts = [
                b'{"key":%b,"value":%b,"etag":"\\"7\\""%b}' % (text, self.values[key], self._ttl(key))
                for text, key in entries
            ]
        head = b'{"message":"Keys retrieved successfully","' + (b"entries" if values == "true" else b"keys")
        body = head + b'":[' + b",".join(texts) + b'],"next":' + end + b"}"
        return web.Response(body=body, content_type="application/json")

    def _progress(self) -> web.Response:
        body = self.progress.pop(0) if self.progress else progress(0, 0, state="settled")
        if not self.progress:
            self.told.set()
        return answer(200, **body)


def answer(status: int, headers: Mapping[str, str] | None = None, /, **fields: object) -> web.Response:
    text = json.dumps({"message": "...", **fields})
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def progress(partitions: int | None, keys: int | None, *, state: str = "moving") -> dict[str, object]:
    nodes = [{"address": "10.0.0.1:80", "partitions": partitions, "keys": keys}]
    return {"epoch": 4, "coordinator": "10.0.0.1:80", "state": state, "nodes": nodes}


@contextmanager
def served_by_thread(store: FakeStore) -> Iterator[str]:
    """For a test that blocks, as the command does; others use `aiohttp_server`. Gives the endpoint."""
    loop = asyncio.new_event_loop()
    server = TestServer(store.app())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start_server(shutdown_timeout=0), loop).result(PATIENCE_S)
        yield endpoint_of(server)
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


def endpoint_of(server: TestServer) -> str:
    return f"{server.host}:{server.port}"


def ring_of(*endpoints: str, digest: str = "00ff00ff00ff00ff") -> dict[str, object]:
    """Of one endpoint, which owns all, or of two, of which the first owns the lower half of the partitions."""
    shards = [{"shard-id": str(n), "replicas": [each], "partitions": 2048} for n, each in enumerate(endpoints, 1)]
    ranges = RANGES if len(endpoints) == 2 else [[0, 4095, "1"]]
    view = {"epoch": 3, "digest": digest, "repl-factor": None}
    return view | {"partitions": 4096, "hash": "xxh3_64", "shards": shards, "ranges": ranges}
