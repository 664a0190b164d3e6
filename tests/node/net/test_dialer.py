"""The side that asks, on real sockets: what only time and the loop can show."""

from __future__ import annotations

import asyncio
import time

import pytest

from node.errors import PeerLost, TooManyCalls
from node.net import link_state
from node.net.messages import ReadResult
from tests.node.net.links import Links
from tests.node.net.two_ends import SHORT_S, arrived


async def test_link_too_many_waiting_refused(network: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_state, "PENDING_MAX", 5)
    network.b.handler.go_on.clear()
    waiting = [asyncio.create_task(network.a.ask(network.b, b"%d" % number)) for number in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyCalls):
        await network.a.ask(network.b, b"one more")
    await arrived(network.b, b"4")
    network.b.handler.go_on.set()
    assert await asyncio.gather(*waiting) == [ReadResult(b"%d" % number) for number in range(5)]
    assert b"one more" not in network.b.handler.keys


@pytest.mark.parametrize("sent", [True, False])
async def test_link_deadline_overdue_at_a_reset_says_nothing_about_the_peer(network: Links, sent: bool) -> None:
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


async def test_link_answer_under_way_during_a_long_turn_is_looked_at(network: Links) -> None:
    network.b.handler.go_on.clear()
    call = asyncio.create_task(network.a.ask(network.b, b"k", SHORT_S))
    await arrived(network.b, b"k")
    network.b.handler.go_on.set()
    time.sleep(2 * SHORT_S)  # noqa: ASYNC251  What keeps a loop from turning.
    assert await call == ReadResult(b"k")
    assert not network.a.transport.is_down(network.b.address)
