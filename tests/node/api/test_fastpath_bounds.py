"""What clients of the short way may take, how slowly they may read, and who is let in when there is no room."""

from __future__ import annotations

import asyncio
import socket

import pytest

from node.api.admission import Bounds, Dropped, Limit
from node.api.fastpath import ANSWERED_A_TURN
from node.limits import Limits
from tests.cluster import eventually
from tests.node.api.short_way import PLAIN, Server, bounds_of, read_answer

SLOW = PLAIN.replace(b"/a ", b"/slow ")
PUT = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def used(server: Server) -> list[int]:
    rooms = server.front.admission.rooms
    return [rooms[limit].used for limit in (Limit.CONNECTIONS, Limit.REQUESTS, Limit.MEMORY)]


async def nothing_is_used(server: Server) -> None:
    async def is_so() -> bool:
        return used(server) == [0, 0, 0]

    await eventually(is_so, f"what was taken being given back: {used(server)}")


async def test_fastpath_who_sends_much_ahead_lets_others_in_between(server: Server) -> None:
    """And is answered all the same, in order; a PUT that takes time waits for its turn."""
    ahead = 1000
    greedy, modest = await server.connect(), await server.connect()
    last = PLAIN.replace(b"/a ", b"/last ")
    greedy[1].write(PLAIN.replace(b"/a ", b"/ahead ") * ahead + PUT % 0 + last)
    modest[1].write(PLAIN)
    await read_answer(modest[0])
    before = server.api.asked.index("a")
    assert before <= 2 * ANSWERED_A_TURN, "of one turn, and of one more that had begun"
    server.api.go.set()
    bodies = [(await read_answer(greedy[0]))[1] for _ in range(ahead + 2)]
    assert bodies == [b"here GET ahead 0"] * ahead + [b"here PUT a 0", b"here GET last 0"]
    for _, writer in (greedy, modest):
        writer.close()


async def test_fastpath_end_and_loss_of_who_has_much_ahead(server: Server) -> None:
    """Nothing of it is looked at any more."""
    for leave in (lambda writer: writer.transport.abort(), lambda _: next(iter(server.front.connections)).end()):
        server.api.asked.clear()
        _, writer = await server.connect()
        writer.write(PLAIN * 1000)

        async def has_begun() -> bool:
            return len(server.api.asked) >= ANSWERED_A_TURN

        await eventually(has_begun, "the first being answered")
        leave(writer)
        await eventually(server.is_left_alone, "the connection being closed")
        asked = len(server.api.asked)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(server.api.asked) == asked
        writer.transport.abort()


class TestFull:
    """Of two connections both are in use."""

    @pytest.fixture
    def bounds(self) -> Bounds:
        return bounds_of(Limits(connections=2))

    @pytest.fixture
    async def full(self, server: Server) -> Server:
        for _ in range(2):
            _, writer = await server.connect()
            writer.write(SLOW)

        async def are_at_work() -> bool:
            return len(server.front.under_way) == 2

        await eventually(are_at_work, "both being at work")
        return server

    async def test_fastpath_client_for_whom_there_is_no_room_is_told_so(self, full: Server) -> None:
        reader, writer = await full.connect()
        writer.write(PLAIN)
        head, body = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in head
        assert body == b'{"error":"Too many clients","message":"Error in GET"}'
        assert await reader.read() == b""
        writer.close()
        assert full.front.admission.rooms[Limit.CONNECTIONS].refused == 1

    @pytest.mark.parametrize("path", [b"/livez", b"/readyz?verbose", b"/metrics"])
    async def test_fastpath_who_asks_for_health_is_answered_once(self, full: Server, path: bytes) -> None:
        reader, writer = await full.connect()
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path + PLAIN)
        async with asyncio.timeout(20):
            answers = await reader.read()
        assert answers.count(b"HTTP/1.1 ") == 1 and answers.startswith(b"HTTP/1.1 404 "), "this server has no such path"
        writer.close()

    async def test_fastpath_node_is_let_in(self, full: Server) -> None:
        _, writer = await full.connect()
        writer.write(b"GET /peer HTTP/1.1\r\nHost: x\r\n\r\n")

        async def is_passed_on() -> bool:
            return len(full.front.connections) == 2

        await eventually(is_passed_on, "it being passed on")
        assert full.front.admission.rooms[Limit.CONNECTIONS].refused == 1, "as a client it would have been"
        writer.close()


async def test_fastpath_all_that_was_taken_is_given_back_whoever_ends_a_connection(server: Server) -> None:
    for sent in (PLAIN, SLOW, PLAIN[:20], PUT % 3 + b"abc", b"GET /peer? HTTP/1.1\r\nHost: x\r\n\r\n", b""):
        _, writer = await server.connect()
        writer.write(sent)
        await eventually(server.accepted, "it being accepted") if not sent else await asyncio.sleep(0.05)
        writer.transport.abort()
    server.api.go.set()
    await nothing_is_used(server)


class TestFewRequests:
    @pytest.fixture
    def bounds(self) -> Bounds:
        return bounds_of(Limits(requests=1, memory_mib=1))

    async def test_fastpath_request_for_which_there_is_no_room_is_503_and_one_that_takes_none_is_not(
        self, server: Server
    ) -> None:
        first, writing = await server.connect()
        writing.write(SLOW)
        await eventually(server.at_work, "the first one being at work")
        assert await server.ask(PLAIN) == ["here GET a 0"]
        assert await server.ask(SLOW) == ['{"error":"Too many requests","message":"Error in GET"}']
        server.api.go.set()
        assert (await read_answer(first))[1] == b"here GET slow 0"
        assert await server.ask(SLOW) == ["here GET slow 0"]
        writing.close()
        await nothing_is_used(server)

    async def test_fastpath_body_for_which_there_is_no_memory_is_503(self, server: Server) -> None:
        server.front.admission.memory.used = 1024 * 1024 - 2
        assert await server.ask(PUT % 3 + b"abc") == ['{"error":"Too much memory is taken","message":"Error in PUT"}']
        server.api.go.set()
        assert await server.ask(PUT % 2 + b"ab") == ["here PUT a 2"]
        server.front.admission.memory.used = 0

    async def test_fastpath_client_that_sends_ahead_more_than_there_is_memory_for_is_cut_off(
        self, server: Server
    ) -> None:
        reader, writer = await server.connect()
        server.front.admission.memory.used = 1024 * 1024 - 10
        writer.write(SLOW + PLAIN * 5000)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        server.api.go.set()
        server.front.admission.memory.used -= 1024 * 1024 - 10
        await nothing_is_used(server)


class TestSlowReader:
    @pytest.fixture
    def keepalive_s(self) -> float:
        return 0.2

    async def test_fastpath_client_that_takes_nothing_is_cut_off(self, server: Server) -> None:
        """What it has not read counts as held until then."""
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", server._port))
            sending = asyncio.create_task(loop.sock_sendall(client, PLAIN.replace(b"/a ", b"/big ") * 3000))

            async def is_held() -> bool:
                return server.front.admission.memory.used > 0

            await eventually(is_held, "what it does not read being held")

            async def is_cut_off() -> bool:
                return server.front.admission.dropped[Dropped.SLOW_READER] == 1

            await eventually(is_cut_off, "it being cut off")
            await eventually(server.is_left_alone, "nothing being left of it")
            sending.cancel()
            await asyncio.wait([sending])
        await nothing_is_used(server)
