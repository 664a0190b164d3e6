"""Whom a node lets in, and that it says once whom it turns away: by the rule, and over real links."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gossip.view import host_of, port_of
from node.config import CLUSTER_DEFAULT
from node.errors import PeerRefused
from node.net import acceptor
from node.net.handshake import CLUSTER_HEADER, PATH, REFUSED_MAX, Doorkeeper, cluster_of, is_older, url_of
from node.state_log import LINE_EVERY_S, LINES_AT_ONCE
from tests.cluster import eventually, fresh_addresses
from tests.node.net.links import Links, peers_of
from tests.node.net.two_ends import SHORT_S, Peer, delta

ME, PEER = "a:1", "b:1"


class Watch:
    """Shows what a test sets."""

    now_s = 1000.0

    def now(self) -> float:
        return self.now_s


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def doorkeeper(caplog: pytest.LogCaptureFixture, watch: Watch) -> Doorkeeper:
    caplog.set_level(logging.INFO, "node.net.handshake")
    return Doorkeeper(ME, "ours", watch.now)


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == "node.net.handshake"]


def test_url_tells_who_dials_whom_and_of_which_cluster() -> None:
    url = url_of("[::1]:81", ME, "ours")
    assert (url.host, url.port, url.path) == ("::1", 81, PATH)
    assert dict(url.query) == {"from": ME, "to": "[::1]:81", "cluster": "ours"}
    assert dict(url_of("[::1]:81", ME, "ours", "7").query) == dict(url.query) | {"process": "7"}


def test_cluster_of_one_that_tells_none_is_the_default() -> None:
    assert cluster_of({}, "cluster") == CLUSTER_DEFAULT
    assert cluster_of({"cluster": "ours"}, "cluster") == "ours"


def test_doorkeeper_says_once_when_it_begins_and_once_when_it_ends(
    doorkeeper: Doorkeeper, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert not doorkeeper.is_kin(PEER, "theirs")
    assert doorkeeper.is_kin(PEER, "ours") and doorkeeper.is_kin("c:1", "ours")
    for _ in range(3):
        doorkeeper.admit(PEER)
    assert levels(caplog) == ["ERROR", "INFO"]


def test_doorkeeper_says_once_who_takes_this_node_for_another(
    doorkeeper: Doorkeeper, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert not doorkeeper.is_meant(PEER, "elsewhere:1")
    assert doorkeeper.is_meant(PEER, ME)
    assert levels(caplog) == ["ERROR"]


def test_doorkeeper_says_once_who_has_two_names_for_this_node(
    doorkeeper: Doorkeeper, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert not doorkeeper.is_meant(PEER, "elsewhere:1")
        assert doorkeeper.is_meant(PEER, ME) and doorkeeper.is_kin(PEER, "ours")
        doorkeeper.admit(PEER)
    assert levels(caplog) == ["ERROR"]


@pytest.mark.parametrize(
    ("own", "told", "found"), [("7", "7", ["elsewhere:1"]), ("7", "8", []), ("7", "", []), ("", "", [])]
)
def test_doorkeeper_finds_its_own_process_by_its_number(own: str, told: str, found: list[str]) -> None:
    names: list[str] = []
    doorkeeper = Doorkeeper(ME, "ours", lambda: 0.0, own, names.append)
    assert doorkeeper.is_meant(ME, ME, told) and not doorkeeper.is_meant(ME, "elsewhere:1", told)
    assert names == found


def test_doorkeeper_remembers_so_many(doorkeeper: Doorkeeper, caplog: pytest.LogCaptureFixture, watch: Watch) -> None:
    for number in range(2 * REFUSED_MAX):
        watch.now_s += LINE_EVERY_S
        doorkeeper.is_kin(f"n{number}:1", "theirs")
    for number in range(2 * REFUSED_MAX):
        doorkeeper.admit(f"n{number}:1")
    assert levels(caplog) == ["ERROR"] * 2 * REFUSED_MAX + ["INFO"] * REFUSED_MAX


def test_doorkeeper_says_little_of_strangers_who_have_a_new_name_each_time(
    doorkeeper: Doorkeeper, caplog: pytest.LogCaptureFixture, watch: Watch
) -> None:
    """Nor of one that tells a new cluster each time. Who was left out gets its line when it comes again."""
    for number in range(10_000):
        assert not doorkeeper.is_kin(f"n{number}:1", "theirs")
        assert not doorkeeper.is_kin(PEER, f"theirs{number}")
    assert len(caplog.records) == LINES_AT_ONCE
    watch.now_s += LINE_EVERY_S
    assert not doorkeeper.is_kin("n9999:1", "theirs") and not doorkeeper.is_kin("c:1", "theirs")
    (line,) = caplog.messages[LINES_AT_ONCE:]
    why = "it is of the cluster 'theirs', and this node of 'ours'"
    assert line == f"n9999:1 is turned away: {why}; and {20_000 - LINES_AT_ONCE} like it before"


# Over real links


@pytest.fixture
async def strangers(tmp_path: Path) -> AsyncIterator[Links]:
    """Two nodes, the second of a cluster with another name."""
    links = Links(tmp_path, (CLUSTER_DEFAULT, "theirs"))
    await links.open()
    yield links
    await links.close()


async def test_links_of_two_clusters_carry_nothing_and_log_one_line_a_peer(
    strangers: Links, caplog: pytest.LogCaptureFixture
) -> None:
    for one, other in [(strangers.a, strangers.b), (strangers.b, strangers.a)] * 3:
        with pytest.raises(PeerRefused):
            await one.ask(other, b"k", SHORT_S)
        one.transport.cast(other.address, delta(one))
        assert one.transport.is_stranger(other.address) and one.transport.is_down(other.address)
    await asyncio.sleep(5 * peers_of(strangers.a)._config.redial_s)
    for peer in (strangers.a, strangers.b):
        assert not peer.handler.calls and not peer.handler.casts
    assert levels(caplog) == ["ERROR", "ERROR"], "each node says so once, whoever dials"


async def test_link_refused_by_name_tells_the_name(network: Links) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(url_of(network.b.address, "x:1", "theirs"))
    assert caught.value.status == 403
    assert caught.value.headers is not None and caught.value.headers[CLUSTER_HEADER] == CLUSTER_DEFAULT


@pytest.mark.parametrize(
    ("told", "expected"),
    [({}, True), ({"Kvs-Knows": ""}, True), ({"Kvs-Knows": "more"}, True), ({"Kvs-Knows": "more,expiry"}, False)],
)
def test_release_that_does_not_say_so_knows_of_no_expiry(told: dict[str, str], expected: bool) -> None:
    assert is_older(told) is expected


async def test_dialler_finds_who_knows_of_no_expiry(network: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    there = network.b.address
    assert not network.a.transport.is_older(there), "nothing is known of it"
    monkeypatch.setattr(acceptor, "EXPIRY", "nothing new")
    await network.a.ask(network.b, b"k")
    assert network.a.transport.is_older(there)
    monkeypatch.undo()
    network.a.transport.reset()
    await network.a.ask_until_answered(network.b, b"k")
    assert not network.a.transport.is_older(there), "it was replaced by one that does"


async def test_links_of_nodes_without_names_and_of_the_default_one_go_together(network: Links) -> None:
    """A release that knows of no names says none."""
    url = url_of(network.b.address, "x:1", "kvs")
    async with aiohttp.ClientSession() as session, session.ws_connect(url.without_query_params("cluster")) as socket:
        assert not socket.closed


async def test_dialler_turns_away_who_lets_in_everybody_without_a_name(tmp_path: Path) -> None:
    """The release before answers whoever dials: who knows names must look itself."""
    address, heard = fresh_addresses(1)[0], []

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard.extend([message async for message in socket])
        return socket

    app = web.Application()
    app.router.add_get(PATH, serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, host_of(address), port_of(address)).start()
    links = Links(tmp_path, ("ours", CLUSTER_DEFAULT))
    await links.open()
    with pytest.raises(PeerRefused):
        await links.a.ask(Peer(address, peers_of(links.b)), b"k", SHORT_S)
    assert links.a.transport.is_stranger(address) and not heard
    await links.close()
    await runner.cleanup()


async def test_link_comes_up_once_the_stranger_has_gone(strangers: Links, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "node.net.handshake")
    with pytest.raises(PeerRefused):
        await strangers.a.ask(strangers.b, b"k", SHORT_S)
    await strangers.replace_b(CLUSTER_DEFAULT)
    await strangers.a.ask_until_answered(strangers.b, b"k")

    async def is_over() -> bool:
        return levels(caplog) == ["ERROR", "ERROR", "INFO"] or levels(caplog) == ["ERROR", "INFO"]

    await eventually(is_over, "a line that says so")
    assert not strangers.a.transport.is_stranger(strangers.b.address)
