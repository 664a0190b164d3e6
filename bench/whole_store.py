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
from bench.paced import PATIENCE_S, Felt, Job, felt, get, share
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, Server, fill, free_addresses, node_env, server
from gossip.view import parse_nodes
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

NODES = 3
GETS_PER_S = 200
READ_BYTES = 1 << 20
KEY = b'"key":'
"""Once in each line of a key."""
END = b'{"end":true}\n'


def listing(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Pages of a listing, and what GETs of single keys feel of them: in turn without and beside pages, since what a few
    hundred GETs wait at worst is as much chance as anything."""
    keys = any_keys(scale.many_keys)
    with _nodes(directory, keys) as nodes:
        gets = Job(nodes[-1], keys[:: max(1, len(keys) // 1000)], GETS_PER_S)
        for what, query in (("keys", ""), ("entries", "&values=true")):
            pages, rounds = _Pages(nodes[0], query), list[tuple[Felt, Felt]]()
            for _ in range(scale.rounds):
                alone = felt(gets, partial(time.sleep, scale.duration_s))
                rounds.append((alone, felt(gets, partial(pages.go_on, scale.duration_s))))
            detail = f"of {len(keys):,} keys on {len(nodes)} nodes, p99 {share(pages.taken_ms, 0.99):.1f} ms"
            yield Figure(f"page of 1,000 {what}", statistics.median(pages.taken_ms), "ms", 30, True, detail)
            times = statistics.median(beside.p99_ms / alone.p99_ms for alone, beside in rounds)
            alone_ms, beside_ms = (
                statistics.median(felt.p99_ms for felt in each) for each in zip(*rounds, strict=True)
            )
            seen = f"p99 {beside_ms:.1f} ms instead of {alone_ms:.1f} ms, {GETS_PER_S} a second, {len(rounds)} times"
            yield Figure(f"GET beside pages of {what}", times, "of its p99", 2, True, seen)


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


class _Pages:
    """A listing, page after page at the default 1,000 keys each, and over again at its end."""

    def __init__(self, address: str, query: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        self._query = query
        self._after = ""
        self.taken_ms: list[float] = []
        """How long each has taken."""

    def go_on(self, duration_s: float) -> None:
        """For so long."""
        end = time.perf_counter() + duration_s
        while (began := time.perf_counter()) < end:
            page = get(self._connection, f"/kvs/keys?after={self._after}{self._query}")
            self.taken_ms.append(1000 * (time.perf_counter() - began))
            self._after = msgspec.json.decode(page, type=_Next).next or ""


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
