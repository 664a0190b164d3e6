"""A node whose clients take all that they may: other nodes, and who asks for health, go on meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import Address, host_of, port_of
from tests.cluster import Client, Processes, eventually, fresh_addresses, run_to_its_end
from tests.node.api.metrics.scraped import scrape
from tests.node.api.raw_http import ask_raw
from tests.node.api.short_way import reset

pytestmark = pytest.mark.process

BEGUN = b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\nA: "
NEVER_ENDS = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"


async def held(node: Address, *sent: bytes) -> list[asyncio.StreamWriter]:
    """Connections on which this is sent, and nothing more."""
    writers = []
    for part in sent:
        _, writer = await asyncio.open_connection(host_of(node), port_of(node))
        writer.write(part)
        writers.append(writer)
    return writers


async def watching(node: Address) -> asyncio.StreamWriter | None:
    """Until it is broken off; None: it was refused."""
    reader, writer = await asyncio.open_connection(host_of(node), port_of(node))
    writer.write(b"GET /kvs/watch HTTP/1.1\r\nHost: x\r\n\r\n")
    if b" 200 OK" in await reader.readuntil(b"\r\n\r\n"):
        return writer
    writer.close()
    return None


async def new_client(node: Address, path: str = "/kvs/keys/k") -> int:
    """What one is answered: the status."""
    return (await ask_raw(node, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))[0]


async def test_process_whose_clients_take_all_keeps_its_peers_and_answers_for_its_health(
    processes: Processes, http: Client
) -> None:
    a, b = nodes = fresh_addresses(2)
    await asyncio.gather(*(processes.start(node, nodes, LIMITS="connections=10", REPL_FACTOR="2") for node in nodes))
    await processes.in_touch(nodes)
    writers = []
    while (writer := await watching(a)) is not None:
        writers.append(writer)
    assert 8 <= len(writers) <= 10, "the client of this test may have some connections too"
    writers += await held(a, *[b""] * 50, *[BEGUN] * 50, *[NEVER_ENDS] * 50)

    async def is_refused() -> bool:
        return await new_client(a) == 503

    await eventually(is_refused, "clients being refused")
    await processes[b].kill()
    await processes[b].start()
    await processes.in_touch([b])
    assert (await http.put(b, "k", 1)).status == 201, "both have it, or it would say that one does not"
    assert (await http.get(b, "k")).status == 200

    async def is_only_health_answered() -> bool:
        told = [await new_client(a, path) for path in ("/livez", "/readyz", "/kvs/keys/k")]
        assert told[0] == 200 and told[2] == 503, "whatever the other node does"
        return told[1] == 200

    await eventually(is_only_health_answered, "the node being ready, now that the other is back")
    shown = await scrape(http, a)  # On a connection that it had before, or as one that is answered once.
    assert shown("kvs_client_limit", limit="connections") == 10
    assert shown("kvs_client_limit_refused_total", limit="connections") > 0
    assert "clients are refused: of connections there are 10, and 10 allowed" in processes[a].log.read_text()
    for writer in writers:
        reset(writer)

    async def is_served() -> bool:
        return await new_client(a) == 200

    await eventually(is_served, "clients being served again")


async def test_process_limits_of_kinds_are_kept_apart(processes: Processes, http: Client) -> None:
    (node,) = fresh_addresses(1)
    await processes.start(node, [node], LIMITS="watchers=2")
    writers = [await watching(node) for _ in range(2)]
    assert all(writers)
    assert (await scrape(http, node))("kvs_client_limit_used", limit="watchers") == 2
    refused = await http.ask(node, "GET", "/kvs/watch")
    assert (refused.status, refused.json["error"], refused.headers["Retry-After"]) == (503, "Too many watchers", "1")
    assert (await http.put(node, "k", 1)).status == 201
    for writer in filter(None, writers):
        reset(writer)


async def test_process_bad_limits_end_the_start_with_2_and_a_line() -> None:
    (node,) = fresh_addresses(1)
    ended = await run_to_its_end({"ADDRESS": node, "VIEW": node, "LIMITS": "connections=many"})
    assert ended.status == 2
    (line,) = ended.errors
    assert line.startswith("LIMITS: 'connections=many' is no NAME=NUMBER with a name of connections, ")
