"""What is large travels apart: however long it takes, nobody is taken for silent because of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path

import pytest

from node.errors import LargeLate, PeerLate, PeerLost
from node.net import lanes
from node.net.messages import LARGE_BYTES, Answer, Apart, Compare, ReadResult, Unable, Write, Wrote
from tests.cluster import eventually
from tests.node.net.links import Links, peers_of
from tests.node.net.two_ends import ATTEMPT_S, PATIENT_S, VERSION, VIEW_ID, Echo
from tests.relay import CHUNK_BYTES

MEGABYTE = b"x" * 2**20
SLOW_BYTES_S = 400_000.0
"""A megabyte takes 2.6 s: six silences."""
SILENCE_S = 0.45


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Links]:
    network = Links(tmp_path)
    await network.open()
    await network.a.ask(network.b, b"first")

    async def pings_are_over() -> bool:
        return peers_of(network.a)._links[network.b.address, False]._state._ping_at == inf

    await eventually(pings_are_over, "it is known how far the peer is")
    yield network
    await network.close()


async def write(network: Links, value: bytes = MEGABYTE) -> Answer:
    """As an attempt at an owner."""
    request = Write(b"written", VERSION, value)
    return await network.a.transport.call(network.b.address, request, VIEW_ID, ATTEMPT_S, attempt=True)


async def keep_asking(network: Links, until: asyncio.Task[Answer]) -> int:
    """Small calls, one after the other, each of which would tell of a silence; how many were answered."""
    count = 0
    while not until.done():
        assert await network.a.ask(network.b, b"%d" % count, SILENCE_S) == ReadResult(b"%d" % count)
        count += 1
        await asyncio.sleep(0.01)
    return count


@pytest.mark.parametrize("what", ["request", "answer"])
async def test_lanes_what_is_large_on_a_slow_link_arrives_and_holds_up_nothing_else(network: Links, what: str) -> None:
    network.relay(network.b).bytes_s = SLOW_BYTES_S
    began = time.monotonic()
    large = asyncio.create_task(
        write(network) if what == "request" else network.a.ask(network.b, Echo.LARGE, SILENCE_S)
    )
    assert await keep_asking(network, large) > 20
    assert await large == (Wrote(True) if what == "request" else ReadResult(MEGABYTE))
    assert time.monotonic() - began > 3 * SILENCE_S, "it took long"
    assert not network.a.transport.is_down(network.b.address)


async def test_lanes_large_answer_is_asked_for_twice_and_comes_on_the_link_for_transfers(network: Links) -> None:
    assert await network.a.ask(network.b, Echo.LARGE) == ReadResult(MEGABYTE)
    assert network.b.handler.keys.count(Echo.LARGE) == 2
    assert (network.b.address, True) in peers_of(network.a)._links


async def test_lanes_large_answer_is_given_apart_whatever_is_answered_in_the_same_frame(network: Links) -> None:
    keys = [b"1", Echo.LARGE, b"2"]
    await network.a.ask(network.b, b"first")
    answers = await asyncio.gather(*(network.a.ask(network.b, key) for key in keys))
    assert answers == [ReadResult(b"1"), ReadResult(MEGABYTE), ReadResult(b"2")]
    assert network.b.handler.keys.count(Echo.LARGE) == 2


async def test_lanes_what_is_small_needs_no_link_for_transfers(network: Links) -> None:
    assert await write(network, b"x" * LARGE_BYTES) == Wrote(True)
    assert (network.b.address, True) not in peers_of(network.a)._links


async def test_lanes_peer_that_falls_silent_ends_what_is_on_its_way_to_it(network: Links) -> None:
    """As soon as pings tell, not when the time for a megabyte is over."""
    relay = network.relay(network.b)
    relay.bytes_s = SLOW_BYTES_S
    large = asyncio.create_task(write(network))
    await asyncio.sleep(0.3)
    network.silence(network.b)
    began = time.monotonic()
    with pytest.raises(PeerLost) as caught:
        await large
    assert not isinstance(caught.value, LargeLate)
    assert time.monotonic() - began < 3 * SILENCE_S
    assert network.a.transport.is_down(network.b.address)


@pytest.mark.parametrize("what", ["request", "answer"])
async def test_lanes_what_a_path_loses_for_its_size_is_late_and_its_peer_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """Pings get through. What was small before and comes after is answered all the same."""
    network = Links(tmp_path, slow_link_bytes_s=1_000_000)
    await network.open()
    try:
        await network.a.ask(network.b, b"first")
        network.relay(network.b).packet_bytes_max = 1400
        began = time.monotonic()
        caplog.set_level("INFO", "node.state_log")
        with pytest.raises(LargeLate):
            await (write(network) if what == "request" else network.a.ask(network.b, Echo.LARGE, SILENCE_S))
        assert time.monotonic() - began < 1 + 2**20 / 1_000_000 + 1
        assert not network.a.transport.is_down(network.b.address)
        assert await network.a.ask(network.b, b"after", SILENCE_S) == ReadResult(b"after")
        assert b"written" not in network.b.handler.keys
        (line,) = caplog.messages
        assert (
            line.startswith(f"{network.b.address} is there, and what is large does not get through") and "MTU" in line
        )
        await network.kill(network.b)  # With what is stuck on its connections.
        network.relay(network.b).packet_bytes_max = None
        await network.revive(network.b)
        await network.a.ask_until_answered(network.b, b"mended")
        assert await write(network) == Wrote(True)
        assert caplog.messages[1:] == [f"what is large gets through to {network.b.address} again"]
    finally:
        await network.close()


async def test_lanes_transfer_that_is_lost_for_its_size_does_not_have_its_peer_taken_for_silent(network: Links) -> None:
    """Neither by itself, nor by what is large and was on its way along with it."""
    network.relay(network.b).packet_bytes_max = CHUNK_BYTES - 1
    to, digests = network.b.address, Compare(b"", b"x" * 2 * CHUNK_BYTES)
    transfer = asyncio.create_task(network.a.transport.call(to, digests, VIEW_ID, SILENCE_S, bulk=True))
    await asyncio.sleep(SILENCE_S / 2)
    large = asyncio.create_task(write(network))
    with pytest.raises(PeerLate):
        await transfer
    with pytest.raises(LargeLate):
        await large
    assert not network.a.transport.is_down(to)


async def test_lanes_peer_that_is_down_is_not_sent_what_is_large(network: Links) -> None:
    network.silence(network.b)
    with pytest.raises(PeerLost):
        await network.a.attempt(network.b, b"finds it silent")
    began = time.monotonic()
    with pytest.raises(Exception, match="is down"):
        await write(network)
    assert time.monotonic() - began < SILENCE_S


async def test_lanes_pings_end_with_what_was_large(network: Links) -> None:
    await write(network)
    link = peers_of(network.a)._links[network.b.address, False]
    await asyncio.sleep(0.3)
    assert link._state._watchers == 0
    link._state.check()


@pytest.mark.parametrize(
    ("answer", "is_small", "is_apart"),
    [
        (ReadResult(b"x" * LARGE_BYTES), True, False),
        (ReadResult(b"x" * (LARGE_BYTES + 1)), True, True),
        (ReadResult(b"x" * (LARGE_BYTES + 1)), False, False),
        (ReadResult(None), True, False),
        (Unable(), True, False),
    ],
)
def test_lanes_fit_only_what_is_large_is_answered_apart_where_that_is_asked_for(
    answer: Answer, is_small: bool, is_apart: bool
) -> None:
    fitted = lanes.fit(answer, is_small)
    assert fitted == (Apart(answer.carried_bytes()) if is_apart else answer)


async def test_lanes_patient_call_is_given_the_time_of_all_that_is_on_its_way(tmp_path: Path) -> None:
    """Four at once over a link that takes half a second for each, and may take one: none is late, though the last one
    takes longer than it would be given alone."""
    network = Links(tmp_path, slow_link_bytes_s=1_000_000)
    await network.open()
    try:
        await network.a.ask(network.b, b"first")
        network.relay(network.b).bytes_s = 2_000_000.0
        calls = [
            network.a.transport.call(
                network.b.address, Write(b"%d" % n, VERSION, MEGABYTE), VIEW_ID, ATTEMPT_S, attempt=True
            )
            for n in range(4)
        ]
        assert await asyncio.wait_for(asyncio.gather(*calls), 2 * PATIENT_S) == [Wrote(True)] * 4
    finally:
        await network.close()
