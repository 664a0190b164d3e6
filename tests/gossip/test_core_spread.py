"""How fast changes reach all of a cluster that loses a tenth of its messages: in O(log n) rounds."""

from __future__ import annotations

import math

import pytest

from gossip.membership import State
from gossip.messages import MESSAGE_BYTES_MAX
from gossip.view import ViewId
from tests.gossip.network import Network, addresses
from tests.gossip.one_node import states


@pytest.mark.parametrize(("count", "seed"), [(2, 1), (4, 2), (10, 3), (30, 4), (100, 5)])
def test_new_view_reaches_all_in_log_n_rounds(count: int, seed: int) -> None:
    net = Network(count, seed, loss=0.1)
    everybody = addresses(count)
    net.adopt(ViewId(2, 5), everybody, everybody[:1])
    net.until(lambda: all(view_id == (2, 5) for view_id in net.view_ids.values()), within=3 * math.log2(count) + 1)


@pytest.mark.parametrize(("count", "seed"), [(4, 2), (10, 3), (30, 4), (100, 5)])
def test_death_is_known_to_all_in_log_n_rounds_and_nobody_else_dies(count: int, seed: int) -> None:
    net = Network(count, seed, loss=0.1, by_wire=count < 100)
    net.introduce()
    net.run(5)
    victim = addresses(count)[-1]
    net.down.add(victim)
    net.until(lambda: net.all_see(victim, State.DEAD), within=max(15, 6 * math.log2(count)))
    others = [address for address in addresses(count) if address != victim]
    assert all(net.all_see(address, State.ALIVE) for address in others)


def test_change_of_a_record_reaches_all_in_log_n_rounds() -> None:
    net = Network(60, seed=1, loss=0.1)
    net.introduce()
    net.run(30)
    changed = net.nodes[addresses(60)[7]]
    changed.update(settled_epoch=1, key_count=123)
    net.until(
        lambda: all(n.members[changed.record.address].record == changed.record for n in net.up()),
        within=3 * math.log2(60),
    )


def test_cluster_started_cold_gets_to_know_itself() -> None:
    net = Network(100, seed=1, loss=0.1)
    net.until(
        lambda: all(set(states(node).values()) == {State.ALIVE} for node in net.up()),
        within=3 * math.log2(100),
    )
    assert net.largest <= MESSAGE_BYTES_MAX
