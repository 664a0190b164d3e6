"""The real links: the contract of all transports, and what only sockets can show."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import PeerFault
from node.net.messages import Read, ReadResult
from tests.cluster import eventually, fresh_addresses
from tests.node.net.links import Links, peers_of
from tests.node.net.transport_contract import TransportContract
from tests.node.net.two_ends import SHORT_S, VIEW_ID


class TestPeers(TransportContract):
    pass


async def test_peers_links_that_nobody_wants_any_more_are_closed(tmp_path: Path) -> None:
    network = Links(tmp_path, wanted_s=0.5, unwanted_s=0.6)
    await network.open()
    try:
        await network.a.ask(network.b, b"before")

        async def closed() -> bool:
            with pytest.raises(PeerFault):
                await network.a.transport.call(fresh_addresses(1)[0], Read(b"elsewhere"), VIEW_ID, SHORT_S)
            return network.b.address not in {to for to, _ in peers_of(network.a)._links}

        await eventually(closed, "that a link is closed as new ones are made")
        assert await network.a.ask(network.b, b"after") == ReadResult(b"after")
    finally:
        await network.close()


async def test_peers_far_away_are_reached_and_the_log_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = Links(tmp_path)
    await network.open()
    relay = network.relay(network.b)
    relay.delay_s = 0.24
    try:
        with caplog.at_level("INFO", "node.state_log"):
            assert await network.a.ask_until_answered(network.b, b"far") == ReadResult(b"far")
            for number in range(3):
                assert await network.a.ask(network.b, b"%d" % number, SHORT_S) == ReadResult(b"%d" % number)
            assert not network.a.transport.is_down(network.b.address)

            async def is_far() -> bool:
                """As ten of its pings tell, that are sent while nobody knows what to make of it."""
                return bool(caplog.messages)

            await eventually(is_far, "the line that it is far away")
            (line,) = caplog.messages
            assert line.startswith(f"a round trip to {network.b.address} takes ") and "ROUND_TRIP_MS" in line
            relay.delay_s = 0.0

            async def is_near() -> bool:
                await network.a.attempt(network.b, b"near")
                return len(caplog.messages) == 2

            await eventually(is_near, "the line that it is near again")
        assert caplog.messages[1] == f"a round trip to {network.b.address} takes no longer than 50 ms again"
    finally:
        await network.close()
