"""Nodes for tests: in this process (`Cluster`), or as processes of their own (`Processes`).

Owns how a test starts, hurts and asks nodes, on loopback addresses of its own, and that all of them are gone at its
end. Every wait is for a condition, bounded.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from gossip.settings import Settings
from gossip.view import Address, host_of, port_of
from node.api.server import serving
from node.config import Config
from node.node import Node
from tests.commands import Done, run
from tests.forked import Forked
from tests.locks import OPEN, Locks, Way
from tests.locks import environment as of_the_locks
from tests.node.fakes.clocks import SteadyTime

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
PORT = 13900
NODE = ("-m", "node")
PATIENCE_S = 20.0
"""Nothing that a test waits for takes a tenth of this on an idle machine."""


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends paths as they are given, so that a test decides what is percent-encoded."""

    def __init__(self, session: aiohttp.ClientSession, way: Way = OPEN) -> None:
        self._session = session
        self.way = way

    async def ask(
        self, node: Address, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        url = URL(f"{self.way.scheme}://{node}{path}", encoded=True)
        shown, tls = {**self.way.headers, **(headers or {})}, self.way.tls or True
        async with self._session.request(method, url, data=body, headers=shown, ssl=tls) as response:
            return Reply(response.status, response.headers, await response.read())

    async def put(self, node: Address, key: str, value: object) -> Reply:
        return await self.ask(node, "PUT", f"/kvs/keys/{key}", json.dumps({"value": value}).encode())

    async def put_all(self, node: Address, keys: Mapping[str, object]) -> None:
        """In one request. Each has to be stored."""
        lines = [json.dumps({"op": "put", "key": key, "value": value}) for key, value in keys.items()]
        reply = await self.ask(node, "POST", "/kvs/batch", "\n".join(lines).encode())
        assert {json.loads(line)["status"] for line in reply.body.splitlines()} <= {200, 201}

    async def get(self, node: Address, key: str) -> Reply:
        return await self.ask(node, "GET", f"/kvs/keys/{key}")

    async def change_view(
        self, node: Address, nodes: Iterable[Address], query: str = "", repl_factor: int | None = None
    ) -> Reply:
        body: dict[str, object] = {"view": ",".join(nodes)}
        if repl_factor is not None:
            body["repl-factor"] = repl_factor
        return await self.ask(node, "PUT", f"/kvs/view-change{query}", json.dumps(body).encode())

    async def key_count(self, node: Address) -> int:
        count = (await self.ask(node, "GET", "/kvs/key-count")).json["key-count"]
        assert isinstance(count, int)
        return count

    async def view_of(self, node: Address) -> tuple[int, str, frozenset[Address]]:
        """Epoch, digest and nodes of the view that `node` holds."""
        ring = (await self.ask(node, "GET", "/kvs/ring")).json
        return ring["epoch"], ring["digest"], frozenset(node for shard in ring["shards"] for node in shard["replicas"])


class Session:
    """A client that passes its context on."""

    def __init__(self, http: Client) -> None:
        self._http = http
        self.context: Any = {}

    async def ask(self, node: Address, method: str, key: str, **fields: Any) -> Reply:
        body = json.dumps(fields | {"causal-context": self.context}).encode()
        reply = await self._http.ask(node, method, f"/kvs/keys/{key}", body)
        if reply.status != 503:
            self.context = reply.json["causal-context"]
        return reply

    async def put(self, node: Address, key: str, value: object) -> Reply:
        return await self.ask(node, "PUT", key, value=value)

    async def get(self, node: Address, key: str) -> Reply:
        return await self.ask(node, "GET", key)


@asynccontextmanager
async def client(patience_s: float = PATIENCE_S, way: Way = OPEN) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientTimeout(total=patience_s)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        yield Client(session, way)


def fresh_addresses(count: int, per_host: int = 1) -> list[Address]:
    """Addresses that no other test uses, ascending, so many on each host: a subnet of their own among the 65,000 of
    loopback."""
    subnet = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}"
    return [f"{subnet}.{2 + number // per_host}:{PORT + number % per_host}" for number in range(count)]


async def eventually(condition: Callable[[], Awaitable[T]], what: str = "the condition") -> T:
    """Wait until `condition` gives something true, and return it. A connection that cannot be
    made counts as false."""
    deadline = time.monotonic() + PATIENCE_S
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = result = await condition()
            if result:
                return result
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            last = error
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} does not come true; last seen: {last!r}")


class Cluster:
    """Nodes in this process, with real links and real disks, on a time in which its pauses do not count."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stacks: dict[Address, AsyncExitStack] = {}
        self.nodes: dict[Address, Node] = {}

    async def start(
        self, address: Address, view: Iterable[Address], repl_factor: int | None = None, zone: str = "", **told: Any
    ) -> Node:
        """`told`: fields of its `Config`."""
        config = Config.for_test(address, tuple(view), self._directory / address, repl_factor)
        config = msgspec.structs.replace(config, zone=zone, **told)
        stack = AsyncExitStack()
        running = await stack.enter_async_context(serving(config, Settings.for_test(), SteadyTime()))
        self.nodes[address] = running.node
        self._stacks[address] = stack
        return self.nodes[address]

    async def start_all(self, addresses: Iterable[Address], repl_factor: int | None = None) -> None:
        addresses = list(addresses)
        await asyncio.gather(*(self.start(address, addresses, repl_factor) for address in addresses))

    async def stop(self, address: Address) -> None:
        del self.nodes[address]
        await self._stacks.pop(address).aclose()

    def wipe(self, address: Address) -> None:
        """Lose the disk of a node that is down."""
        assert address not in self.nodes
        shutil.rmtree(self._directory / address)

    async def close(self) -> None:
        await asyncio.gather(*map(self.stop, list(self.nodes)))


class NodeProcess:
    """`python -m node`, with its own data directory; what it says goes to `log`."""

    def __init__(self, address: Address, view: Iterable[Address], directory: Path, **environment: str) -> None:
        self.address = address
        self.data_dir = directory / address
        self.log = directory / f"{address}.log"
        self.environment = {"ADDRESS": address, "VIEW": ",".join(view), "DATA_DIR": str(self.data_dir)} | environment
        self.program: tuple[str, ...] | None = None
        """What Python is started with, which has to become a node, or be one; None: a fork does, see `forked`."""
        self._process: asyncio.subprocess.Process | Forked | None = None

    async def spawn(self) -> None:
        """Returns at once; `start` waits until it listens."""
        assert self._process is None, f"{self.address} runs already"
        environment = clean_environment(self.environment)
        if self.program is None:
            self._process = Forked(environment, ROOT, self.log)
            return
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.program,
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )

    async def start(self) -> None:
        await self.spawn()
        await self.listening()

    async def listening(self) -> None:
        async def connect() -> bool:
            assert self._process is not None
            assert self._process.returncode is None, f"{self.address} ended: {self.log.read_text()}"
            _, writer = await asyncio.open_connection(host_of(self.address), port_of(self.address))
            writer.close()
            return True

        await eventually(connect, f"{self.address} listening")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end; the exit status."""
        assert self._process is not None
        async with asyncio.timeout(PATIENCE_S):
            status = await self._process.wait()
        self._process = None
        return status

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.ended()

    async def reap(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()


class Processes:
    """Nodes as processes. Their logs are printed at the end, so that pytest shows them where a test failed."""

    def __init__(self, directory: Path, http: Client, locks: Locks | None = None) -> None:
        self._directory = directory
        self._http = http
        self._locks = locks
        self._all: dict[Address, NodeProcess] = {}
        self.program: tuple[str, ...] | None = None
        """That of the nodes which are made from now on."""

    def __getitem__(self, address: Address) -> NodeProcess:
        return self._all[address]

    def make(self, address: Address, view: Iterable[Address], **environment: str) -> NodeProcess:
        if self._locks is not None:
            environment = of_the_locks(self._locks.files_of(address, host_of(address))) | environment
        process = self._all[address] = NodeProcess(address, view, self._directory, **environment)
        process.program = self.program
        return process

    async def start(self, address: Address, view: Iterable[Address], **environment: str) -> NodeProcess:
        process = self.make(address, view, **environment)
        await process.start()
        return process

    async def start_all(
        self, addresses: Iterable[Address], view: Iterable[Address] | None = None, **environment: str
    ) -> None:
        """Start them, and wait until they reach each other."""
        addresses = list(addresses)
        view = addresses if view is None else list(view)
        await asyncio.gather(*(self.start(address, view, **environment) for address in addresses))
        await self.in_touch(addresses)

    async def in_touch(self, addresses: Iterable[Address]) -> None:
        """Wait until each of `addresses` reaches all nodes of its view."""
        for address in addresses:

            async def reaches_all(address: Address = address) -> bool:
                shown = (await self._http.ask(address, "GET", "/kvs/view-change")).json["nodes"]
                return all(node["keys"] is not None for node in shown)

            await eventually(reaches_all, f"{address} reaching the other nodes")

    async def close(self) -> None:
        await asyncio.gather(*(process.reap() for process in self._all.values()))
        for process in self._all.values():
            log = process.log.read_text(errors="replace") if process.log.exists() else ""
            print(f"--- {process.address}\n{log[-10_000:]}")


async def run_to_its_end(environment: Mapping[str, str]) -> Done:
    """`python -m node` with nothing but this environment, where it is expected to end by itself."""
    own = clean_environment(environment)
    return await run(sys.executable, *NODE, environment=own, directory=ROOT, timeout_s=PATIENCE_S)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment`, without the variables of a node that whoever runs the tests may have set."""
    own = {"ADDRESS", "VIEW", "REPL_FACTOR", "CLUSTER", "DATA_DIR", "BIND", "ZONE", "ROUND_TRIP_MS"}
    own |= {"LOG_LEVEL", "LOG_FORMAT", "SLOW_REQUEST_MS", "TOKENS_FILE", "CLUSTER_SECRET_FILE"}
    own |= {"TLS_CERT", "TLS_KEY", "TLS_CA", "LIMITS"}
    return {name: value for name, value in os.environ.items() if name not in own} | dict(environment)
