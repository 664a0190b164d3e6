"""A peer that is farther away than is made for is a line when it is found to be, and one when it is not any more."""

from __future__ import annotations

import pytest

from node.net.distances import Distances
from tests.node.samples import CONFIG


def test_distances_one_line_a_peer_until_it_is_near_again(caplog: pytest.LogCaptureFixture) -> None:
    distances = Distances(CONFIG)
    with caplog.at_level("INFO"):
        for distance_s in (None, 0.08, 0.3, 0.09, None, None, 0.1):
            distances.note("b:1", distance_s)
        distances.note("c:1", 0.2)
    told = "and this node is made for 50: set ROUND_TRIP_MS on all nodes"
    assert caplog.messages == [
        f"a round trip to b:1 takes 80 ms, {told}",
        "a round trip to b:1 takes no longer than 50 ms again",
        f"a round trip to b:1 takes 100 ms, {told}",
        f"a round trip to c:1 takes 200 ms, {told}",
    ]
