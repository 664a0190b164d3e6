"""What it takes to read the whole of a store that holds very many keys: page by page, and as a stream."""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from bench.figures import Figure
from bench.lanes import any_keys
from bench.paced import PATIENCE_S, Job, felt, get, share
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, Server, fill, free_addresses, node_env, server
from gossip.view import parse_nodes
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

NODES = 3
PAGES = 600
"""Of a listing; at the default 1,000 keys each."""
GETS_PER_S = 200
READ_BYTES = 1 << 20
KEY = b'"key":'
"""Once in each line of a key."""
END = b'{"end":true}\n'


def listing(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Pages of a listing, and what GETs of single keys feel of them."""
    keys = any_keys(scale.many_keys)
    with _nodes(directory, keys) as nodes:
        gets = Job(nodes[-1], keys[:: max(1, len(keys) // 1000)], GETS_PER_S)
        for what, query in (("keys", ""), ("entries", "&values=true")):
            alone = felt(gets, partial(time.sleep, 4 * scale.duration_s))
            taken_ms: list[float] = []
            beside = felt(gets, partial(_list, nodes[0], query, taken_ms))
            detail = f"of {len(keys):,} keys on {len(nodes)} nodes, p99 {share(taken_ms, 0.99):.1f} ms"
            yield Figure(f"page of 1,000 {what}", statistics.median(taken_ms), "ms", 30, True, detail)
            seen = f"p99 {beside.p99_ms:.1f} ms instead of {alone.p99_ms:.1f} ms, {GETS_PER_S} a second"
            yield Figure(f"GET beside pages of {what}", beside.p99_ms / alone.p99_ms, "of its p99", 2, True, seen)


def export(scale: Scale, directory: Path) -> Iterator[Figure]:
    """The whole store as a stream."""
    keys = any_keys(scale.many_keys)
    with _nodes(directory, keys) as nodes:
        rates = [len(keys) / _export_s(node, len(keys)) for node in nodes]
    detail = f"{len(keys):,} keys of 20 + 100 bytes on {len(nodes)} nodes, through each"
    yield Figure("exporting", statistics.median(rates), "keys/s", 200_000, False, detail)


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
        page = get(connection, f"/kvs/keys?after={after}{query}")
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
