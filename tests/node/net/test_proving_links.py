"""Nodes with a secret on real links: they meet, and no stranger is heard."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from gossip.view import Address
from node.config import CLUSTER_DEFAULT
from node.errors import PeerRefused
from node.net.handshake import url_of
from node.net.messages import ReadResult
from node.net.proof import PROOF_BYTES
from node.net.proving import NOT_PROVEN, PROOF_HEADER, SECRET_HEADER, THEY_LACK_IT, WE_LACK_IT
from tests.cluster import eventually
from tests.node.net.links import Links, peers_of
from tests.node.net.strangers import CALL, CHALLENGE, ONE, OTHER, dialled, said
from tests.node.net.two_ends import SHORT_S
from tests.node.tokens import write_secret


async def test_links_with_one_secret_carry_calls_both_ways(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    for one, other in [(links.a, links.b), (links.b, links.a)]:
        assert await one.ask(other, b"k") == ReadResult(b"k")
    assert said(caplog) == []


@pytest.mark.parametrize(
    ("secrets", "of_a", "of_b"),
    [
        ((ONE, OTHER), NOT_PROVEN, NOT_PROVEN),
        ((ONE, None), THEY_LACK_IT, WE_LACK_IT),
        ((None, ONE), WE_LACK_IT, THEY_LACK_IT),
    ],
)
async def test_links_without_a_secret_in_common_carry_nothing_and_are_one_line_a_peer(
    links: Links, caplog: pytest.LogCaptureFixture, of_a: str, of_b: str
) -> None:
    for one, other in [(links.a, links.b), (links.b, links.a)] * 3:
        with pytest.raises(PeerRefused):
            await one.ask(other, b"k", SHORT_S)
        assert one.transport.is_down(other.address) and not one.transport.is_stranger(other.address)
    await asyncio.sleep(5 * peers_of(links.a)._config.redial_s)
    assert not links.a.handler.calls and not links.b.handler.calls
    lines = {f"{links.b.address} is turned away: {of_a}", f"{links.a.address} is turned away: {of_b}"}
    assert said(caplog) == sorted(lines)


@pytest.mark.parametrize(
    ("secrets", "of_a", "of_b"),
    [
        ((ONE, OTHER), NOT_PROVEN, NOT_PROVEN),
        ((ONE, None), THEY_LACK_IT, WE_LACK_IT),
        ((None, ONE), WE_LACK_IT, THEY_LACK_IT),
    ],
)
async def test_links_of_which_one_alone_dials_are_told_of_by_both(
    links: Links, caplog: pytest.LogCaptureFixture, of_a: str, of_b: str
) -> None:
    with pytest.raises(PeerRefused):
        await links.a.ask(links.b, b"k", SHORT_S)

    async def both_have_said_so() -> bool:
        return len(said(caplog)) == 2

    await eventually(both_have_said_so, "a line of each")
    lines = {f"{links.b.address} is turned away: {of_a}", f"{links.a.address} is turned away: {of_b}"}
    assert said(caplog) == sorted(lines)


@pytest.mark.parametrize("secrets", [(ONE, OTHER)])
async def test_links_come_up_once_the_secret_is_right(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PeerRefused):
        await links.a.ask(links.b, b"k", SHORT_S)
    await links.replace_b(CLUSTER_DEFAULT, ONE)
    await links.a.ask_until_answered(links.b, b"k")
    assert f"{links.b.address}: turned away no more; before: {NOT_PROVEN}" in said(caplog)


async def test_links_secret_is_exchanged_without_an_unanswered_call(links: Links, tmp_path: Path) -> None:
    """In three steps, on one node after the other, with all links made anew after each."""
    files = [peers_of(each)._prover._secret for each in (links.a, links.b)]
    for text in (f"{ONE}\n{OTHER}", f"{OTHER}\n{ONE}", OTHER):
        for file in files:
            assert file is not None
            write_secret(file.path, text)
            await file.renew()
            for one, other in [(links.a, links.b), (links.b, links.a)]:
                peers_of(one).reset()
                assert await one.ask_until_answered(other, b"k") == ReadResult(b"k")
                assert not one.transport.is_down(other.address)


@pytest.mark.parametrize("frames", [[], [CALL], [b"\0" * PROOF_BYTES, CALL], [b"", CALL], [ONE.encode(), CALL]])
async def test_stranger_without_a_proof_is_not_heard(links: Links, frames: list[bytes]) -> None:
    assert await dialled(links, CHALLENGE, frames) == []
    assert not links.b.handler.calls


async def test_node_that_was_not_believed_is_told_and_says_so(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    url = url_of(links.b.address, links.a.address, CLUSTER_DEFAULT)
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=CHALLENGE) as socket:
        await socket.close(code=aiohttp.WSCloseCode.POLICY_VIOLATION)

    async def has_said_so() -> bool:
        return said(caplog) == [f"{links.a.address} is turned away: {NOT_PROVEN}"]

    await eventually(has_said_so, "a line that says so")


async def test_stranger_without_a_challenge_gets_no_link_and_is_told_why(links: Links) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await dialled(links, {}, [CALL])
    assert caught.value.status == 403 and caught.value.headers is not None
    assert caught.value.headers[SECRET_HEADER] == "yes"
    assert PROOF_HEADER not in caught.value.headers


async def test_stranger_does_not_make_a_node_dial(links: Links) -> None:
    """Or whoever calls itself a node could have it asked at once, again and again, and at the stranger's own IP."""
    dialled_anew: list[Address] = []
    peers_of(links.b).acceptor._note_dialled = lambda by, _: dialled_anew.append(by)
    await dialled(links, CHALLENGE, [CALL])
    assert dialled_anew == []
    await links.a.ask(links.b, b"k")
    assert dialled_anew == [links.a.address]
