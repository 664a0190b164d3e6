"""What a node does about rumours: refutes and overrules them, tells them first to the accused, and stops telling."""

from __future__ import annotations

import math
from random import Random

import pytest

from gossip.membership import State
from gossip.messages import Delta, Rumour
from gossip.view import ViewId
from tests.gossip.network import SETTINGS, Network, addresses
from tests.gossip.one_node import STEP_S, gossip, ping, sent, states


@pytest.mark.parametrize("dead", [False, True])
def test_rumour_against_oneself_is_refuted_in_the_answer(dead: bool) -> None:
    node = gossip()
    output = node.receive("b:1", ping("b:1", Rumour("a:1", 4, dead)), 0.0)
    assert output.incarnation == 5
    assert sent(output, "b:1", Delta).record.incarnation == 5
    assert node.receive("b:1", ping("b:1", Rumour("a:1", 4, dead)), 0.0).incarnation is None


def test_rumour_is_told_first_to_the_one_it_is_about() -> None:
    node = gossip()
    rumours = [Rumour(address, 1, dead=True) for address in ("c:1", "d:1", "b:1")]
    answer = sent(node.receive("b:1", ping("b:1", *rumours), 0.0), "b:1", Delta)
    assert answer.rumours[0] == Rumour("b:1", 1, dead=True)
    assert node.members["b:1"].state is State.ALIVE, "it has just spoken"


def test_heard_elsewhere_overrules_and_has_the_node_told_next_round() -> None:
    node = gossip()
    node.receive("b:1", ping("b:1", Rumour("d:1", 1, dead=True)), 0.0)
    assert states(node)["d:1"] is State.DEAD
    node.hear("d:1")
    node.hear("nobody:1")
    assert states(node)["d:1"] is State.ALIVE
    sends = node.start_round(STEP_S, Random(1)).sends
    assert any(to == "d:1" and Rumour("d:1", 1, dead=True) in message.rumours for to, message in sends)


def test_rumour_is_told_a_bounded_number_of_times() -> None:
    node = gossip()
    rumour = Rumour("d:1", 1, dead=True)
    node.receive("b:1", ping("b:1", rumour), 0.0)
    answers = [sent(node.receive("c:1", ping("c:1"), 0.0), "c:1", Delta) for _ in range(50)]
    told = 1 + sum(rumour in answer.rumours for answer in answers)
    assert told == SETTINGS.tellings_max(len(node.members))


def test_suspicion_of_a_node_that_lives_is_refuted_for_all() -> None:
    net = Network(30, seed=3, loss=0.1)
    net.introduce()
    accuser, accused = addresses(30)[:2]
    net.nodes[accuser].receive(
        accuser,
        Delta(ViewId(1, 1), net.nodes[accuser].record, (Rumour(accused, 1, dead=False),), (), ()),
        net.now,
    )
    assert net.nodes[accuser].members[accused].state is State.SUSPECT
    net.until(
        lambda: (
            all(n.members[accused].record == net.nodes[accused].record for n in net.up())
            and net.nodes[accused].record.incarnation == 2
        ),
        within=4 * math.log2(30),
    )
    assert net.all_see(accused, State.ALIVE)
