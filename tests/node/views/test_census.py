"""What gossip last heard of the keys of each node."""

from __future__ import annotations

from gossip.view import ViewId
from node.views.census import Estimate, LastHeard, who_bring
from tests.node.views.bench import A, B, C, D

VIEW, OTHER = ViewId(3, 7), ViewId(3, 8)


def test_census_count_of_none_is_believed_only_under_the_view_that_was_settled() -> None:
    assert LastHeard(0, 0, VIEW).under(VIEW) == Estimate(0, 0)
    assert LastHeard(0, 0, OTHER).under(VIEW) == Estimate(None, None)
    assert LastHeard(5, 2, OTHER).under(VIEW) == Estimate(5, 2)


def test_census_who_brings_is_there_and_has_something_for_others() -> None:
    census = {
        A: LastHeard(9, 0, VIEW),
        B: LastHeard(9, 1, VIEW),
        C: LastHeard(0, 4, OTHER, is_well=False),
        D: LastHeard(0, 4, OTHER),
    }
    assert who_bring(census) == {B, D}
