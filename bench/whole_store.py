"""What it takes to read the whole of a store that holds very many keys: page by page, and as a stream."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from bench.figures import Figure
from bench.lanes import any_keys
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, Server, fill, free_addresses, node_env, server
from gossip.view import parse_nodes
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

NODES = 3
PAGES = 150
"""Of a listing; at the default 1,000 keys each."""
GETS_PER_S = 200
READ_BYTES = 1 << 20
PATIENCE_S = 30.0
KEY = b'"key":'
"""Once in each line of a key."""
END = b'{"end":true}\n'


def listing(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Pages of a listing, and what GETs of single keys feel of them."""
    keys = any_keys(scale.many_keys)
    with _nodes(directory, keys) as nodes:
        gets = Gets(nodes[-1], keys[:: max(1, len(keys) // 1000)])
        for what, query in (("keys", ""), ("entries", "&values=true")):
            alone_ms = gets.p99_ms(partial(time.sleep, scale.duration_s))
            taken_ms: list[float] = []
            beside_ms = gets.p99_ms(partial(_list, nodes[0], query, taken_ms))
            detail = f"of {len(keys):,} keys on {len(nodes)} nodes, p99 {_share(taken_ms, 0.99):.1f} ms"
            yield Figure(f"page of 1,000 {what}", statistics.median(taken_ms), "ms", 30, True, detail)
            seen = f"p99 {beside_ms:.1f} ms instead of {alone_ms:.1f} ms, {GETS_PER_S} a second"
            yield Figure(f"GET beside pages of {what}", beside_ms / alone_ms, "of its p99", 2, True, seen)


def export(scale: Scale, directory: Path) -> Iterator[Figure]:
    """The whole store as a stream."""
    keys = any_keys(scale.many_keys)
    with _nodes(directory, keys) as nodes:
        rates = [len(keys) / _export_s(node, len(keys)) for node in nodes]
    detail = f"{len(keys):,} keys of 20 + 100 bytes on {len(nodes)} nodes, through each"
    yield Figure("exporting", statistics.median(rates), "keys/s", 200_000, False, detail)


class Gets:
    """GETs of single keys, of one client that asks so many times a second if it is answered in time."""

    def __init__(self, address: str, keys: list[str]) -> None:
        self._address = address
        self._keys = keys

    def p99_ms(self, while_: Callable[[], None]) -> float:
        """While that is called."""
        is_over, latencies_ms = threading.Event(), list[float]()
        asking = threading.Thread(target=self._ask, args=(is_over, latencies_ms))
        asking.start()
        try:
            while_()
        finally:
            is_over.set()
            asking.join()
        return _share(latencies_ms, 0.99)

    def _ask(self, is_over: threading.Event, latencies_ms: list[float]) -> None:
        connection, due = http.client.HTTPConnection(self._address, timeout=PATIENCE_S), time.monotonic()
        while not is_over.wait(max(0.0, due - time.monotonic())):
            began = time.monotonic()
            _get(connection, f"/kvs/keys/{self._keys[len(latencies_ms) % len(self._keys)]}")
            latencies_ms.append(1000 * (time.monotonic() - began))
            due = began + 1 / GETS_PER_S


@contextmanager
def _nodes(directory: Path, keys: list[str]) -> Iterator[list[str]]:
    """The addresses of nodes that hold these keys together, one copy of each."""
    addresses = free_addresses(NODES)
    view = ",".join(addresses)
    ring = Ring(first_placement(parse_nodes(view), None))
    nodes: list[Server] = []
    with ExitStack() as stack:
        for address in addresses:
            (directory / address).mkdir()
            fill(
                directory / address, [key for key in keys if address in ring.owners(partition_of(key.encode()))], VALUE
            )
            nodes.append(stack.enter_context(server("node", address, node_env(view, directory / address), KEY_COUNT)))
        for node in nodes:
            node.serving_after("/kvs/keys?limit=1")  # It has met the others.
        yield addresses


def _list(address: str, query: str, taken_ms: list[float]) -> None:
    """Note how long each page takes."""
    connection, after = http.client.HTTPConnection(address, timeout=PATIENCE_S), ""
    for _ in range(PAGES):
        began = time.perf_counter()
        page = _get(connection, f"/kvs/keys?after={after}{query}")
        taken_ms.append(1000 * (time.perf_counter() - began))
        after = msgspec.json.decode(page, type=_Next).next or ""


def _export_s(address: str, keys: int) -> float:
    """How long it takes until all are told. Raises RuntimeError if they are not."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    began, told, tail = time.perf_counter(), 0, b""
    connection.request("GET", "/kvs/export")
    answer = connection.getresponse()
    while block := answer.read(READ_BYTES):
        told += (tail[1 - len(KEY) :] + block).count(KEY)
        tail = (tail + block)[-len(END) :]
    if (told, tail) != (keys, END):
        raise RuntimeError(f"{told:,} of {keys:,} keys, and at last {tail!r}")
    return time.perf_counter() - began


class _Next(msgspec.Struct):
    next: str | None


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    """Raises RuntimeError unless it is answered with 200."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body!r}")
    return body


def _share(latencies_ms: list[float], share: float) -> float:
    """What so many of them do not exceed."""
    return sorted(latencies_ms)[min(len(latencies_ms) - 1, int(len(latencies_ms) * share))]
