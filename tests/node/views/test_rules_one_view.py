"""Nodes without keys come to one view, though one of them was told another: tables, and a law of all that it may have
been told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations

import pytest

from gossip.view import Address, View
from node.views.rules import Heard, Succession, ViewHolder, decide_succession
from tests.node.views.bench import A, B, C, D, environment
from tests.node.views.holders import MINE, heard, holder

NODES: tuple[Address, ...] = ("n1:1", "n2:1", "n3:1", "n4:1", "n5:1")
TOLD = NODES[:4]
"""What all but one were told; so the fifth forwards to them."""
TALKS_MAX = 60
ROUNDS_MAX = 10

view_of = cache(environment)


@pytest.mark.parametrize(
    "followed", [None, D], ids=["its own environment's", "told by a node that is not in it either"]
)
@pytest.mark.parametrize("others", [(A, B), (A,), (B,), (B, "e:1"), (B, "f:1")], ids=",".join)
def test_succession_environment_view_that_omits_its_holder_gives_way_to_who_is_in_one_or_takes_it_in(
    followed: Address | None, others: tuple[Address, ...]
) -> None:
    """Whatever the digests: it only says where the store is."""
    theirs = heard(environment(C, *others), B)
    assert decide_succession(holder(environment(B, "z:1"), followed=followed), theirs) is Succession.TAKE


@pytest.mark.parametrize("others", [(C,), (D,), (C, D), ("e:1",), ("f:1",)])
def test_succession_two_environment_views_that_omit_their_holders_higher_digest_wins(
    others: tuple[Address, ...],
) -> None:
    mine, theirs = environment(B, C, "z:1"), environment("y:1", *others)
    takes = decide_succession(holder(mine), heard(theirs, B)) is Succession.TAKE
    assert takes == (theirs.id > mine.id)


@pytest.mark.parametrize("others", [(A, B), (B,), (B, "e:1"), (B, "f:1")], ids=",".join)
def test_succession_environment_view_told_by_a_node_of_it_is_kept(others: tuple[Address, ...]) -> None:
    """Or who is told two by nodes that do not agree would go to and fro."""
    me = holder(environment(C), followed=C)
    assert decide_succession(me, heard(environment(D, *others), B)) is Succession.KEEP


@pytest.mark.parametrize("founders", [(B, C), (B,)], ids=len)
def test_succession_guest_of_a_store_goes_with_no_environment_that_takes_it_in(founders: tuple[Address, ...]) -> None:
    me = holder(environment(B, C), founders)
    assert decide_succession(me, heard(environment(A, B), B)) is Succession.KEEP


@pytest.mark.parametrize(
    ("theirs", "is_shared", "expected"),
    [
        pytest.param((C,), True, Succession.KEEP, id="a node that is not in what it tells, and others are of one mind"),
        pytest.param((C, D), True, Succession.KEEP, id="... whatever the digest"),
        pytest.param((A, "e:1"), True, Succession.KEEP, id="... and names this one"),
        pytest.param((A, "f:1"), True, Succession.KEEP, id="... whatever the digest of that"),
        pytest.param((C,), False, Succession.TAKE, id="nobody else was heard to hold the view that is held"),
        pytest.param((B, C), True, Succession.TAKE, id="a node that is in what it tells"),
    ],
)
def test_succession_environment_view_that_is_shared_gives_way_to_no_hearsay(
    theirs: tuple[Address, ...], is_shared: bool, expected: Succession
) -> None:
    stores = {B: environment(*theirs).id.digest, C: MINE.lineage_of_successor if is_shared else 7}
    assert decide_succession(holder()._replace(stores=stores), heard(environment(*theirs), B)) is expected


class Cluster:
    """Of nodes that tell each other their views."""

    def __init__(self) -> None:
        self.holders = {node: _holder(node, TOLD) for node in NODES}

    def restart(self, node: Address, told: tuple[Address, ...]) -> None:
        """With an empty disk."""
        self.holders[node] = _holder(node, told)

    def talk(self, one: Address, other: Address) -> bool:
        """As a greeting and its answer. Whether anybody has taken a view."""
        took = self._hear(other, one)
        return self._hear(one, other) or took

    def views(self) -> set[View]:
        return {holder.view for holder in self.holders.values()}

    def _hear(self, node: Address, source: Address) -> bool:
        holder, theirs = self.holders[node], self.holders[source].view
        holder = self.holders[node] = holder._replace(stores={**holder.stores, source: theirs.lineage_of_successor})
        if decide_succession(holder, Heard(theirs, frozenset(), source)) is not Succession.TAKE:
            return False
        self.holders[node] = holder._replace(view=theirs, followed=source)
        return True


def _holder(node: Address, told: tuple[Address, ...]) -> ViewHolder:
    view = view_of(*told)
    return ViewHolder(node, view.nodes - {node}, view, frozenset(), False, None, True)


def wrong_views(node: Address) -> Iterator[tuple[Address, ...]]:
    """Each that names another node, and one that does not exist."""
    for number in range(1, len(NODES) + 1):
        for named in combinations(NODES, number):
            if named != (node,):
                for nobody in ("x1:1", "x2:1"):
                    yield (*named, nobody)


@pytest.mark.parametrize("node", NODES)
def test_nodes_without_keys_come_to_one_view_whatever_one_of_them_was_told(node: Address) -> None:
    rng = random.Random(node)
    for told in wrong_views(node):
        cluster = Cluster()
        cluster.restart(node, told)
        for _ in range(rng.randint(0, TALKS_MAX)):
            cluster.talk(*rng.sample(NODES, 2))
        pairs = list(permutations(NODES, 2))
        for _ in range(ROUNDS_MAX):
            rng.shuffle(pairs)
            if not sum(cluster.talk(*pair) for pair in pairs):
                break
        assert len(cluster.views()) == 1, f"{node} was told {told}"
