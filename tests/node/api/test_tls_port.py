"""The port that speaks TLS: who is let in with which certificate, who is told what is wrong, and who is dropped."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from msgspec.structs import replace

from node.api.tally import NoHandshake, Tally
from node.api.tls_port import HANDSHAKES_A_TURN, TlsPort
from node.certificates import Certificates
from node.config import Config
from tests.cluster import eventually
from tests.node.api.short_way import PLAIN, Server, read_answer
from tests.node.certs import believing, issue

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificates(tmp_path: Path, ca: trustme.CA) -> Certificates:
    return Certificates(issue(tmp_path / "own", ca, HOST), HOST)


@pytest.fixture
def handshake_s() -> float:
    return 60.0


@pytest.fixture
async def port(
    server: Server, certificates: Certificates, tmp_path: Path, handshake_s: float, descriptors: int
) -> AsyncIterator[tuple[TlsPort, int]]:
    config = replace(Config.for_test("node1:13800", ("node1:13800",), tmp_path), tls_handshake_s=handshake_s)
    made, bound = TlsPort(server.front, certificates, config, Tally(), descriptors), socket.create_server((HOST, 0))
    made.listen(bound)
    yield made, bound.getsockname()[1]
    made.close()


async def answer_to(port: int, context: ssl.SSLContext, request: bytes = PLAIN) -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    try:
        writer.write(request)
        return await read_answer(reader)
    finally:
        writer.close()


async def test_tls_port_serves_the_short_way_and_the_long_one(port: tuple[TlsPort, int], ca: trustme.CA) -> None:
    for request in (PLAIN, PLAIN.replace(b"Host", b"Connection: close\r\nHost")):
        _, body = await answer_to(port[1], believing(ca), request)
        assert body.endswith(b"GET a 0")


@pytest.mark.parametrize("request_", [PLAIN, b"PUT /kvs/keys/a HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b"\0\1\2\3"])
async def test_tls_port_tells_whoever_speaks_in_the_clear(port: tuple[TlsPort, int], request_: bytes) -> None:
    reader, writer = await asyncio.open_connection(HOST, port[1])
    writer.write(request_)
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 400 ") and b"\r\nKvs-TLS: required\r\n" in head
    method = "PUT" if request_.startswith(b"PUT") else "GET"
    assert json.loads(body) == {
        "error": "This node speaks HTTPS: ask https://node1:13800",
        "message": f"Error in {method}",
    }
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()
    assert port[0]._failed[NoHandshake.IN_THE_CLEAR] == 1


async def test_tls_port_new_certificates_are_for_those_who_come_after(
    port: tuple[TlsPort, int], certificates: Certificates, tmp_path: Path, ca: trustme.CA
) -> None:
    """The old connection goes on, with what was agreed."""
    other = trustme.CA()
    reader, writer = await asyncio.open_connection(HOST, port[1], ssl=believing(ca))
    issue(tmp_path / "own", other, HOST)
    await certificates.renew()
    for _ in range(2):
        writer.write(PLAIN)
        assert (await read_answer(reader))[1] == b"here GET a 0"
    assert (await answer_to(port[1], believing(other)))[1] == b"here GET a 0"
    with pytest.raises(ssl.SSLCertVerificationError):
        await answer_to(port[1], believing(ca))
    writer.close()


async def test_tls_port_certificate_that_is_not_believed_is_one_line_a_host(
    port: tuple[TlsPort, int], tmp_path: Path, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    """A client needs none; but who shows one that is not in order is not let in, not even as a client."""
    stranger = Certificates(issue(tmp_path / "stranger", trustme.CA(), HOST), HOST).now.client
    ca.configure_trust(stranger)
    for _ in range(2):
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await answer_to(port[1], stranger)

    async def is_counted() -> bool:
        return port[0]._failed[NoHandshake.CERTIFICATE] == 2

    await eventually(is_counted, "both being refused")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(lines) == 1
    assert lines[0].startswith(f"a connection from {HOST} is turned away: its certificate is not accepted: ")


@pytest.mark.parametrize("handshake_s", [0.05])
@pytest.mark.parametrize("begun", [b"", b"\x16", b"\x16\x03\x01\x00\x05\x01"])
async def test_tls_port_half_open_connections_are_dropped_and_others_served(
    port: tuple[TlsPort, int], ca: trustme.CA, begun: bytes
) -> None:
    """Whether they have said nothing, or begun to."""
    halves = [await asyncio.open_connection(HOST, port[1]) for _ in range(20)]
    for _, writer in halves:
        writer.write(begun)

    async def are_dropped() -> bool:
        return port[0]._failed[NoHandshake.TIMEOUT] == 20

    await eventually(are_dropped, "all being dropped")
    for reader, writer in halves:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_tls_port_serves_beside_half_open_connections(port: tuple[TlsPort, int], ca: trustme.CA) -> None:
    halves = [await asyncio.open_connection(HOST, port[1]) for _ in range(200)]
    for _, writer in halves:
        writer.write(b"\x16\x03\x01\x00\x05\x01")
    assert (await answer_to(port[1], believing(ca)))[1] == b"here GET a 0"
    for _, writer in halves:
        writer.close()


async def test_tls_port_garbage_after_its_first_byte_is_counted(port: tuple[TlsPort, int]) -> None:
    _, writer = await asyncio.open_connection(HOST, port[1])
    writer.write(b"\x16" + b"x" * 100)

    async def is_counted() -> bool:
        return port[0]._failed[NoHandshake.OTHER] == 1

    await eventually(is_counted, "garbage being given up")
    writer.close()


async def test_tls_port_begins_only_some_handshakes_in_a_turn(
    port: tuple[TlsPort, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a crowd that comes back together does not stop the loop; each of it has its turn, in order, and who comes
    from elsewhere does not wait for it."""
    begun: list[tuple[int, socket.socket]] = []
    turn = 0

    async def note(connection: socket.socket) -> None:
        begun.append((turn, connection))
        connection.close()

    monkeypatch.setattr(port[0], "_shake_hands", note)
    crowd = [socket.socket() for _ in range(7)]
    for connection in crowd[:-1]:
        port[0]._speaking.add(connection, "crowd")
    port[0]._speaking.add(crowd[-1], "elsewhere")
    port[0]._begin_soon()
    while len(begun) < len(crowd) and turn < 100:
        turn += 1
        await asyncio.sleep(0)
    assert [connection for _, connection in begun] == [crowd[0], crowd[-1], *crowd[1:-1]]
    assert max(Counter(turn for turn, _ in begun).values()) == HANDSHAKES_A_TURN


async def test_tls_port_closed_accepts_nobody(port: tuple[TlsPort, int], ca: trustme.CA) -> None:
    reader, writer = await asyncio.open_connection(HOST, port[1])

    async def is_accepted() -> bool:
        return bool(port[0]._silent)

    await eventually(is_accepted, "the connection being accepted")
    port[0].close()
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port[1])
    writer.close()


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x00\x05\x01"])
async def test_tls_port_of_too_many_half_open_connections_the_oldest_is_dropped(
    port: tuple[TlsPort, int], ca: trustme.CA, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """Who means it is done in a moment, so a crowd that only holds places keeps nobody out."""
    monkeypatch.setattr("node.api.tls_port.HALF_OPEN_MAX", 3)
    halves = []
    for _ in range(3):
        halves.append(await asyncio.open_connection(HOST, port[1]))
        halves[-1][1].write(begun)

    async def are_open() -> bool:
        return len(port[0]._silent) + len(port[0]._tasks) == 3

    await eventually(are_open, "all being half open")
    assert (await answer_to(port[1], believing(ca)))[1] == b"here GET a 0"
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await halves[0][0].readexactly(1)
    assert port[0]._failed[NoHandshake.TIMEOUT] == 1
    for _, writer in halves:
        writer.close()


class TestShort:
    @pytest.fixture
    def descriptors(self) -> int:
        """None is left for clients."""
        return 0

    async def test_tls_port_short_of_descriptors_has_one_half_open_connection(
        self, port: tuple[TlsPort, int], ca: trustme.CA
    ) -> None:
        """The next one takes the place of that, or other nodes could neither come in nor be dialled."""
        halves = [await asyncio.open_connection(HOST, port[1]) for _ in range(5)]

        async def are_dropped() -> bool:
            return port[0]._failed[NoHandshake.TIMEOUT] == 4

        await eventually(are_dropped, "all but the last being dropped")
        assert len(port[0]._silent) == 1
        for _, writer in halves:
            writer.close()
