"""The side that answers: whom it refuses, what it does with garbage, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from node.errors import PeerFault
from node.net.frames import Call, CallFrame, decode_replies, encode
from node.net.handshake import PATH
from node.net.messages import Read, ReadResult
from node.net.proof import CHALLENGE_BYTES
from node.net.proving import CHALLENGE_HEADER
from node.timing.clock import Clocks
from tests.node.net.links import Links, peers_of
from tests.node.net.two_ends import PATIENT_S, SHORT_S, VIEW_ID

SECRET = "the-secret-of-all-the-nodes-of-this-one-cluster"


@pytest.mark.parametrize("query", ["?from=a:1", "?from=a:1&to=elsewhere:1"])
async def test_acceptor_misdirected_link_refused(network: Links, query: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"http://{network.b.address}{PATH}{query}")
    assert caught.value.status == 421


async def test_acceptor_page_in_a_browser_refused(network: Links) -> None:
    """A browser names the page's origin whenever a page dials, and lets it dial whom it likes."""
    url = f"http://{network.b.address}{PATH}?from=x:1&to={network.b.address}"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(url, origin="https://elsewhere.example")
    assert caught.value.status == 403


@pytest.mark.parametrize("sender", ["", "nonsense", "a:1,b:1", "a:99999"])
async def test_acceptor_nameless_sender_refused(network: Links, sender: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"http://{network.b.address}{PATH}?from={sender}&to={network.b.address}")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "garbage", [b"", b"\x00", b"\xc1" * 100, encode([2**64 - 1, [], []]), encode([0, [[1, [0, 0], 0, [99]]], []])]
)
async def test_acceptor_garbage_frame_ends_that_link_alone(network: Links, garbage: bytes) -> None:
    await network.a.ask(network.b, b"before")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{network.b.address}{PATH}?from=x:1&to={network.b.address}") as socket,
    ):
        await socket.send_bytes(garbage)
        async with asyncio.timeout(PATIENT_S):
            assert (await socket.receive()).type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.ERROR,
            )
    assert await network.a.ask(network.b, b"after") == ReadResult(b"after")
    assert network.b.clock.reading < 2**63


async def test_acceptor_text_frame_ends_that_link_alone(network: Links) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{network.b.address}{PATH}?from=x:1&to={network.b.address}") as socket,
    ):
        await socket.send_str("hello")
        async with asyncio.timeout(PATIENT_S):
            assert (await socket.receive()).type is not aiohttp.WSMsgType.BINARY
    assert await network.a.ask(network.b, b"after") == ReadResult(b"after")


async def test_acceptor_calls_of_one_turn_share_a_frame(network: Links) -> None:
    """Answers to one frame's calls are numbered as the calls were, so a client of ours may batch as it likes."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{network.b.address}{PATH}?from=x:1&to={network.b.address}") as socket,
    ):
        calls = tuple(Call(number, VIEW_ID, 1000, Read(b"%d" % number)) for number in range(100))
        await socket.send_bytes(encode(CallFrame(Clocks(0, 0), calls, ())))
        replies = decode_replies(await socket.receive_bytes(timeout=PATIENT_S)).replies
        assert [(reply.id, reply.answer) for reply in replies] == [(n, ReadResult(b"%d" % n)) for n in range(100)]


async def test_acceptor_drain_ends_though_a_caller_went_away(network: Links) -> None:
    network.b.handler.go_on.clear()
    with pytest.raises(PeerFault):
        await network.a.ask(network.b, b"slow", SHORT_S)
    async with asyncio.timeout(PATIENT_S):
        await peers_of(network.b).acceptor.drain()


async def test_acceptor_of_those_who_prove_nothing_the_oldest_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowd of them keeps no node out: a node proves itself at once."""
    monkeypatch.setattr("node.net.acceptor.UNPROVEN_MAX", 3)
    links = Links(tmp_path, secrets=(SECRET, SECRET), proof_s=1000.0)
    await links.open()
    try:
        url = f"http://{links.b.address}{PATH}?from=x:1&to={links.b.address}"
        async with aiohttp.ClientSession() as session:
            silent = [
                await session.ws_connect(url, headers={CHALLENGE_HEADER: "00" * CHALLENGE_BYTES}) for _ in range(3)
            ]
            assert await links.a.ask(links.b, b"mine") == ReadResult(b"mine")
            async with asyncio.timeout(PATIENT_S):
                assert (await silent[0].receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            assert not silent[1].closed
    finally:
        await links.close()
