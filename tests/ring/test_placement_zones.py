"""Placements with zones: copies apart wherever they can be, and for the rest what they are without."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring.hashing import PARTITIONS
from ring.placement import Placement, first_placement, next_placement
from ring.zones import crowded
from tests.ring.placements import ALPHABET, check, factors, histories, memberships, moved


def zones_of(nodes: str) -> dict[str, str]:
    """Of "Aa Bb": two nodes in the zone of each capital."""
    return {f"{group[0]}{name}": group[0] for group in nodes.split() for name in group[1:]}


def shown(placement: Placement) -> str:
    return " ".join("-".join(replicas) for replicas in placement.shards)


def shared(placement: Placement, zones: dict[str, str]) -> object:
    return crowded([zones.get(node, node) for node in replicas] for replicas in placement.shards)


@pytest.mark.parametrize(
    ("nodes", "factor", "shards"),
    [
        ("A12 B12", 2, "A1-B1 B2-A2"),  # one of each zone is first, or one would get all requests
        ("A12 B12", 1, "A1 A2 B1 B2"),
        ("A12 B12", None, "A1 A2 B1 B2"),
        ("A12 B12", 4, "A1-A2-B1-B2"),
        ("A123 B1", 2, "A1-A2 A3-B1"),
        ("A12 B12 C12", 2, "B1-C1 A1-B2 C2-A2"),
        ("A12 B12 C12", 3, "A1-B1-C1 B2-A2-C2"),
        ("A1 B1 C1 D1", 2, "A1-B1 C1-D1"),
    ],
)
def test_first_placement_of_zones(nodes: str, factor: int | None, shards: str) -> None:
    zones = zones_of(nodes)
    assert shown(first_placement(zones, factor, zones)) == shards


@pytest.mark.parametrize(
    ("before", "nodes", "factor", "shards"),
    [
        ("A12 B12", "A123 B123", 2, "A1-B1 B2-A2 A3-B3"),  # two more, in zones of their own: nothing moves
        ("A12 B12", "A12 B12 C12", 2, "A1-B1 B2-C1 C2-A2"),  # the newcomers share a zone, so one copy has to move
        ("A12 B12", "A12 B1 C1", 2, "A1-B1 A2-C1"),
        ("A12 B12", "A2 B12", 2, "B2-A2-B1"),
        ("A12 B12", "A12 B12 X1", 2, "A1-B1-X1 B2-A2"),
    ],
)
def test_next_placement_of_zones(before: str, nodes: str, factor: int, shards: str) -> None:
    old, zones = zones_of(before), zones_of(nodes)
    first = first_placement(old, 2, old)
    assert shown(next_placement(first, zones, factor, zones)) == shards


def test_next_placement_of_zones_that_have_changed_moves_only_what_stands_together() -> None:
    """Two racks instead of four hosts; one copy of each of the two shards that are in one rack changes places."""
    first = first_placement("abcdefgh", 2)
    assert shown(first) == "a-b c-d e-f g-h"
    racks = dict(zip("abcdefgh", "XXYYXYXY", strict=True))
    new = next_placement(first, "abcdefgh", 2, racks)
    assert (shown(new), new.table) == ("a-d c-b e-f g-h", first.table)


@st.composite
def zoned(draw: st.DrawFn) -> dict[str, str]:
    return {node: draw(st.sampled_from("VWXYZ"[: draw(st.integers(1, 5))])) for node in ALPHABET}


@given(histories(), memberships, factors, zoned())
def test_next_placement_any_zones_is_even_complete_and_spread(
    old: Placement, members: str, factor: int | None, zones: dict[str, str]
) -> None:
    new = next_placement(old, members, factor, zones)
    check(new, members, factor)
    assert shared(new, zones) == {}


@given(histories(), memberships, factors, zoned())
def test_next_placement_zones_again_changes_nothing(
    old: Placement, members: str, factor: int | None, zones: dict[str, str]
) -> None:
    new = next_placement(old, members, factor, zones)
    assert next_placement(new, members, factor, zones) == new


@given(histories(), memberships, factors, zoned(), st.randoms(use_true_random=False))
def test_next_placement_zones_order_of_nodes_does_not_count(
    old: Placement, members: str, factor: int | None, zones: dict[str, str], rng: random.Random
) -> None:
    shuffled = list(members)
    rng.shuffle(shuffled)
    turned = dict(sorted(zones.items(), reverse=True))
    assert next_placement(old, shuffled, factor, turned) == next_placement(old, members, factor, zones)


@given(histories(), memberships, factors, zoned())
def test_next_placement_without_zones_is_that_of_nodes_that_fail_alone(
    old: Placement, members: str, factor: int | None, zones: dict[str, str]
) -> None:
    """And so it is with any zones in which it is spread as it is."""
    plain = next_placement(old, members, factor)
    assert next_placement(old, members, factor, {node: node for node in members}) == plain
    if not shared(plain, zones):
        assert next_placement(old, members, factor, zones) == plain


@given(histories(), memberships, factors, zoned())
def test_next_placement_with_zones_keeps_the_first_replicas_that_it_can(
    old: Placement, members: str, factor: int | None, zones: dict[str, str]
) -> None:
    """What stays of a shard stays in its order. A shard that is new begins with whom its zones want, though all of it
    may come from one former shard."""
    new = next_placement(old, members, factor, zones)
    for former in old.shards:
        first = next((node for node in former if node in members), None)
        for replicas in new.shards:
            if replicas[0] == first:
                stayed = [node for node in former if node in replicas]
                assert [node for node in replicas if node in stayed] == stayed


def test_next_placement_with_zones_new_shard_begins_with_the_zone_that_is_first_nowhere() -> None:
    old = Placement((("m", "d", "j", "k", "p"),), bytes(2 * PARTITIONS))
    zones = {"d": "W", "j": "V", "k": "W", "m": "V", "p": "W"}
    assert next_placement(old, "djkmp", 2, zones).shards == (("m", "d", "k"), ("p", "j"))


@pytest.mark.parametrize(("copies", "per_host"), [(2, 2), (3, 2), (3, 3)])
def test_next_placement_hosts_come_and_go_within_bounds(copies: int, per_host: int) -> None:
    """Up to dozens of shards and down again, one node after the other, host by host."""
    rng = random.Random(7)
    nodes = [f"h{number // per_host:02}:{number % per_host}" for number in range(90)]
    members = nodes[:copies]
    zones = {node: node.partition(":")[0] for node in nodes}
    placement = first_placement(members, copies, zones)
    for joining in [*nodes[copies:], *[None] * (len(nodes) - 1)]:
        if joining is None:
            members.remove(rng.choice(members))
        else:
            members.append(joining)
        old, placement = placement, next_placement(placement, members, copies, zones)
        check(placement, members, copies)
        assert shared(placement, zones) == {}
        share = math.ceil(PARTITIONS / max(len(old.shards), len(placement.shards)))
        assert moved(old, placement) <= share
