"""The real links: the contract of all transports, and what only sockets can show."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from node.errors import PeerFault, PeerLost, PeerRefused
from node.net import dialer as node_links
from node.net.messages import Read, ReadResult
from tests.cluster import eventually, fresh_addresses
from tests.node.net.links import Links, peers_of
from tests.node.net.transport_contract import SHORT_S, STAMP, TransportContract, arrived


class TestPeers(TransportContract):
    pass


async def test_peers_too_many_waiting_refused(network: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_links, "PENDING_MAX", 5)
    network.b.handler.go_on.clear()
    waiting = [asyncio.create_task(network.a.ask(network.b, b"%d" % number)) for number in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(PeerRefused):
        await network.a.ask(network.b, b"one more")
    await arrived(network.b, b"4")
    network.b.handler.go_on.set()
    assert await asyncio.gather(*waiting) == [ReadResult(b"%d" % number) for number in range(5)]
    assert b"one more" not in network.b.handler.keys


async def test_peers_links_that_nobody_wants_any_more_are_closed(tmp_path: Path) -> None:
    network = Links(tmp_path, wanted_s=0.5, unwanted_s=0.6)
    await network.open()
    try:
        await network.a.ask(network.b, b"before")

        async def closed() -> bool:
            with pytest.raises(PeerFault):
                await network.a.transport.call(fresh_addresses(1)[0], Read(b"elsewhere"), STAMP, SHORT_S)
            return network.b.address not in {to for to, _ in peers_of(network.a)._links}

        await eventually(closed, "that a link is closed as new ones are made")
        assert await network.a.ask(network.b, b"after") == ReadResult(b"after")
    finally:
        await network.close()


@pytest.mark.parametrize("sent", [True, False])
async def test_links_deadline_overdue_at_a_reset_says_nothing_about_the_peer(network: Links, sent: bool) -> None:
    """A node that was paused would take it for down, and serve without having asked it."""
    network.b.handler.go_on.clear()
    if not sent:
        network.silence(network.b)
    call = asyncio.create_task(network.a.ask(network.b, b"k", SHORT_S))
    if sent:
        await arrived(network.b, b"k")
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.001, network.a.transport.reset)
    time.sleep(2 * SHORT_S)  # noqa: ASYNC251  This process is paused; then both timers fire in one turn.
    with pytest.raises(PeerLost):
        await call
    assert not network.a.transport.is_down(network.b.address)
