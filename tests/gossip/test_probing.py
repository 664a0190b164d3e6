"""How a silent node comes to be suspected, and how indirect probes by others confirm or prevent that."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossip.membership import State
from gossip.messages import Delta, Digest, PingAck, PingReq, Rumour
from gossip.view import Address
from tests.gossip.network import SETTINGS, Network, addresses
from tests.gossip.one_node import STEP_S, VIEW_ID, gossip, ping, record, sent, states


def test_probe_direct_then_with_helpers_then_suspect_then_dead() -> None:
    node = gossip(nodes=frozenset(["a:1", "b:1", "c:1", "d:1", "e:1"]), known="bcde")
    asked_for_b: set[Address] = set()
    seen: list[State] = []
    for i in range(1, 30):
        now = i * STEP_S
        output = node.start_round(now, Random(i))
        asked_for_b |= {to for to, message in output.sends if isinstance(message, PingReq)}
        for peer in ("c:1", "d:1", "e:1"):
            node.receive(peer, Delta(VIEW_ID, record(peer), (), (), ()), now)
        state = node.members["b:1"].state
        if not seen or seen[-1] is not state:
            seen.append(state)
    assert asked_for_b == {"c:1", "d:1", "e:1"}
    assert seen == [State.ALIVE, State.SUSPECT, State.DEAD]
    assert [a for a, state in states(node).items() if state is not State.ALIVE] == ["b:1"]


def test_ping_req_is_run_and_its_success_reported_once() -> None:
    node = gossip()
    output = node.receive("b:1", PingReq(VIEW_ID, record("b:1"), (), "c:1"), 0.0)
    assert sent(output, "c:1", Digest).held == ()
    answer = node.receive("c:1", Delta(VIEW_ID, record("c:1"), (), (), ()), 0.1)
    assert sent(answer, "b:1", PingAck).target == "c:1"
    assert node.receive("c:1", Delta(VIEW_ID, record("c:1"), (), (), ()), 0.1).sends == ()


def test_ping_req_answered_too_late_is_not_reported() -> None:
    node = gossip()
    node.receive("b:1", PingReq(VIEW_ID, record("b:1"), (), "c:1"), 0.0)
    assert node.receive("c:1", Delta(VIEW_ID, record("c:1"), (), (), ()), 99.0).sends == ()


@pytest.mark.parametrize("target", ["a:1", "nobody:1"])
def test_ping_req_for_oneself_or_an_unknown_node_is_ignored(target: Address) -> None:
    assert gossip().receive("b:1", PingReq(VIEW_ID, record("b:1"), (), target), 0.0).sends == ()


def test_ping_req_indirect_probes_pending_are_bounded() -> None:
    node = gossip(replace(SETTINGS, indirect_probes_max=2))
    requesters = [f"{name}:1" for name in "bdef"]
    outputs = [node.receive(r, PingReq(VIEW_ID, record(r), (), "c:1"), 0.0) for r in requesters]
    assert [len(output.sends) for output in outputs] == [1, 1, 0, 0]
    node.check()


def test_ping_ack_that_nobody_waits_for_is_stale() -> None:
    node = gossip()
    node.receive("b:1", ping("b:1", Rumour("c:1", 1, dead=True)), 0.0)
    node.receive("b:1", PingAck(VIEW_ID, record("b:1"), (), "c:1"), 0.0)
    node.receive("b:1", PingAck(VIEW_ID, record("b:1"), (), "nobody:1"), 0.0)
    assert node.members["c:1"].state is State.DEAD


def test_node_that_only_one_cannot_reach_is_not_suspected() -> None:
    net = Network(6, seed=1)
    net.introduce()
    one, other = addresses(6)[:2]
    net.deaf |= {(one, other), (other, one)}
    for _ in range(100):
        net.round()
        assert net.all_see(other, State.ALIVE)


def test_node_that_only_one_cannot_reach_is_suspected_without_helpers() -> None:
    net = Network(6, seed=1, settings=replace(SETTINGS, probe_helpers=0))
    net.introduce()
    one, other = addresses(6)[:2]
    net.deaf |= {(one, other), (other, one)}
    net.until(lambda: net.nodes[one].members[other].state is State.SUSPECT, within=100)
