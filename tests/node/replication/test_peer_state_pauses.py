"""What a pause makes of leases: this node cannot tell how long it lasted."""

from __future__ import annotations

from node.replication.peer_state import NEVER, PeerState

LEASE_S, NOW = 0.4, 100.0


def test_peer_state_lease_that_was_asked_for_before_a_pause_does_not_count() -> None:
    """The answer may have been on its way for as long as the machine was suspended, and its clock with it."""
    state = PeerState("b:1", NOW - 10, LEASE_S, owing_s=0.1)
    state.hear(7, False, NOW - 1)
    state.drop_lease(NOW)
    state.become_leased(NOW, LEASE_S)
    assert state.leased_until == NEVER
    state.become_leased(NOW + 0.001, LEASE_S)
    assert state.leased_until == NOW + 0.001 + LEASE_S
