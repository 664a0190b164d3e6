"""Keys are watched while processes are killed, come back and move, by clients that read, and one that does not."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from gossip.view import Address, host_of, port_of
from tests.cluster import PATIENCE_S, ROOT, Client, Processes, eventually, fresh_addresses
from tests.events import Events, watching

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

VALUE = "v" * 100_000
MIB_MAX = 64
"""What a node may grow by while a client reads nothing: the pages of its store file, most of all."""


async def until_gap(events: Events, why: str) -> None:
    """Wait until there is one; what is told before it is passed over. On a busy machine, an owner may be silent for
    long enough to be another one."""
    while (seen := await events.next()) is not None:
        if seen.kind == "gap" and seen.data["why"] == why:
            return
    raise AssertionError("the stream has ended")


async def put_and_told(http: Client, node: Address, events: Events, value: int) -> None:
    """Put "k", and wait until that is told, and nothing later before it. What was put before a gap may never be told:
    so after one, it is put again."""
    await put(http, node, "k", value)
    while (seen := await events.next()) is not None:
        if seen.kind == "gap":
            await put(http, node, "k", value)
        elif seen.brief == ("put", "k", value):
            return
        else:
            assert seen.kind == "put" and seen.data["value"] < value
    raise AssertionError("the stream has ended")


async def put(http: Client, node: Address, key: str, value: object) -> None:
    async def is_put() -> bool:
        return (await http.put(node, key, value)).status in (200, 201)

    await eventually(is_put, f"a put of {key}")


@pytest.mark.parametrize("at", [0, 2], ids=["an owner", "a forwarder"])
async def test_process_watch_tells_of_a_killed_owner_and_goes_on(processes: Processes, http: Client, at: int) -> None:
    nodes = fresh_addresses(3)
    await processes.start_all(nodes, nodes[:2], REPL_FACTOR="2")
    async with watching(nodes[at], "k") as events:
        await put_and_told(http, nodes[0], events, 1)
        await processes[nodes[1]].kill()
        await until_gap(events, "an owner of some keys could not be heard")
        await put_and_told(http, nodes[0], events, 2)
        await processes[nodes[1]].start()
        await until_gap(events, "an owner of some keys is heard again")
        await put_and_told(http, nodes[1], events, 3)


async def test_process_watch_tells_of_another_view(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(3)
    await processes.start_all(nodes, nodes[:2])
    async with watching(nodes[0]) as events:
        await put(http, nodes[0], "k", 1)
        assert (await http.change_view(nodes[0], nodes)).status == 200
        await until_gap(events, "another view is in force: keys may have moved")
        await put(http, nodes[2], "after", 2)
        while (seen := await events.next()) is not None and seen.data.get("key") != "after":
            assert seen.brief == ("put", "k", 1), "what has changed hands may be told again"
        assert seen is not None


async def test_process_watch_goes_on_through_another_node(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(3)
    await processes.start_all(nodes, nodes[:2], REPL_FACTOR="2")
    async with watching(nodes[2], "k") as events:
        await put(http, nodes[0], "k", 0)
        (first,) = await events.take(1)
        await processes[nodes[2]].kill()
        assert await events.next() is None
    for number in range(1, 50):
        await put(http, nodes[number % 2], "k", number)
    async with watching(nodes[0], "k", since=first.id) as events:
        assert [seen.data["value"] for seen in await events.take(49)] == list(range(1, 50))


async def test_process_watcher_that_reads_nothing_costs_no_memory(processes: Processes, http: Client) -> None:
    (node,) = fresh_addresses(1)
    await processes.start_all([node])
    await put(http, node, "k", 0)
    before = await rss_mib(processes, node)
    with socket.create_connection((host_of(node), port_of(node))) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        reader.sendall(f"GET /kvs/watch HTTP/1.0\r\nHost: {node}\r\n\r\n".encode())
        head = await asyncio.to_thread(reader.recv, 200)
        assert head.startswith(b"HTTP/1.0 200")
        for number in range(120):
            await put(http, node, "k", VALUE + str(number))
        assert await rss_mib(processes, node) - before < MIB_MAX
        reader.settimeout(PATIENCE_S)
        told = b""
        while part := await asyncio.to_thread(reader.recv, 1 << 20):
            told = (told + part)[-1000:]
        assert b'event: gap\ndata: {"why":"the client reads too slowly"}\n\n' in told


async def rss_mib(processes: Processes, node: Address) -> float:
    process = processes[node]._process
    assert process is not None
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


async def test_process_that_is_told_to_end_ends_streams_and_waits(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    etag = (await http.put(nodes[0], "k", 1)).headers["ETag"]
    waiting = asyncio.create_task(http.ask(nodes[0], "GET", "/kvs/keys/k?wait=60", headers={"If-None-Match": etag}))
    async with watching(nodes[0]) as events, watching(nodes[1]) as others:
        processes[nodes[0]].signal(signal.SIGTERM)
        while (seen := await events.next()) is not None:
            assert seen.kind == "gap", "what else there is to tell, of a machine that is slow"
        assert (await waiting).status == 304
        async with asyncio.timeout(5):
            assert await processes[nodes[0]].ended() == 0
        await until_gap(others, "an owner of some keys could not be heard")


async def test_process_example_follows_what_changes(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(2)
    await processes.start_all(nodes)
    await put(http, nodes[0], "app%2Fcolour", "red")
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "config_watcher.py"),
        ",".join(nodes),
        "app/",
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert program.stdout is not None
    try:
        assert await line_of(program.stdout) == "{'app/colour': 'red'}"
        shown = ""
        number = 0
        while "size" not in shown:  # The list comes first, then the stream.
            number += 1
            await put(http, nodes[1], "app%2Fsize", number)
            shown = await line_of(program.stdout)
        await http.ask(nodes[0], "DELETE", "/kvs/keys/app%2Fcolour")
        while "colour" in shown:
            shown = await line_of(program.stdout)
    finally:
        program.kill()
        await program.wait()


async def line_of(stream: asyncio.StreamReader) -> str:
    async with asyncio.timeout(PATIENCE_S):
        return (await stream.readline()).decode().strip()
