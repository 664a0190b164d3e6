"""The short way in answers as aiohttp would, in the order of the requests, and leaves the rest to aiohttp."""

from __future__ import annotations

import asyncio
import socket
from time import monotonic

import pytest

from node.api.fastpath import AHEAD_BYTES_MAX
from tests.cluster import eventually
from tests.node.api.short_way import PLAIN, Server, read_answer, reset

READ_BYTES_MAX = 256 * 1024
"""What asyncio takes from a socket at once."""


async def test_fastpath_whole_request_is_answered_as_by_aiohttp(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(PLAIN)
    here, body = await read_answer(reader)
    writer.write(PLAIN[:10])
    await eventually(server.has_let_go, "a part of a request is aiohttp's")
    writer.write(PLAIN[10:])
    there, _ = await read_answer(reader)
    assert body == b"here GET a 0"
    assert [line.partition(b":")[0] for line in here.split(b"\r\n")] == [
        line.partition(b":")[0] for line in there.split(b"\r\n")
    ]
    writer.close()


async def test_fastpath_pipelined_answers_keep_their_order(server: Server) -> None:
    server.api.go.set()
    keys = ["a", "slow1", "b", "slow2", "slow3", "c"]
    sent = b"".join(f"GET /kvs/keys/{key} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for key in keys)
    assert await server.ask(sent, answers=len(keys)) == [f"here GET {key} 0" for key in keys]


async def test_fastpath_request_behind_a_slow_one_waits(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(b"GET /kvs/keys/slow HTTP/1.1\r\nHost: x\r\n\r\n" + PLAIN + PLAIN[:9])
    await eventually(server.at_work, "the slow one is asked")
    (connection,) = server.front.connections

    async def has_arrived() -> bool:
        return connection._ahead == PLAIN + PLAIN[:9]

    await eventually(has_arrived, "what is behind it waits")
    assert server.api.asked == ["slow"]
    server.api.go.set()
    assert [(await read_answer(reader))[1] for _ in range(2)] == [b"here GET slow 0", b"here GET a 0"]
    writer.write(PLAIN[9:])
    assert (await read_answer(reader))[1] == b"aiohttp GET a 0"
    writer.close()


async def test_fastpath_what_has_waited_is_asked_about_again_before_aiohttp_gets_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await server.connect()
    writer.write(b"GET /kvs/keys/slow HTTP/1.1\r\nHost: x\r\n\r\n" + PLAIN[:9])
    await eventually(server.at_work, "the slow one is asked")
    monkeypatch.setattr(server.front.staleness, "admit", lambda start, connection: start != PLAIN[:9])
    server.api.go.set()
    assert (await read_answer(reader))[1] == b"here GET slow 0"
    async with asyncio.timeout(5):
        assert await reader.read() == b"", "it is too old by now"
    writer.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel tells only on Linux")
async def test_fastpath_write_that_has_waited_here_for_long_is_not_handed_to_aiohttp(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the loop turns all the while says nothing about how long it has waited."""
    reader, writer = await server.connect()
    staleness = server.front.staleness
    (connection,) = server.front.connections
    monkeypatch.setattr(staleness, "_late_s", 0.2)

    async def was_read_by_then() -> bool:
        return connection._inlet.read_since < staleness._turns.delivered_until

    await eventually(was_read_by_then, "two ticks have passed")
    put = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"
    writer.write(b"GET /kvs/keys/slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await eventually(server.at_work, "the slow one is asked")
    writer.write(put)
    sent_at = monotonic()

    async def has_grown_old() -> bool:
        return connection._ahead == put and monotonic() - sent_at > 0.4

    await eventually(has_grown_old, "it waits behind the slow one")
    server.api.go.set()
    assert (await read_answer(reader))[1] == b"here GET slow 0"
    async with asyncio.timeout(5):
        assert await reader.read() == b"", "it is too old by now"
    writer.close()


async def test_fastpath_connection_counts_as_read_only_since_reading_was_resumed(server: Server) -> None:
    reader, writer = await server.connect()
    (connection,) = server.front.connections
    since = connection._inlet.read_since
    puts = b"PUT /kvs/keys/b HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n" + b"v" * 30000
    writer.write(b"GET /kvs/keys/slow HTTP/1.1\r\nHost: x\r\n\r\n" + 3 * puts)

    async def is_paused() -> bool:
        return not connection._reading

    await eventually(is_paused, "it has sent too far ahead")
    assert connection._inlet.read_since == since
    paused_at = monotonic()
    server.api.go.set()
    for _ in range(4):
        await read_answer(reader)
    assert connection._inlet.read_since >= paused_at
    writer.close()


@pytest.mark.parametrize("cut", [1, 20, 60, 80])
async def test_fastpath_partial_request_goes_to_aiohttp_unharmed(server: Server, cut: int) -> None:
    put = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 30\r\n\r\n" + b"v" * 30
    assert await server.ask(PLAIN + put[:cut], put[cut:], answers=2) == ["here GET a 0", "aiohttp PUT a 30"]


async def test_fastpath_chunked_body_goes_to_aiohttp(server: Server) -> None:
    chunked = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert await server.ask(chunked + PLAIN, answers=2) == ["aiohttp PUT a 3", "aiohttp GET a 0"]


async def test_fastpath_expect_is_answered_with_continue(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await read_answer(reader))[1] == b"aiohttp PUT a 3"
    writer.close()


async def test_fastpath_connection_close_is_kept(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(PLAIN.replace(b"Host: x", b"Connection: close"))
    await read_answer(reader)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_fastpath_mistake_of_ours_is_500_and_the_next_request_fares_better(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(PLAIN.replace(b"/a ", b"/broken ") + PLAIN)
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 500 ")
    assert body == b'{"error":"Internal error","message":"Error in GET"}'
    assert (await read_answer(reader))[1] == b"here GET a 0"
    writer.close()


async def test_fastpath_reads_no_further_than_its_bound(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(b"GET /kvs/keys/slow HTTP/1.1\r\nHost: x\r\n\r\n")
    long = PLAIN.replace(b"\r\n\r\n", b"\r\nX-Padding: %b\r\n\r\n" % (b"x" * 1000))
    count = 12 * AHEAD_BYTES_MAX // len(long)
    writer.write(long * count)
    await eventually(server.reads_no_more, "the end of reading")
    (connection,) = server.front.connections
    assert AHEAD_BYTES_MAX < len(connection._ahead) <= AHEAD_BYTES_MAX + READ_BYTES_MAX
    server.api.go.set()
    for _ in range(count + 1):
        await read_answer(reader)
    writer.close()


async def test_fastpath_client_that_reads_late_gets_all_answers(server: Server) -> None:
    reader, writer = await server.connect()
    big = PLAIN.replace(b"/a ", b"/big ")
    count = 3 * AHEAD_BYTES_MAX // len(big)
    writer.write(big * count)
    await eventually(server.reads_no_more, "the end of reading")
    (connection,) = server.front.connections
    assert len(connection._ahead) > AHEAD_BYTES_MAX
    for _ in range(count):
        await read_answer(reader)
    writer.close()


async def test_fastpath_close_finishes_what_is_under_way(server: Server) -> None:
    reader, writer = await server.connect()
    idle_reader, idle_writer = await server.connect()

    async def both_are_accepted() -> bool:
        return len(server.front.connections) == 2

    await eventually(both_are_accepted, "both connections are accepted")
    writer.write(b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\n\r\n" + PLAIN)
    await eventually(server.at_work, "the request is under way")
    closing = asyncio.create_task(server.front.close())
    assert await asyncio.wait_for(idle_reader.read(), 5) == b""
    assert not closing.done()
    server.api.go.set()
    assert (await read_answer(reader))[1] == b"here PUT a 0"
    assert await asyncio.wait_for(reader.read(), 5) == b""
    await closing
    assert server.api.asked == ["a"]
    for each in (writer, idle_writer):
        each.close()


async def test_fastpath_client_that_leaves_does_not_stop_its_request(server: Server) -> None:
    _, writer = await server.connect()
    writer.write(b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\n\r\n")
    await eventually(server.at_work, "the request is under way")
    reset(writer)
    await eventually(server.has_let_go, "the client has left")
    (task,) = server.front.under_way
    server.api.go.set()
    await task
    assert not server.front.connections


# Puts on the short way


def put(key: str) -> bytes:
    return f"PUT /kvs/keys/{key} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()


async def test_fastpath_put_is_answered_when_it_is_stored_and_those_behind_it_then(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(put("quick1") + put("quick2") + PLAIN)
    await eventually(server.at_work, "the first is asked")
    for number in (1, 2):
        assert len(server.api.puts) == number
        server.api.puts[-1].set_result(True)
        assert (await read_answer(reader))[1] == f"here PUT quick{number} 2".encode()
    assert (await read_answer(reader))[1] == b"here GET a 0"
    assert not server.front.under_way and not server.front.admission.requests.used
    writer.close()


async def test_fastpath_put_that_is_not_done_when_it_is_stored_goes_on(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(put("quick") + PLAIN)
    await eventually(server.at_work, "it is asked")
    server.api.puts[0].set_result(False)
    server.api.go.set()
    assert [(await read_answer(reader))[1] for _ in range(2)] == [b"later PUT quick 2", b"here GET a 0"]
    assert not server.front.under_way and not server.front.admission.requests.used
    writer.close()


@pytest.mark.parametrize(("is_copied", "by"), [(True, b"here"), (False, b"later")])
async def test_fastpath_put_that_is_copied_is_answered_then(server: Server, is_copied: bool, by: bytes) -> None:
    reader, writer = await server.connect()
    copied = server.api.copies[b"quick"] = asyncio.get_running_loop().create_future()
    server.api.go.set()
    writer.write(put("quick") + PLAIN)
    await eventually(server.at_work, "it is asked")
    server.api.puts[0].set_result(True)
    closing = asyncio.ensure_future(server.front.close())
    await asyncio.sleep(0.05)
    assert server.front.under_way == {copied} and not closing.done()
    copied.set_result(is_copied)
    assert (await read_answer(reader))[1] == by + b" PUT quick 2"
    await closing
    assert not server.front.under_way and not server.front.admission.requests.used
    writer.close()


async def test_fastpath_put_that_fails_leaves_its_room(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(put("quick-to-fail") + put("quick"))
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 500 ")
    await eventually(server.at_work, "the next is asked")
    server.api.puts[0].set_exception(RuntimeError("broken"))
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 500 ")
    admission = server.front.admission
    assert (admission.requests.used, admission.memory.used) == (0, 0)
    writer.close()


async def test_fastpath_end_waits_for_what_goes_on_after_a_put(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(put("quick"))
    await eventually(server.at_work, "it is asked")
    closing = asyncio.ensure_future(server.front.close())
    await asyncio.sleep(0)
    server.api.puts[0].set_result(False)
    await asyncio.sleep(0.05)
    assert not closing.done()
    server.api.go.set()
    assert (await read_answer(reader))[1] == b"later PUT quick 2"
    await closing
    writer.close()


@pytest.mark.parametrize("keepalive_s", [0.05])
async def test_fastpath_idle_connection_is_closed(server: Server) -> None:
    reader, writer = await server.connect()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
