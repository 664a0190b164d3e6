"""Ways between nodes that are long, slow, or lose what is large."""

from __future__ import annotations

from node.net import lanes
from node.net.link_state import LinkState
from node.net.round_trips import RoundTrips
from node.replication.peer_state import PeerState
from node.views.calls import Calls
from tests.sim.ablations.switch import Ablation, Edit

ABLATIONS = (
    Ablation(
        "no way apart for what is large",
        "a large request, and a large answer, travel with pings and heartbeats",
        (Edit(lanes.call, "bytes_ <= LARGE_BYTES", "True"), Edit(lanes.fit, "is_small and", "False and")),
        "test_distances.py::test_large_values_on_slow_links_are_on_all_copies_when_they_are_acknowledged[2]",
    ),
    Ablation(
        "no time for bytes",
        "what is large has no more time than what is small",
        (Edit(lanes.carry, " + config.carry_s(bulk.bytes_on_the_way)", ""),),
        "test_distances.py::test_large_values_on_slow_links_are_on_all_copies_when_they_are_acknowledged[2]",
    ),
    Ablation(
        "no pings beside what is large",
        "a peer that falls silent while something large is on its way to it is not found out",
        (Edit(LinkState.watch, "self._start_pings(now)", "pass"),),
        "../node/net/test_lanes.py::test_lanes_peer_that_falls_silent_ends_what_is_on_its_way_to_it",
    ),
    Ablation(
        "no pings of a new connection",
        "how far a peer is, nobody learns who only gossips with it",
        (Edit(LinkState.connected, "self._start_pings(now)", "pass"),),
        "../node/net/test_link_state_distance.py"
        "::test_link_each_connection_is_pinged_until_it_is_known_how_far_the_peer_is",
    ),
    Ablation(
        "no silence of its own for who is far",
        "a peer that is farther away than is made for is judged by the silence of nearer ones",
        (Edit(RoundTrips._judge_by, "self._config.silence_over(round_trip_s)", "self._config.silence_s"),),
        "../node/net/test_link_state_distance.py"
        "::test_link_far_peer_has_the_time_of_its_own_round_trip_before_it_counts_as_silent",
    ),
    Ablation(
        "no shorter lease of the two",
        "a lease counts for as long as its holder goes by one, be its giver made for shorter ways",
        (Edit(PeerState.become_leased, "min(lease_s, self._lease_s)", "self._lease_s"),),
        "../node/replication/test_peer_state.py"
        "::test_peer_state_lease_counts_for_no_longer_than_either_side_goes_by_it[0.2-0.2]",
    ),
    Ablation(
        "no word of what is too large to come through",
        "who has something large that does not come through counts as silent",
        (
            Edit(
                Calls.ask_patiently,
                "except LargeLate:\n            raise",
                "except LargeLate:\n            break",
            ),
        ),
        "../node/operations/test_owner_co_owners.py"
        "::test_read_passes_nobody_over_whose_record_is_too_large_to_come_through",
    ),
)
