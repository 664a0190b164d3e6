"""What it costs to be looked at: metrics, their scrapes, and the page."""

from __future__ import annotations

import asyncio
import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.figures import Figure
from bench.lanes import KEYS, Lane, any_keys, sample
from bench.paced import PATIENCE_S, get
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, ROOT, fill, free_addresses, node_env, server
from gossip.view import host_of, port_of

PEERS = 100
SCRAPES = 50
NODES = 3
VIEWERS = 20
STREAM = "/ui/stream"


def seeing(scale: Scale, directory: Path) -> Iterator[Figure]:
    """A GET with its metrics and without, a scrape of a large store with many peers, and viewers of the page."""
    for name in ("metered", "unmetered", "large", "page"):
        (directory / name).mkdir()
    yield metered(scale, directory)
    yield scrape(scale, directory / "large")
    yield viewed(scale, directory / "page")


def metered(scale: Scale, directory: Path) -> Figure:
    keys, shares, rates = any_keys(KEYS), list[float](), list[float]()
    with ExitStack() as stack:
        lanes = []
        for name, module in (("metered", "node"), ("unmetered", "bench.unmetered")):
            (address,) = free_addresses(1)
            fill(directory / name, keys, VALUE)
            node = stack.enter_context(server(module, address, node_env(address, directory / name), KEY_COUNT))
            lanes.append(Lane(f"GET, {name}", node, None))
        for _ in range(scale.rounds):
            with_them, without = (sample(lane, keys, scale).result.per_second for lane in lanes)
            rates.append(with_them)
            shares.append(with_them / without)
    detail = f"{statistics.median(rates):,.0f} requests/s"
    return Figure("GET at the owner", statistics.median(shares), "of one that is not counted", 0.97, False, detail)


def scrape(scale: Scale, directory: Path) -> Figure:
    """Of a node that has all keys, and as co-owners so many others, of which none can be reached."""
    address, *others = free_addresses(1 + PEERS)
    fill(directory, any_keys(scale.many_keys), VALUE)
    env = node_env(",".join([address, *others]), directory) | {"REPL_FACTOR": str(1 + PEERS)}
    taken_ms, size = list[float](), 0
    with server("node", address, env, KEY_COUNT):
        time.sleep(scale.settling_s)
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        for _ in range(SCRAPES):
            began = time.perf_counter()
            size = len(get(connection, "/metrics"))
            taken_ms.append(1000 * (time.perf_counter() - began))
    detail = f"{scale.many_keys:,} keys, {PEERS} peers, {size / 1000:.0f} kB"
    return Figure("scrape of /metrics", statistics.median(taken_ms), "ms", 20, True, detail)


def viewed(scale: Scale, directory: Path) -> Figure:
    """Of the node that serves the page, beside others, while nobody else asks it anything."""
    addresses = free_addresses(NODES)
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(server("node", address, node_env(",".join(addresses), directory / address), KEY_COUNT))
            for address in addresses
        ]
        time.sleep(scale.settling_s)

        def share() -> float:
            began, before_s = time.monotonic(), nodes[0].cpu_s()
            time.sleep(scale.idle_s)
            return (nodes[0].cpu_s() - before_s) / (time.monotonic() - began)

        alone = share()
        with _viewing(addresses[0], 1):
            by_one = share()
        with _viewing(addresses[0], VIEWERS):
            by_many = share()
    each = (by_many - by_one) / (VIEWERS - 1)
    detail = f"the first takes {100 * (by_one - alone):.1f}%; {VIEWERS} at once, {NODES} nodes"
    return Figure("the page's stream", 100 * each, "% of a core a viewer", 1, True, detail)


@contextmanager
def _viewing(address: str, count: int) -> Iterator[None]:
    """So many streams of the page, which are read, and thrown away."""
    command = [sys.executable, "-m", "bench.seeing", address, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as viewers:
        assert viewers.stdin is not None and viewers.stdout is not None
        if not viewers.stdout.readline():
            raise RuntimeError("nobody views the page")
        yield
        viewers.stdin.close()


async def _view(address: str, count: int) -> None:
    """Until stdin ends."""
    viewers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(host_of(address), port_of(address))
        writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"{STREAM}: {head!r}")
        viewers.append((asyncio.create_task(_read(reader)), writer))
    print("there", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    for reading, writer in viewers:
        reading.cancel()
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


if __name__ == "__main__":
    asyncio.run(_view(sys.argv[1], int(sys.argv[2])))
