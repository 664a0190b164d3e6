"""Who has to hold the view that is made before anything is decided under it, and who is given up."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gossip.view import Address, Electors
from node.net.messages import Confirm, Owed, Promise, Request, Unable
from node.net.transport import Answering
from node.views.change_conditions import TakeBack, Wish
from node.views.coordinator import ViewChange
from tests.node.parts import A, B, C, D, Parts, on_virtual_time
from tests.node.samples import successor
from tests.node.views.coordinating import Coordinating, Peer, of_three, peers_of


async def change(parts: Parts, *nodes: Address, gone_for_good: bool = False) -> ViewChange:
    return await Coordinating(parts).coordinator.change(Wish(frozenset(nodes), gone_for_good=gone_for_good))


async def unsure_of(parts: Parts, *nodes: Address) -> None:
    """The view in force is of these nodes, and of three electors, B and C among them: that it is established, nobody
    can tell who does not hear both."""
    former = parts.views.current
    electors = (Electors(former.id, (B, C, D)),)
    await parts.views.adopt(replace(successor(former, *nodes), electors=electors), A)


@on_virtual_time
async def test_view_names_the_nodes_of_the_one_before_as_its_electors() -> None:
    parts = await of_three()
    old = parts.views.current
    peers_of(parts, B, C)
    assert (await change(parts, A, B)).view.electors == (Electors(old.id, (A, B, C)),)


@pytest.mark.parametrize(
    ("supports", "knows", "is_sure"), [(True, False, True), (False, False, False), (False, True, True)]
)
@on_virtual_time
async def test_view_keeps_the_electors_of_one_of_which_nobody_could_tell(
    supports: bool, knows: bool, is_sure: bool
) -> None:
    parts = await of_three()
    await unsure_of(parts, A, B, C)
    old = parts.views.current
    _, c = peers_of(parts, B, C)
    c.supports, c.knows = supports, knows
    own = Electors(old.id, (A, B, C))
    assert (await change(parts, A, B)).view.electors == ((own,) if is_sure else (*old.electors, own))


@on_virtual_time
async def test_view_names_who_could_not_be_reached_and_is_removed_as_absent() -> None:
    parts = await of_three()
    peers_of(parts, B)
    view = (await change(parts, A, B)).view
    assert view.absent == (C,)
    peers_of(parts, B, C)
    assert (await change(parts, A)).view.absent == ()


@on_virtual_time
async def test_view_names_who_fell_silent_before_it_promised_as_absent() -> None:
    parts = await of_three()
    _, c = peers_of(parts, B, C)

    def unable(request: Request) -> Answering:
        return Unable() if isinstance(request, Promise) else c(request)

    parts.peers.script[C] = unable
    assert (await change(parts, A, B)).view.absent == (C,)


@on_virtual_time
async def test_gone_for_good_leaves_electors_out() -> None:
    parts = await of_three()
    await unsure_of(parts, A, B, C)
    peers_of(parts, B)
    assert (await change(parts, A, B, gone_for_good=True)).view.electors == ()


@on_virtual_time
async def test_gone_for_good_makes_a_view_of_the_same_nodes_if_that_in_force_is_not_established() -> None:
    parts = await of_three()
    await unsure_of(parts, A, B)
    old = parts.views.current
    peers_of(parts, B)
    assert (await change(parts, A, B)).view is old
    view = (await change(parts, A, B, gone_for_good=True)).view
    assert (view.epoch, view.nodes, view.electors) == (old.epoch + 1, old.nodes, ())
    assert (await change(parts, A, B, gone_for_good=True)).view is view


@on_virtual_time
async def test_gone_for_good_does_nothing_if_the_view_in_force_is_established() -> None:
    parts = await of_three()
    await unsure_of(parts, A, B)
    old = parts.views.current
    await parts.views.standing.note_established(old)
    peers_of(parts, B)
    assert (await change(parts, A, B, gone_for_good=True)).view is old


@on_virtual_time
async def test_gone_for_good_holds_for_a_change_that_is_taken_back() -> None:
    parts = await of_three()
    peers = peers_of(parts, B, C)
    await change(parts, A, B)
    for peer in peers:
        peer.supports = False
    peers[1].handing = (Owed(B, 1, 1),)
    taken_back = await Coordinating(parts).coordinator.change(TakeBack(gone_for_good=True))
    assert taken_back.view.nodes == {A, B, C} and taken_back.view.electors == ()


def told(peer: Peer) -> bool:
    return Confirm(True) in peer.asked


@pytest.mark.parametrize("supports", [True, False])
@on_virtual_time
async def test_change_tells_all_who_waited_for_it_that_it_is_established(supports: bool) -> None:
    """Some of those who make it so may be about to leave for good."""
    parts = await of_three()
    b, c = peers_of(parts, B, C)
    b.supports = c.supports = supports
    view = (await change(parts, A, B)).view
    await parts.confirming.await_established()
    assert parts.views.standing.is_established(view) is supports
    assert told(b) is told(c) is supports
