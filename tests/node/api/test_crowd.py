"""Whose turn it is among those who dial: nobody waits for a crowd from elsewhere."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from node.api.crowd import Crowd

NETWORKS = st.sampled_from("abc")


def taken(crowd: Crowd[str]) -> list[str]:
    return [crowd.take() for _ in range(len(crowd))]


def test_crowd_of_one_network_goes_in_order() -> None:
    crowd = Crowd[str](10)
    assert [crowd.add(one, "a") for one in ("1", "2", "3")] == [None] * 3
    assert taken(crowd) == ["1", "2", "3"]


def test_crowd_from_elsewhere_is_not_waited_for() -> None:
    crowd = Crowd[str](1000)
    for number in range(500):
        crowd.add(f"a{number}", "a")
    crowd.add("b0", "b")
    crowd.add("b1", "b")
    assert taken(crowd)[:5] == ["a0", "b0", "a1", "b1", "a2"]


def test_crowd_that_is_too_large_loses_the_oldest_of_the_network_with_most() -> None:
    crowd = Crowd[str](4)
    for one in ("b0", "a0", "a1", "a2"):
        assert crowd.add(one, one[0]) is None
    assert crowd.add("c0", "c") == "a0"
    assert crowd.add("a3", "a") == "a1"
    assert sorted(taken(crowd)) == ["a2", "a3", "b0", "c0"]


@given(st.lists(st.one_of(NETWORKS, st.none()), max_size=60), st.integers(1, 8))
def test_crowd_law_nobody_is_forgotten_and_the_bound_is_kept(steps: list[str | None], most: int) -> None:
    """`None`: one is taken."""
    crowd, inside, number = Crowd[tuple[str, int]](most), set[tuple[str, int]](), 0
    for step in steps:
        if step is None:
            if inside:
                inside.remove(crowd.take())
            continue
        number += 1
        one = (step, number)
        before = Counter(network for network, _ in (*inside, one))
        inside.add(one)
        if (gone := crowd.add(one, step)) is not None:
            assert before[gone[0]] == max(before.values())
            inside.remove(gone)
        assert len(crowd) == len(inside) <= most
    assert {crowd.take() for _ in range(len(crowd))} == inside
