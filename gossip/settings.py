"""How fast gossip goes, how patient it is, how much it may hold: the numbers of this package, with their
reasons.

They are fixed while a node runs, and need not be equal on all nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gossip.messages import MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    interval_s: float = 0.25
    """Time from one round to the next."""
    jitter: float = 0.2
    """Share of the interval by which a round comes early or late: nodes started together drift apart."""
    fanout: int = 2
    """Peers that get a digest each round. One in turn, which finds every failure; the others by chance, which
    spreads news fastest."""
    message_bytes_max: int = MESSAGE_BYTES_MAX
    """Bound of one encoded message, whatever the size of the cluster."""
    digest_sample: int = 64
    """Nodes that a digest names besides those that changed lately: they repair what was lost. Clusters up to
    this size are named whole."""

    probe_timeout_s: float = 0.4
    """Time that a peer has to answer one attempt: two rounds, a hundred times a local round trip."""
    probe_attempts: int = 3
    """Unanswered attempts until a peer is suspected. With 10% loss, two would suspect somebody every round at
    a thousand nodes."""
    probe_helpers: int = 3
    """Peers asked to probe on our behalf with the second attempt and every later one, lest it is only our
    link that is cut."""
    suspicion_rounds: float = 2.0
    """Rounds from suspicion to death, times log2 of the cluster: the time for the suspicion to arrive and its
    denial to come back."""
    pause_rounds: float = 2.0
    """More than this between two rounds of ours means that this node was paused: the silence was our own, so nobody is
    to blame for it."""

    tellings: float = 3.0
    """Messages in which one node tells a rumour, times log2 of the cluster. SWIM's lambda: all learn it but
    with odds of n ** -lambda."""
    recent_rounds: float = 4.0
    """Rounds for which a change counts as recent and goes first in digests, times log2 of the cluster: about
    what all need to hear it."""

    strangers_max: int = 1024
    """Nodes known that are not in the view. Views bound their members; this bounds everybody else."""
    indirect_probes_max: int = 256
    """Probes on others' behalf that may be pending at once."""
    forget_settled_s: float = 60.0
    """How long a dead node outside the view is remembered, for people to see, if it had handed all over."""
    forget_unsettled_s: float = 86_400.0
    """How long it is probed if it had not: it may return with writes, which are welcome while tombstones
    last."""

    def __post_init__(self) -> None:
        assert 1 <= self.fanout <= 3, "fanout is 1 to 3"
        assert self.interval_s > 0 and 0 <= self.jitter < 1 and self.pause_rounds > 1 + self.jitter
        assert self.probe_attempts >= 1 and self.probe_helpers >= 0
        assert MESSAGE_BYTES_MIN <= self.message_bytes_max <= MESSAGE_BYTES_MAX

    @classmethod
    def for_test(cls) -> Settings:
        """Ten times the pace, but patient enough for a busy machine; forgets within seconds."""
        return cls(
            interval_s=0.025,
            probe_timeout_s=0.1,
            suspicion_rounds=8.0,
            pause_rounds=4.0,
            forget_settled_s=2.0,
            forget_unsettled_s=10.0,
        )

    @property
    def pause_s(self) -> float:
        return self.pause_rounds * self.interval_s

    def suspicion_s(self, nodes: int) -> float:
        return self.suspicion_rounds * self.interval_s * scale(nodes)

    def recent_s(self, nodes: int) -> float:
        return self.recent_rounds * self.interval_s * scale(nodes)

    def tellings_max(self, nodes: int) -> int:
        return math.ceil(self.tellings * scale(nodes))


def scale(nodes: int) -> float:
    """The rounds in which news doubles its way through a cluster of this many nodes."""
    return math.log2(nodes + 1)
