"""Nodes that die, return, are cut off or removed, and how a small cluster comes to see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gossip.membership import State
from gossip.view import ViewId
from tests.gossip.network import SETTINGS, Network, addresses
from tests.gossip.one_node import states


@pytest.mark.parametrize("seed", range(3))
def test_loss_of_messages_kills_nobody(seed: int) -> None:
    net = Network(10, seed, loss=0.1)
    net.introduce()
    for _ in range(150):
        net.round()
        assert State.DEAD not in {state for node in net.up() for state in states(node).values()}


@pytest.mark.parametrize(
    ("incarnation", "store_id", "ends_at"),
    [(2, 7, 2), (1, 99, 2), (1, 7, 1)],
    ids=["restart", "emptied", "cut"],
)
def test_dead_node_that_returns_is_alive_for_all(incarnation: int, store_id: int, ends_at: int) -> None:
    net = Network(10, seed=1)
    net.introduce()
    back = addresses(10)[3]
    net.down.add(back)
    net.until(lambda: net.all_see(back, State.DEAD), within=20)
    net.start(back, incarnation, store_id).set_view(ViewId(1, 1), net.views[ViewId(1, 1)])
    net.until(lambda: net.all_see(back, State.ALIVE), within=8)
    net.run(8)
    record = net.nodes[back].record
    assert record.store_id == store_id and record.incarnation >= ends_at
    assert all(node.members[back].record == record for node in net.up())


def test_cut_and_healed_halves_find_each_other_again() -> None:
    net = Network(8, seed=1)
    net.introduce()
    left, right = addresses(8)[:4], addresses(8)[4:]
    net.deaf |= {(a, b) for a in left for b in right} | {(b, a) for a in left for b in right}
    net.until(
        lambda: (
            all(net.nodes[a].members[b].state is State.DEAD for a in left for b in right)
            and all(net.nodes[b].members[a].state is State.DEAD for a in left for b in right)
        ),
        within=60,
    )
    net.adopt(ViewId(2, 1), left + right, left)
    net.deaf.clear()
    net.until(
        lambda: (
            all(view_id == (2, 1) for view_id in net.view_ids.values())
            and all(net.all_see(address, State.ALIVE) for address in net.nodes)
        ),
        within=12,
    )


@pytest.mark.parametrize("knows_others", [True, False])
def test_removed_node_learns_the_new_view_when_it_returns(knows_others: bool) -> None:
    net = Network(5, seed=1, loss=0.1)
    net.introduce()
    removed, *rest = addresses(5)
    net.down.add(removed)
    net.until(lambda: net.all_see(removed, State.DEAD), within=20)
    net.adopt(ViewId(2, 1), rest, rest)
    net.run(400)
    assert net.all_see(removed, State.DEAD), "unsettled, so it is not forgotten"
    net.start(removed, incarnation=2).set_view(ViewId(1, 1), rest if knows_others else ())
    net.until(lambda: net.view_ids[removed] == (2, 1), within=8)
    net.until(lambda: net.all_see(removed, State.ALIVE), within=8)


def test_removed_node_that_settled_and_died_is_forgotten_by_all_for_good() -> None:
    net = Network(5, seed=1, settings=replace(SETTINGS, forget_settled_s=5.0))
    net.introduce()
    removed, *rest = addresses(5)
    net.adopt(ViewId(2, 1), rest, net.nodes)
    net.nodes[removed].update(settled_epoch=2, key_count=0)
    net.run(10)
    assert net.all_see(removed, State.ALIVE), "as long as it lives"
    net.down.add(removed)
    net.until(lambda: all(removed not in node.members for node in net.up()), within=60)
    for _ in range(60):
        net.round()
        assert all(removed not in node.members for node in net.up())
