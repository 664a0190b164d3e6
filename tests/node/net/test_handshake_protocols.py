"""Nodes of several releases over real links: they speak what both understand, or part, and each says so once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from node.config import CLUSTER_DEFAULT
from node.errors import PeerRefused
from node.net import handshake
from node.net.handshake import PROTOCOLS_HEADER, url_of
from node.net.messages import ReadResult
from node.net.protocol import SPOKEN, Protocols, why_apart
from tests.cluster import eventually
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
