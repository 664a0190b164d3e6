"""Links to peers that have names: over real sockets, with a look-up that may be silent or say something new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from gossip.view import Address, host_of
from node.api.app import json_errors
from node.config import CLUSTER_DEFAULT, Config
from node.errors import PeerRefused
from node.net.handshake import PATH
from node.net.messages import Answer, Read, ReadResult
from node.net.names import Names
from node.net.pool import Peers
from tests.cluster import PORT, fresh_addresses
from tests.node.net.fake_lookup import FakeLookup
from tests.node.net.two_ends import SHORT_S, VIEW_ID, Peer

SILENT = [f"silent{number}" for number in range(100)]
"""More than any pool of threads has."""


class NamedNodes:
    """Real links of nodes that know each other by names alone."""

    def __init__(self, directory: Path) -> None:
        self.lookup = FakeLookup()
        self.ips = [host_of(address) for address in fresh_addresses(3)]
        self._directory = directory
        self._running: dict[str, tuple[Peers, web.AppRunner]] = {}

    async def start(self, name: str, ip: str, cluster: str = CLUSTER_DEFAULT) -> Peer:
        """A node that listens on `ip`, and dials from there, wherever its name leads."""
        config = Config.for_test(f"{name}:{PORT}", (f"{name}:{PORT}",), self._directory)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(aiohttp, "TCPConnector", partial(aiohttp.TCPConnector, local_addr=(ip, 0)))
            peers = Peers(replace(config, cluster=cluster), names=Names(config.lookup_slow_s, self.lookup))
        peer = Peer(config.address, peers)
        app = web.Application(middlewares=[json_errors])
        app.router.add_get(PATH, peers.acceptor.serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, ip, PORT).start()
        self._running[name] = peers, runner
        return peer

    async def stop(self, name: str) -> None:
        peers, runner = self._running.pop(name)
        await peers.close()
        await runner.cleanup()

    async def close(self) -> None:
        for name in list(self._running):
            await self.stop(name)
        self.lookup.close()


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[NamedNodes]:
    nodes = NamedNodes(tmp_path)
    yield nodes
    await nodes.close()


async def ask(a: Peer, address: Address) -> Answer:
    return await a.transport.call(address, Read(b"k"), VIEW_ID, SHORT_S)


async def in_touch(named: NamedNodes) -> tuple[Peer, Peer]:
    a, b = await named.start("a", named.ips[0]), await named.start("b", named.ips[1])
    named.lookup.answers["b"] = (named.ips[1],)
    assert await a.ask_until_answered(b, b"before") == ReadResult(b"before")
    return a, b


async def test_named_peer_is_found_among_a_hundred_whose_names_get_no_answer(named: NamedNodes) -> None:
    a, b = await named.start("a", named.ips[0]), await named.start("b", named.ips[1])
    named.lookup.silence(*SILENT)
    named.lookup.answers["b"] = (named.ips[1],)
    dialled = [asyncio.create_task(ask(a, f"{name}:{PORT}")) for name in SILENT]
    assert await a.ask_until_answered(b, b"k") == ReadResult(b"k")
    results = await asyncio.gather(*dialled, return_exceptions=True)
    assert all(isinstance(result, PeerRefused) for result in results), "one that has no address was not asked"
    await named.stop("b")
    await named.start("b", named.ips[1])
    assert await a.ask_until_answered(b, b"again") == ReadResult(b"again")
    assert named.lookup.most_under_way == 1


async def test_named_peer_that_is_back_is_found_where_it_was_while_its_name_gets_no_answer(named: NamedNodes) -> None:
    a, b = await in_touch(named)
    named.lookup.silence("b")
    for _ in range(3):
        await named.stop("b")
        b = await named.start("b", named.ips[1])
        assert await a.ask_until_answered(b, b"after") == ReadResult(b"after")


async def test_named_peer_that_has_moved_is_found_where_its_name_leads(named: NamedNodes) -> None:
    a, b = await in_touch(named)
    await named.stop("b")
    b = await named.start("b", named.ips[2])
    named.lookup.answers["b"] = (named.ips[2],)
    assert await a.ask_until_answered(b, b"after") == ReadResult(b"after")


@pytest.mark.parametrize("answer", ["silence", "where it was"])
async def test_named_peer_that_has_moved_and_dials_is_found_before_the_name_server_knows(
    named: NamedNodes, answer: str
) -> None:
    a, b = await in_touch(named)
    named.lookup.answers["a"] = (named.ips[0],)
    if answer == "silence":
        named.lookup.silence("b")
    await named.stop("b")
    with pytest.raises(PeerRefused):
        await a.ask(b, b"k", SHORT_S)
    b = await named.start("b", named.ips[2])
    assert await b.ask_until_answered(a, b"from b") == ReadResult(b"from b")
    assert await a.ask_until_answered(b, b"after") == ReadResult(b"after")


async def test_named_peer_is_not_the_stranger_where_it_dialled_from(named: NamedNodes) -> None:
    """Its address was translated on the way: at the same port there, somebody else may listen."""
    a, b = await in_touch(named)
    named.lookup.answers["a"] = (named.ips[0],)
    named.lookup.silence("b")
    await named.stop("b")
    with pytest.raises(PeerRefused):
        await a.ask(b, b"k", SHORT_S)
    stranger = await named.start("stranger", named.ips[2], "theirs")
    a.transport.acceptor._note_dialled(b.address, named.ips[2])  # type: ignore[attr-defined]
    for _ in range(3):
        with pytest.raises(PeerRefused):
            await a.ask(b, b"k", SHORT_S)
        assert not a.transport.is_stranger(b.address) and not stranger.handler.calls
        await asyncio.sleep(0.05)
    b = await named.start("b", named.ips[1])
    assert await a.ask_until_answered(b, b"after") == ReadResult(b"after")


@pytest.mark.parametrize("cluster", [CLUSTER_DEFAULT, "theirs"])
async def test_named_peer_is_not_who_has_its_former_address(named: NamedNodes, cluster: str) -> None:
    a, b = await in_touch(named)
    await named.stop("b")
    other = await named.start("other", named.ips[1], cluster)
    with pytest.raises(PeerRefused):
        await a.ask(b, b"k", SHORT_S)
    b = await named.start("b", named.ips[2])
    named.lookup.answers["b"] = (named.ips[2],)
    assert await a.ask_until_answered(b, b"after") == ReadResult(b"after")
    assert not other.handler.calls
    assert not a.transport.is_stranger(b.address)


async def test_named_peer_with_two_addresses_is_found_at_the_one_that_is_its_own(named: NamedNodes) -> None:
    a = await named.start("a", named.ips[0])
    other, b = await named.start("other", named.ips[1]), await named.start("b", named.ips[2])
    named.lookup.answers["b"] = (named.ips[1], named.ips[2])
    assert await a.ask_until_answered(b, b"k") == ReadResult(b"k")
    assert not other.handler.calls


async def test_named_peer_that_has_moved_from_where_nothing_answers_is_found(named: NamedNodes) -> None:
    a, b = await in_touch(named)
    await named.stop("b")
    async with await asyncio.start_server(lambda *_: None, named.ips[1], PORT):
        b = await named.start("b", named.ips[2])
        named.lookup.answers["b"] = (named.ips[2],)
        assert await a.ask_until_answered(b, b"after") == ReadResult(b"after")


async def test_named_peers_links_close_while_lookups_go_on(named: NamedNodes) -> None:
    a = await named.start("a", named.ips[0])
    named.lookup.silence("b")
    call = asyncio.create_task(ask(a, f"b:{PORT}"))
    while not named.lookup.asked["b"]:
        await asyncio.sleep(0)
    await named.stop("a")
    with pytest.raises(PeerRefused):
        await call


async def test_peers_with_ip_addresses_are_not_looked_up(named: NamedNodes) -> None:
    a = await named.start("a", named.ips[0])
    with pytest.raises(PeerRefused):
        await ask(a, f"{named.ips[1]}:{PORT}")
    with pytest.raises(PeerRefused):
        await ask(a, f"[::1]:{PORT}")
    assert not named.lookup.asked
