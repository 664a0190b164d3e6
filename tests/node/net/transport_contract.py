"""What every transport promises, whatever carries it: the tests of `TransportContract` run on each kind of `Network`.

A call reaches the handler of the other side at most once; an answer comes from that very execution; PeerRefused means
that it was not executed. To run them on another transport, derive a test class and give it a `network` fixture.
"""

from __future__ import annotations

import asyncio

import pytest

from node.errors import PeerFault, PeerLost, PeerRefused
from node.net.messages import Read, ReadResult, Write, Wrote
from tests.cluster import eventually
from tests.node.net.two_ends import (
    HURRIED_S,
    PATIENT_S,
    SHORT_S,
    VERSION,
    VIEW_ID,
    Echo,
    Network,
    Peer,
    delta,
    unanswered,
)


class TransportContract:
    async def test_transport_call_answered(self, network: Network) -> None:
        assert await network.a.ask(network.b, b"k") == ReadResult(b"k")
        assert network.b.handler.calls == [(network.a.address, VIEW_ID, Read(b"k"))]
        assert 0 < network.b.handler.budgets_s[0] <= PATIENT_S
        assert not network.a.transport.is_down(network.b.address)

    async def test_transport_round_trip_is_known_once_pings_were_answered(self, network: Network) -> None:
        peer = network.b.address
        assert network.a.transport.round_trip_s(peer) is None

        async def is_measured() -> bool:
            await network.a.ask(network.b, b"k")
            return network.a.transport.round_trip_s(peer) is not None

        await eventually(is_measured, "a round trip")
        assert 0 <= (network.a.transport.round_trip_s(peer) or 0) < PATIENT_S

    async def test_transport_both_directions_at_once(self, network: Network) -> None:
        a, b = network.a, network.b
        answers = await asyncio.gather(*(one.ask(other, b"k") for one, other in [(a, b), (b, a)] * 50))
        assert answers == [ReadResult(b"k")] * 100

    async def test_transport_nothing_is_done_of_a_message_at_which_a_pause_is_noticed(self, network: Network) -> None:
        a, b = network.a, network.b
        await a.ask(b, b"before")
        for paused, told in ((b, [b"before"]), (a, [b"before", b"asked"])):

            def admit(paused: Peer = paused) -> bool:
                paused.clock.attach(lambda: True)
                paused.transport.reset()
                return False

            paused.clock.attach(admit)
            with pytest.raises(PeerFault):
                await a.ask(b, b"asked", SHORT_S)
            assert b.handler.keys == told
        await a.ask_until_answered(b, b"after")

    async def test_transport_bulk_call_answered(self, network: Network) -> None:
        answer = await network.a.transport.call(network.b.address, Read(b"k"), VIEW_ID, PATIENT_S, bulk=True)
        assert answer == ReadResult(b"k")

    async def test_transport_many_calls_each_its_own_answer(self, network: Network) -> None:
        keys = [str(number).encode() for number in range(2000)]
        answers = await asyncio.gather(*(network.a.ask(network.b, key) for key in keys))
        assert answers == [ReadResult(key) for key in keys]
        assert sorted(network.b.handler.keys) == sorted(keys)

    async def test_transport_slow_call_delays_no_other(self, network: Network) -> None:
        slow = await unanswered(network, b"slow")
        assert await network.a.ask(network.b, Echo.PROMPT) == ReadResult(Echo.PROMPT)
        assert not slow.done()
        network.b.handler.go_on.set()
        assert await slow == ReadResult(b"slow")

    async def test_transport_large_values_arrive(self, network: Network) -> None:
        value = b"x" * (1024 * 1024)
        calls = [
            network.a.transport.call(network.b.address, Write(b"%d" % n, VERSION, value), VIEW_ID, PATIENT_S)
            for n in range(20)
        ]
        assert await asyncio.gather(*calls) == [Wrote(True)] * 20
        assert {request.value for _, _, request in network.b.handler.calls if isinstance(request, Write)} == {value}

    async def test_transport_large_answers_at_once_arrive(self, network: Network) -> None:
        answers = await asyncio.gather(*(network.a.ask(network.b, Echo.LARGE) for _ in range(20)))
        assert {len(answer.value or b"") for answer in answers if isinstance(answer, ReadResult)} == {1024 * 1024}

    async def test_transport_clock_goes_along_both_ways(self, network: Network) -> None:
        network.a.clock.observe(1000)
        await network.a.ask(network.b, b"k")
        assert network.b.clock.reading >= 1000
        network.b.clock.observe(5000)
        await network.a.ask(network.b, b"k")
        assert network.a.clock.reading >= 5000

    async def test_transport_each_side_hears_the_clock_of_the_other(self, network: Network) -> None:
        await network.a.ask(network.b, b"k")
        assert network.a.clock.offsets_ms == {network.b.address: 0}
        assert network.b.clock.offsets_ms == {network.a.address: 0}

    async def test_transport_cast_heard(self, network: Network) -> None:
        await network.a.ask(network.b, b"k")
        network.a.transport.cast(network.b.address, delta(network.a))

        async def heard() -> bool:
            return network.b.handler.casts == [(network.a.address, delta(network.a))]

        await eventually(heard, "the cast")

    async def test_transport_nobody_there_refused(self, network: Network) -> None:
        await network.kill(network.b)
        for _ in range(3):
            with pytest.raises(PeerRefused):
                await network.a.ask(network.b, b"k")
        assert network.a.transport.is_down(network.b.address)
        assert network.b.handler.calls == []

    async def test_transport_peer_returns_found_again(self, network: Network) -> None:
        await network.kill(network.b)
        with pytest.raises(PeerRefused):
            await network.a.ask(network.b, b"early")
        await network.revive(network.b)
        assert await network.a.ask_until_answered(network.b, b"late") == ReadResult(b"late")
        assert not network.a.transport.is_down(network.b.address)
        assert b"early" not in network.b.handler.keys

    async def test_transport_killed_during_call_lost(self, network: Network) -> None:
        call = await unanswered(network, b"k")
        await network.kill(network.b)
        with pytest.raises(PeerLost):
            await call

    async def test_transport_no_answer_in_time_lost(self, network: Network) -> None:
        await network.a.ask(network.b, b"first")
        network.b.handler.go_on.clear()
        with pytest.raises(PeerLost):
            await network.a.ask(network.b, b"second", SHORT_S)

    async def test_transport_call_without_time_left_is_refused_and_harms_no_other(self, network: Network) -> None:
        """Its sender was late, which says nothing about the peer; and what it sent before must not go with it."""
        other = await unanswered(network, b"other")
        for left_s in (0.0, -0.5):
            with pytest.raises(PeerRefused):
                await network.a.ask(network.b, b"late", left_s)
        network.b.handler.go_on.set()
        assert await other == ReadResult(b"other")
        assert not network.a.transport.is_down(network.b.address)
        assert network.b.handler.keys == [b"other"]

    async def test_transport_call_given_less_than_a_silence_fails_alone(self, network: Network) -> None:
        other = await unanswered(network, b"other")
        with pytest.raises(PeerLost):
            await network.a.ask(network.b, b"hurried", HURRIED_S)
        assert not network.a.transport.is_down(network.b.address)
        network.b.handler.go_on.set()
        assert await other == ReadResult(b"other")

    async def test_transport_peer_that_waits_for_others_is_not_silent(self, network: Network) -> None:
        """As an owner does whose co-owner is gone: nobody else must take it for gone too."""
        other = await unanswered(network, b"other")
        with pytest.raises(PeerLost):
            await network.a.attempt(network.b, b"waits")
        assert not network.a.transport.is_down(network.b.address)
        network.b.handler.go_on.set()
        assert await other == ReadResult(b"other")

    async def test_transport_attempt_at_a_silent_peer_shows_that_it_is_silent(self, network: Network) -> None:
        await network.a.ask(network.b, b"first")
        network.silence(network.b)
        with pytest.raises(PeerLost):
            await network.a.attempt(network.b, b"second")
        assert network.a.transport.is_down(network.b.address)

    async def test_transport_hurried_call_that_was_never_sent_is_not_sent_later(self, network: Network) -> None:
        network.silence(network.b)
        with pytest.raises(PeerFault):
            await network.a.ask(network.b, b"hurried", HURRIED_S)
        await network.restore(network.b)
        await network.a.ask_until_answered(network.b, b"later")
        assert b"hurried" not in network.b.handler.keys

    async def test_transport_silent_peer_fails_all_calls(self, network: Network) -> None:
        await network.a.ask(network.b, b"first")
        network.silence(network.b)
        calls = [asyncio.create_task(network.a.ask(network.b, b"more")) for _ in range(10)]
        with pytest.raises(PeerLost):
            await network.a.ask(network.b, b"second", SHORT_S)
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, PeerLost)
        assert network.a.transport.is_down(network.b.address)

    async def test_transport_silent_from_the_first_a_fault(self, network: Network) -> None:
        network.silence(network.b)
        with pytest.raises(PeerFault):
            await network.a.ask(network.b, b"k", PATIENT_S)
        assert network.a.transport.is_down(network.b.address)

    async def test_transport_given_up_call_never_executed_later(self, network: Network) -> None:
        await network.a.ask(network.b, b"first")
        network.silence(network.b)
        with pytest.raises(PeerLost):
            await network.a.ask(network.b, b"given up", SHORT_S)
        await network.restore(network.b)
        await network.a.ask_until_answered(network.b, b"later")
        assert b"given up" not in network.b.handler.keys

    async def test_transport_reset_loses_calls_then_serves(self, network: Network) -> None:
        call = await unanswered(network, b"k")
        network.a.transport.reset()
        with pytest.raises(PeerLost):
            await call
        network.b.handler.go_on.set()
        assert await network.a.ask_until_answered(network.b, b"next") == ReadResult(b"next")

    async def test_transport_reset_next_call_makes_a_new_link(self, network: Network) -> None:
        """At once: a node that was paused asks around, and must not take its own reset for a peer's refusal."""
        await network.a.ask(network.b, b"first")
        network.a.transport.reset()
        assert await network.a.ask(network.b, b"next") == ReadResult(b"next")

    async def test_transport_reset_forgets_who_was_down(self, network: Network) -> None:
        await network.kill(network.b)
        with pytest.raises(PeerRefused):
            await network.a.ask(network.b, b"k")
        await network.revive(network.b)
        network.a.transport.reset()
        assert await network.a.ask(network.b, b"next") == ReadResult(b"next")

    async def test_transport_peer_that_has_come_up_is_dialled_anew_and_waited_for(self, network: Network) -> None:
        await network.kill(network.b)
        with pytest.raises(PeerRefused):
            await network.a.ask(network.b, b"k")
        await network.revive(network.b)
        network.a.transport.dial_anew(network.b.address)
        assert await network.a.ask(network.b, b"next") == ReadResult(b"next")

    async def test_transport_peer_that_is_still_down_is_so_after_one_more_dial(self, network: Network) -> None:
        await network.kill(network.b)
        for _ in range(2):
            with pytest.raises(PeerRefused):
                await network.a.ask(network.b, b"k")
            assert network.a.transport.is_down(network.b.address)
            network.a.transport.dial_anew(network.b.address)
            assert not network.a.transport.is_down(network.b.address)

    async def test_transport_reset_of_the_asked_side_loses_calls(self, network: Network) -> None:
        call = await unanswered(network, b"k")
        network.b.transport.reset()
        with pytest.raises(PeerLost):
            await call

    async def test_transport_reset_drops_what_was_not_executed(self, network: Network) -> None:
        """What piled up while a process was paused must not be executed after it has asked around."""
        await network.a.ask(network.b, b"first")
        network.silence(network.b)
        call = asyncio.create_task(network.a.ask(network.b, b"piled up"))
        await asyncio.sleep(0)
        network.b.transport.reset()
        await network.restore(network.b)
        with pytest.raises(PeerLost):
            await call
        await network.a.ask_until_answered(network.b, b"later")
        assert b"piled up" not in network.b.handler.keys

    async def test_transport_cancelled_call_leaves_link_well(self, network: Network) -> None:
        call = await unanswered(network, b"k")
        call.cancel()
        await asyncio.wait([call])
        network.b.handler.go_on.set()
        assert await network.a.ask(network.b, b"next") == ReadResult(b"next")

    async def test_transport_close_fails_calls(self, network: Network) -> None:
        call = await unanswered(network, b"k")
        await network.a.transport.close()
        with pytest.raises(PeerLost):
            await call
