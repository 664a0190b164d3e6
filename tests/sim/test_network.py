"""The simulated network: the contract of all transports, and that it loses, resets and repeats as TCP does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gossip.view import Address
from node.config import Config
from node.errors import PeerLost
from node.net.messages import ReadResult
from node.net.round_trips import PINGS
from tests.node.net.transport_contract import TransportContract
from tests.node.net.two_ends import PATIENT_S, SHORT_S, Peer, arrived
from tests.node.samples import CONFIG
from tests.sim.loop import Host, VirtualLoop
from tests.sim.network import REPEAT_S, Network, Rates
from tests.sim.port import Port

ONE_WAY_S = 0.005
FLAWLESS = Rates(delay_s=ONE_WAY_S, slow=0.0, cast_loss=0.0, cast_double=0.0)
A, B = "a:1", "b:1"
SILENCE_S = 0.45


class Ports:
    """Two processes on a simulated network."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self._hosts: list[Host] = []
        self.network = Network(loop, random.Random(0), FLAWLESS, None)
        self.a, self.b = (Peer(address, self._port(address)) for address in (A, B))

    async def get_to_know(self) -> None:
        """A link is made, and its pings have told how far the other side is: nothing more is sent by itself."""
        await self.a.ask(self.b, b"first")
        await asyncio.sleep(PINGS * CONFIG.ping_s + 1.0)

    def silence(self, peer: Peer) -> None:
        self.network.cuts |= {(A, B), (B, A)}

    async def restore(self, peer: Peer) -> None:
        self.network.cuts.clear()

    async def kill(self, peer: Peer) -> None:
        host_of(peer).kill()
        self.network.kill(peer.address)

    async def revive(self, peer: Peer) -> None:
        peer.transport = self._port(peer.address)
        peer.transport.attach(peer.clock, peer.handler)

    def let_end(self) -> None:
        """What the killed left behind has to run once more: to be cancelled with all other tasks."""
        for host in self._hosts:
            host.alive = host.runs = True

    def _port(self, address: Address) -> Port:
        self._hosts.append(Host(self.loop, address))
        config = Config(address=address, view=(A, B), data_dir=Path("/nowhere"))
        port = self._hosts[-1].context.run(Port, self.network, config, self._hosts[-1])
        port.listen()
        return port


def host_of(peer: Peer) -> Host:
    assert isinstance(peer.transport, Port)
    return peer.transport.host


@pytest.fixture
async def network() -> AsyncIterator[Ports]:
    ports = Ports()
    yield ports
    ports.let_end()


class TestPort(TransportContract):
    pass


async def test_network_killed_process_resets_its_calls_within_one_way(network: Ports) -> None:
    network.b.handler.go_on.clear()
    call = asyncio.create_task(network.a.ask(network.b, b"k"))
    await arrived(network.b, b"k")
    await network.kill(network.b)
    killed_at = network.loop.now
    with pytest.raises(PeerLost):
        await call
    assert network.loop.now - killed_at <= ONE_WAY_S


async def test_network_restarted_process_resets_what_was_meant_for_its_predecessor(network: Ports) -> None:
    await network.get_to_know()
    network.network.cuts.add((B, A))  # It swallows the news of the death.
    await network.kill(network.b)
    await network.revive(network.b)
    await asyncio.sleep(1)
    network.network.cuts.clear()
    asked_at = network.loop.now
    with pytest.raises(PeerLost):
        await network.a.ask(network.b, b"k")
    assert network.loop.now - asked_at <= 2 * ONE_WAY_S
    assert b"k" not in network.b.handler.keys
    assert await network.a.ask(network.b, b"next") == ReadResult(b"next")


async def test_network_what_a_cut_holds_up_is_sent_again(network: Ports) -> None:
    await network.get_to_know()
    network.silence(network.b)
    call = asyncio.create_task(network.a.ask(network.b, b"k", PATIENT_S))
    await asyncio.sleep(1)
    assert b"k" not in network.b.handler.keys
    await network.restore(network.b)
    healed_at = network.loop.now
    assert await call == ReadResult(b"k")
    assert network.loop.now - healed_at <= 2 * REPEAT_S


async def test_network_one_way_cut_lets_the_call_through_but_not_its_answer(network: Ports) -> None:
    await network.get_to_know()
    network.network.cuts.add((B, A))
    with pytest.raises(PeerLost):
        await network.a.ask(network.b, b"k", SHORT_S)
    assert b"k" in network.b.handler.keys


async def test_network_frozen_process_answers_when_it_goes_on(network: Ports) -> None:
    await network.get_to_know()
    host_of(network.b).freeze()
    call = asyncio.create_task(network.a.ask(network.b, b"k", PATIENT_S))
    await asyncio.sleep(1)
    assert b"k" not in network.b.handler.keys
    host_of(network.b).thaw()
    assert await call == ReadResult(b"k")


async def test_network_answer_that_arrives_during_a_pause_of_its_asker_is_looked_at(network: Ports) -> None:
    """The pause is too short to be noticed, and ends when the peer would be overdue."""
    await network.get_to_know()
    network.b.handler.go_on.clear()
    call = host_of(network.a).spawn(network.a.ask(network.b, b"k", SILENCE_S))
    await arrived(network.b, b"k")
    asked_at = network.loop.now
    host_of(network.a).freeze()
    network.b.handler.go_on.set()
    await asyncio.sleep(asked_at + SILENCE_S - network.loop.now)
    host_of(network.a).thaw()
    assert await call == ReadResult(b"k")
    assert not network.a.transport.is_down(B)


async def test_network_slow_link_takes_as_long_as_the_bytes_that_were_sent_on_it(network: Ports) -> None:
    """What comes later on the same connection waits; there and back do not."""
    await network.get_to_know()
    network.network.rates = FLAWLESS._replace(bytes_s=100_000.0)
    asked_at = network.loop.now
    calls = [asyncio.create_task(network.a.ask(network.b, b"x" * 200, PATIENT_S)) for _ in range(100)]
    await asyncio.gather(*calls)
    assert 0.2 < network.loop.now - asked_at < 0.4
    network.network.rates = FLAWLESS
    asked_at = network.loop.now
    await asyncio.gather(*[network.a.ask(network.b, b"x" * 200, PATIENT_S) for _ in range(100)])
    assert network.loop.now - asked_at <= 2 * ONE_WAY_S
