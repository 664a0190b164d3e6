"""Real links of nodes with a secret, and attackers: who records, replays, reflects, or is of an older release."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from gossip.view import host_of, port_of
from node.config import CLUSTER_DEFAULT
from node.errors import PeerRefused
from node.net.handshake import PATH, url_of
from node.net.proving import CHALLENGE_HEADER, PROOF_HEADER, THEY_LACK_IT
from tests.cluster import eventually
from tests.node.net.links import FAR_PORT, Links, peers_of
from tests.node.net.strangers import CHALLENGE, said
from tests.node.net.two_ends import PATIENT_S, SHORT_S


class Tap:
    """Sits where B is reached, passes on what comes, and keeps it."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self.heard = b""
        """From who dials."""

    async def open(self) -> None:
        await self._links.kill(self._links.b)
        b = self._links.b.address
        self._server = await asyncio.start_server(self._serve, host_of(b), port_of(b))

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host_of(self._links.b.address), FAR_PORT)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, keep: bool) -> None:
            while data := await source.read(65536):
                self.heard += data if keep else b""
                target.write(data)
            target.close()

        await asyncio.gather(pass_on(reader, far_writer, True), pass_on(far_reader, writer, False))


async def test_attacker_that_plays_a_recorded_link_again_is_not_heard(links: Links) -> None:
    tap = Tap(links)
    await tap.open()
    await links.a.ask_until_answered(links.b, b"once")
    await peers_of(links.a).close()
    await tap.close()
    await links.revive(links.b)
    keys = list(links.b.handler.keys)
    assert b"once" in keys and b"Upgrade" in tap.heard
    reader, writer = await asyncio.open_connection(host_of(links.b.address), FAR_PORT)
    writer.write(tap.heard)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), "it was greeted, as who it says it is"
    async with asyncio.timeout(PATIENT_S):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    writer.close()
    assert links.b.handler.keys == keys


class Imposter:
    """A stranger at the address of B, that lets in whoever dials, with the headers that `answer` gives."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self.heard: list[bytes] = []
        self.dialled = 0

    async def open(self) -> None:
        await self._links.kill(self._links.b)
        app = web.Application()
        app.router.add_get(PATH, self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        b = self._links.b.address
        await web.TCPSite(self._runner, host_of(b), port_of(b)).start()

    async def close(self) -> None:
        await self._runner.cleanup()
        await self._links.revive(self._links.b)

    async def answer(self, request: web.Request) -> dict[str, str]:
        return {}

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        socket.headers.update(await self.answer(request))
        await socket.prepare(request)
        self.dialled += 1
        self.heard.extend([message.data async for message in socket])
        return socket

    async def gets_nothing(self) -> None:
        """A asks B, and finds it down."""
        with pytest.raises(PeerRefused):
            await self._links.a.ask(self._links.b, b"k", SHORT_S)

        async def was_dialled() -> bool:
            return self.dialled > 0

        await eventually(was_dialled, "the stranger being dialled")
        assert self._links.a.transport.is_down(self._links.b.address) and self.heard == []


async def test_older_release_that_lets_in_everybody_is_turned_away(
    links: Links, caplog: pytest.LogCaptureFixture
) -> None:
    imposter = Imposter(links)
    await imposter.open()
    await imposter.gets_nothing()
    await imposter.close()
    assert said(caplog) == [f"{links.b.address} is turned away: {THEY_LACK_IT}"]


class Replaying(Imposter):
    """With what B has answered to another challenge."""

    async def answer(self, request: web.Request) -> dict[str, str]:
        return self.recorded

    async def record(self) -> None:
        url = url_of(self._links.b.address, self._links.a.address, CLUSTER_DEFAULT)
        async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=CHALLENGE) as socket:
            headers = socket._response.headers
            self.recorded = {name: headers[name] for name in (CHALLENGE_HEADER, PROOF_HEADER)}


class Reflecting(Imposter):
    """With what A itself answers, dialled by one that calls itself B, to the challenge that A has just sent."""

    async def answer(self, request: web.Request) -> dict[str, str]:
        url = url_of(self._links.a.address, self._links.b.address, CLUSTER_DEFAULT)
        sent = {CHALLENGE_HEADER: request.headers[CHALLENGE_HEADER]}
        async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=sent) as socket:
            headers = socket._response.headers
            return {name: headers[name] for name in (CHALLENGE_HEADER, PROOF_HEADER)}


async def test_attacker_that_answers_with_a_recorded_proof_is_turned_away(links: Links) -> None:
    imposter = Replaying(links)
    await imposter.record()
    await imposter.open()
    await imposter.gets_nothing()
    await imposter.close()


async def test_attacker_that_reflects_a_challenge_is_turned_away(links: Links) -> None:
    imposter = Reflecting(links)
    await imposter.open()
    await imposter.gets_nothing()
    await imposter.close()
