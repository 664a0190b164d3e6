"""What a co-owner answers to a question for a lease."""

from __future__ import annotations

from node.replication.peer_state import LeaseAnswer, PeerState
from tests.node.fakes.peers import THEIR_ID
from tests.node.parts import Parts


def state_of(parts: Parts, peer: str) -> PeerState:
    state = parts.co_owners.get(peer)
    assert state is not None
    return state


def answered(
    parts: Parts, peer: str, lease: LeaseAnswer, is_empty: bool = False, may_lack: bool = False, ago_s: float = 0.0
) -> bool:
    """`peer` answers a question for a lease that was sent so long ago."""
    sent_at = parts.time.monotonic() - ago_s
    state, lease_s = state_of(parts, peer), parts.config.lease_s
    return parts.co_owners.hear_answer(state, sent_at, THEIR_ID, is_empty, may_lack, lease, lease_s)
