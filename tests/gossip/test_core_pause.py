"""A node that was paused blames nobody for it, and is not blamed at once."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossip.membership import State
from gossip.messages import Rumour
from gossip.settings import Settings
from tests.gossip.network import SETTINGS, Network, addresses
from tests.gossip.one_node import STEP_S, gossip, ping, states


def rounds_until_suspicion(settings: Settings, pause_after: int, pause_s: float) -> int:
    """Of two nodes the other is silent: the rounds until it is suspected, one of which comes `pause_s` late."""
    node = gossip(settings, nodes=frozenset(["a:1", "b:1"]), known="b")
    now = 0.0
    for i in range(1, 100):
        now += STEP_S + (pause_s if i == pause_after else 0.0)
        node.start_round(now, Random(i))
        if node.members["b:1"].state is State.SUSPECT:
            return i
    raise AssertionError("never suspected")


def test_own_pause_makes_nobody_a_suspect() -> None:
    undisturbed = rounds_until_suspicion(SETTINGS, 0, 0.0)
    assert rounds_until_suspicion(SETTINGS, undisturbed - 1, 1.0) >= 2 * (undisturbed - 1)


def test_own_pause_makes_a_suspect_without_that_rule() -> None:
    careless = replace(SETTINGS, pause_rounds=1e9)
    undisturbed = rounds_until_suspicion(careless, 0, 0.0)
    assert rounds_until_suspicion(careless, undisturbed - 1, 1.0) == undisturbed - 1


@pytest.mark.parametrize(("pause_rounds", "state"), [(2.0, State.SUSPECT), (1e9, State.DEAD)])
def test_own_pause_does_not_ripen_a_suspicion(pause_rounds: float, state: State) -> None:
    node = gossip(replace(SETTINGS, pause_rounds=pause_rounds))
    node.start_round(STEP_S, Random(1))
    node.receive("c:1", ping("c:1", Rumour("b:1", 1, dead=False)), STEP_S)
    node.start_round(STEP_S + 5.0, Random(2))
    assert node.members["b:1"].state is state


@pytest.mark.parametrize("round_first", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_node_paused_for_a_second_suspects_nobody_and_is_not_suspected(seed: int, round_first: bool) -> None:
    net = Network(5, seed)
    net.introduce()
    net.run(6)
    slow = addresses(5)[2]
    net.pause(slow)
    net.run(4)
    net.resume(slow, round_first=round_first)
    for _ in range(12):
        assert all(set(states(node).values()) == {State.ALIVE} for node in net.up())
        net.round()
