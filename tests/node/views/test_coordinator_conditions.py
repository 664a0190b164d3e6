"""What an operator makes a change conditional on, and nodes on which no change may depend."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from gossip.view import ViewId
from node.errors import Conflict, PeerRefused, Unavailable
from node.net.messages import Answer, Owed, Promise, Release, Request
from node.views.census import LastHeard
from node.views.change_conditions import Wish
from node.views.rules import EPOCH_LEAP_MAX
from tests.node.parts import A, B, C, D, on_virtual_time
from tests.node.views.coordinating import Coordinating, of_three, peers_of

NO_VIEW = ViewId(0, 0)


@on_virtual_time
async def test_if_safe_counts_who_falls_silent_before_it_promises() -> None:
    """It had answered a moment before; what others have promised is given back."""
    parts = await of_three()
    bench = Coordinating(parts)
    b, c = peers_of(parts, B, C)
    bench.heard[C] = LastHeard(7, 0, NO_VIEW)

    def dies(request: Request) -> Answer:
        if isinstance(request, Promise):
            raise PeerRefused(C)
        return c(request)

    parts.peers.script[C] = dies
    with pytest.raises(Conflict, match="Keys would be lost") as refusal:
        await bench.coordinator.change(Wish(frozenset({A, B}), if_safe=True))
    assert refusal.value.details == {"keys-at-risk": 7, "unreachable": [C]}
    assert parts.views.view_id.epoch == 3
    assert isinstance(b.asked[-1], Release)
    change = await bench.coordinator.change(Wish(frozenset({A, B})))
    assert change.view.nodes == {A, B} and change.risk == (7, (C,))


@on_virtual_time
async def test_if_safe_is_met_by_a_node_that_cannot_promise_but_can_be_asked() -> None:
    """Its disk is full, and it brings its keys home all the same."""
    parts = await of_three()
    bench = Coordinating(parts)
    _, c = peers_of(parts, B, C)
    bench.heard[C] = LastHeard(7, 0, NO_VIEW)
    c.promises = False
    change = await bench.coordinator.change(Wish(frozenset({A, B}), if_safe=True))
    assert change.view.nodes == {A, B} and change.risk.is_none


@pytest.mark.parametrize("absurd", [3 + EPOCH_LEAP_MAX, 2**63 - 1])
@on_virtual_time
async def test_absurd_promise_of_one_node_locks_nobody_out(absurd: int) -> None:
    """A stranger has asked it for one, or its disk is damaged. Built upon, no other node would promise the next."""
    parts = await of_three()
    bench = Coordinating(parts)
    b, _ = peers_of(parts, B, C)
    b.promised = absurd
    change = await bench.coordinator.change(Wish(frozenset({A, B})))
    assert change.view.epoch == 4


@on_virtual_time
async def test_change_that_moves_and_waits_for_a_node_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    parts = await of_three()
    bench = Coordinating(parts)
    peers_of(parts, B)
    polls = 0

    def waits(request: Request) -> Answer:
        nonlocal polls
        polls += 1
        if polls == 20:
            bench.waiting = ()
        return b(request)

    (b,) = peers_of(parts, B)
    parts.peers.script[B] = waits
    bench.waiting = (Owed(C, 5, 0),)
    with caplog.at_level("INFO", "node.state_log"):
        change = await bench.coordinator.change(Wish(frozenset({A, B, C})))
        await bench.coordinator.await_settled(change)
    view_id = parts.views.view_id
    assert caplog.messages == [
        f"view {view_id} has yet to settle",
        f"view {view_id} waits for {C}, which cannot be reached",
        f"view {view_id} has settled",
        f"view {view_id} waits for {C} no more",
    ]


@on_virtual_time
async def test_promises_that_have_grown_old_bring_no_view_in_force() -> None:
    """The process was starved while it gathered them: whoever gave the first may have given another one since."""
    parts = await of_three()
    _, peer = peers_of(parts, B, C)
    age_s, real = 0.0, parts.time.monotonic

    def answer_late(request: Request) -> Answer:
        nonlocal age_s
        if isinstance(request, Promise):
            age_s = 0.6 * parts.config.promise_s
        return peer(request)

    parts.peers.script[C] = answer_late
    with patch.object(parts.time, "monotonic", lambda: real() + age_s):
        change = await Coordinating(parts).coordinator.change(Wish(frozenset({A, B, C}), 3))
    epochs = [request.epoch for request in peer.asked if isinstance(request, Promise)]
    assert epochs == [4, 5] and Release(4, A) in peer.asked
    assert change.view.epoch == 5


@on_virtual_time
async def test_change_that_is_broken_off_is_unavailable_and_gives_its_promises_back() -> None:
    parts = await of_three()
    bench, before = Coordinating(parts), parts.views.current
    b, c = peers_of(parts, B, C)

    async def never() -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    parts.peers.script[C] = lambda request: never() if isinstance(request, Promise) else c(request)
    asked = [asyncio.create_task(bench.coordinator.change(Wish(frozenset({A, B})))) for _ in range(2)]
    while not any(isinstance(request, Promise) for request in b.asked):
        await asyncio.sleep(0.001)
    assert parts.views.promisee().coordinator == A
    bench.coordinator.break_off()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert parts.views.promisee().coordinator == "" and parts.views.current is before


@pytest.mark.parametrize("is_well", [True, False])
@on_virtual_time
async def test_who_brings_something_that_no_view_names_is_named_as_a_donor(is_well: bool) -> None:
    """It was down when the view in force was made; nobody waits for it, nor would ask it under the next."""
    parts = await of_three()
    bench = Coordinating(parts)
    peers_of(parts, B)
    (bringer,) = peers_of(parts, D)
    bringer.handing = (Owed(C, 1, 7),)
    bench.heard[D] = LastHeard(0, 7, NO_VIEW, is_well)
    change = await bench.coordinator.change(Wish(frozenset({A, B})))
    donors = {donor for donor, alone, _ in change.view.donors if alone}
    assert donors == ({D} if is_well else set())
    assert any(isinstance(request, Promise) for request in bringer.asked) is is_well


@on_virtual_time
async def test_who_brings_something_to_a_node_that_can_take_it_makes_the_next_change_wait() -> None:
    """It is under way home, as is what the donors bring that the view names."""
    parts = await of_three()
    bench = Coordinating(parts)
    *_, bringer = peers_of(parts, B, C, D)
    bringer.handing = (Owed(C, 1, 7),)
    bench.heard[D] = LastHeard(0, 7, NO_VIEW)
    with pytest.raises(Conflict, match="under way"):
        await bench.coordinator.change(Wish(frozenset({A, B})))
