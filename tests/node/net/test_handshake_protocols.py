"""Nodes of several releases over real links: they speak what both understand, or part, and each says so once."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gossip.view import host_of, port_of
from node.config import CLUSTER_DEFAULT
from node.errors import PeerLost, PeerRefused
from node.net import handshake
from node.net.handshake import NOT_UNDERSTOOD, PATH, PROTOCOLS_HEADER, REFUSED_MAX, Doorkeeper, url_of
from node.net.messages import ReadResult
from node.net.protocol import SPOKEN, Protocols, why_apart
from tests.cluster import eventually
from tests.compat.releases import RELEASES
from tests.node.net.links import Links, Secret, peers_of
from tests.node.net.strangers import ONE, said
from tests.node.net.two_ends import SHORT_S, delta

NEXT, SECOND_NEXT = Protocols(SPOKEN.highest, SPOKEN.highest + 1), Protocols(SPOKEN.highest + 1, SPOKEN.highest + 2)


@pytest.fixture
def protocols() -> tuple[Protocols, Protocols]:
    """Of the nodes of `releases`."""
    return SPOKEN, SPOKEN


@pytest.fixture(params=[None, ONE], ids=["", "secret"])
async def releases(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    protocols: tuple[Protocols, Protocols],
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Links]:
    """Two nodes, with a secret and without."""
    caplog.set_level(logging.INFO, "node.net.handshake")
    secret: Secret = request.param
    links = Links(tmp_path, secrets=(secret, secret), protocols=protocols, proof_s=0.2)
    await links.open()
    yield links
    await links.close()


@pytest.mark.parametrize("protocols", [(SPOKEN, NEXT), (NEXT, SPOKEN), (SPOKEN, Protocols(1, 1)), (SPOKEN, SPOKEN)])
async def test_links_with_a_protocol_in_common_carry_calls_both_ways(
    releases: Links, caplog: pytest.LogCaptureFixture
) -> None:
    for one, other in [(releases.a, releases.b), (releases.b, releases.a)]:
        assert await one.ask(other, b"k") == ReadResult(b"k")
    assert said(caplog) == []


async def test_links_with_a_node_that_tells_no_number_carry_calls_both_ways(
    releases: Links, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a release before there were numbers, which proves that it knows the secret by those of protocol 1."""
    monkeypatch.setattr(peers_of(releases.b)._doorkeeper, "protocols", Protocols(1, 1))
    monkeypatch.setattr(handshake, "PROTOCOLS_FIELD", "unknown")
    monkeypatch.setattr("node.net.acceptor.PROTOCOLS_HEADER", "Unknown")
    for one, other in [(releases.a, releases.b), (releases.b, releases.a)]:
        assert await one.ask(other, b"k") == ReadResult(b"k")
    assert said(caplog) == []


@pytest.mark.parametrize("protocols", [(SPOKEN, SECOND_NEXT), (SECOND_NEXT, SPOKEN)])
@pytest.mark.parametrize("both_dial", [False, True])
async def test_links_with_no_protocol_in_common_carry_nothing_and_are_one_line_a_peer(
    releases: Links, caplog: pytest.LogCaptureFixture, protocols: tuple[Protocols, Protocols], both_dial: bool
) -> None:
    a, b = releases.a, releases.b
    for one, other in [(a, b), *([(b, a)] if both_dial else [])] * 3:
        with pytest.raises(PeerRefused):
            await one.ask(other, b"k", SHORT_S)
        one.transport.cast(other.address, delta(one))
        assert one.transport.is_down(other.address) and not one.transport.is_stranger(other.address)
    await asyncio.sleep(5 * peers_of(a)._config.redial_s)
    for peer in (a, b):
        assert not peer.handler.calls and not peer.handler.casts
    of_a, of_b = why_apart(protocols[0], protocols[1].told), why_apart(protocols[1], protocols[0].told)
    assert said(caplog) == sorted([f"{b.address} is turned away: {of_a}", f"{a.address} is turned away: {of_b}"])


@pytest.mark.parametrize("protocols", [(SECOND_NEXT, SPOKEN)])
async def test_links_with_a_node_that_lets_in_any_protocol_are_ended_by_who_knows_better(
    releases: Links, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release before there were numbers lets everybody in, and tells none."""
    monkeypatch.setattr(peers_of(releases.b)._doorkeeper, "protocol_with", lambda *_: 1)
    monkeypatch.setattr("node.net.acceptor.PROTOCOLS_HEADER", "Unknown")
    with pytest.raises(PeerRefused):
        await releases.a.ask(releases.b, b"k", SHORT_S)
    assert not releases.b.handler.calls
    why = why_apart(SECOND_NEXT, None)
    assert "its release is too old" in why and f"{releases.b.address} is turned away: {why}" in said(caplog)


@pytest.mark.parametrize("protocols", [(SPOKEN, SECOND_NEXT)])
async def test_links_come_up_once_the_release_is_right(releases: Links, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PeerRefused):
        await releases.a.ask(releases.b, b"k", SHORT_S)
    secret = None if peers_of(releases.a)._prover._secret is None else ONE
    await releases.replace_b(CLUSTER_DEFAULT, secret, NEXT)
    await releases.a.ask_until_answered(releases.b, b"k")

    async def is_over() -> bool:
        return any("turned away no more" in line for line in said(caplog))

    await eventually(is_over, "a line that says so")


@pytest.mark.parametrize("told", ["", "3", "0-0", "x" * 1000, "9-10"])
async def test_link_of_a_stranger_with_none_is_refused_and_tells_what_is_spoken(network: Links, told: str) -> None:
    url = url_of(network.b.address, "x:1", CLUSTER_DEFAULT).update_query(protocols=told)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(url)
    assert caught.value.status == 403
    assert caught.value.headers is not None and caught.value.headers[PROTOCOLS_HEADER] == SPOKEN.told


# Release 3.0, which tells neither a cluster nor a protocol


@pytest.fixture
async def of_3_0(network: Links) -> AsyncIterator[list[float]]:
    """At the address of B is a node of that release: it lets everybody in, ends a link that brings what it does not
    understand, and has been dialled at these times."""
    await network.kill(network.b)
    address, dialled = network.b.address, []
    now = asyncio.get_running_loop().time

    async def serve(request: web.Request) -> web.StreamResponse:
        dialled.append(now())
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_get(PATH, serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, host_of(address), port_of(address)).start()
    yield dialled
    await runner.cleanup()
    await network.revive(network.b)


async def dialled_by_3_0(network: Links) -> list[int]:
    """It sends a frame, and dials anew when its link ends, as often as this; the statuses that it gets."""
    frame = bytes.fromhex(json.loads((RELEASES["3.0"].directory / "frames-refused.json").read_text())["call: Read"])
    url = URL.build(
        scheme="http",
        authority=network.a.address,
        path=PATH,
        query={"from": network.b.address, "to": network.a.address},
    )
    statuses: list[int] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(5):
            try:
                async with session.ws_connect(url) as socket:
                    await socket.send_bytes(frame)
                    assert (await socket.receive()).type is not aiohttp.WSMsgType.BINARY
                statuses.append(101)
            except aiohttp.WSServerHandshakeError as error:
                statuses.append(error.status)
    return statuses


async def test_link_with_a_node_of_3_0_is_one_line_whoever_dials_and_how_often(
    network: Links, of_3_0: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with pytest.raises((PeerRefused, PeerLost)):
            await network.a.ask(network.b, b"k", SHORT_S)
    assert network.a.transport.is_down(network.b.address)
    assert await dialled_by_3_0(network) == [403] * 5
    lasted_s = of_3_0[-1] - of_3_0[0]
    assert len(of_3_0) <= 2 + lasted_s / peers_of(network.a)._config.redial_s, "it is not dialled as fast as can be"
    assert said(caplog) == [f"{network.b.address} is turned away: {NOT_UNDERSTOOD}"]


async def test_link_dialled_by_a_node_of_3_0_is_one_line(network: Links, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "node.net.handshake")
    assert await dialled_by_3_0(network) == [101] + [403] * 4
    assert said(caplog) == [f"{network.b.address} is turned away: {NOT_UNDERSTOOD}"]
    assert not network.a.handler.calls
    await network.b.ask(network.a, b"it was replaced")
    assert f"{network.b.address}: turned away no more; before: {NOT_UNDERSTOOD}" in said(caplog)


async def test_link_of_who_tells_its_cluster_is_not_ended_for_what_another_one_has_sent_in_its_name(
    network: Links,
) -> None:
    await dialled_by_3_0(network)
    for one, other in [(network.a, network.b), (network.b, network.a)]:
        assert await one.ask(other, b"k") == ReadResult(b"k")


def test_doorkeeper_remembers_so_many_who_were_not_understood() -> None:
    doorkeeper = Doorkeeper("a:1", "ours", lambda: 0.0)
    for number in range(2 * REFUSED_MAX):
        doorkeeper.note_not_understood(f"n{number}:1")
    assert len(doorkeeper._not_understood) == REFUSED_MAX
    assert not doorkeeper.may_be_understood(f"n{2 * REFUSED_MAX - 1}:1", {}, "cluster")
    assert doorkeeper.may_be_understood("n0:1", {}, "cluster")
