"""How fast gossip goes, how patient it is and how much it may hold: the numbers of this package, with their reasons.

They are fixed while a node runs, and need not be the same on all nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gossip.messages import MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    interval_s: float = 0.25
    """From the end of one round to the start of the next, before jitter."""
    jitter: float = 0.2
    """The share of the interval by which a round may come early or late, so that nodes started together drift apart."""
    fanout: int = 2
    """Peers that get a digest each round. One of them in turn, which finds every failure; the others at random, which
    disseminates changes fastest."""
    message_bytes_max: int = MESSAGE_BYTES_MAX
    """The bound of one encoded message, whatever the size of the cluster."""
    digest_sample: int = 64
    """Random nodes that a digest names besides those of which something changed lately: they make up for messages that
    were lost. Clusters up to this size are named whole."""

    probe_timeout_s: float = 0.4
    """The time that a peer has to answer one attempt: nearly two rounds, and a hundred times a local round trip."""
    probe_attempts: int = 3
    """Unanswered attempts that make a peer a suspect. With 10% of messages lost, two attempts would make somebody a
    suspect in every round of a thousand nodes."""
    probe_helpers: int = 3
    """Peers asked for an indirect probe with the second attempt and every later one, as it may be only our link that is
    cut."""
    suspicion_rounds: float = 2.0
    """Rounds from suspicion to death, times log2 of the cluster: the time that the suspicion takes to arrive, and its
    refutation to come back."""
    pause_rounds: float = 2.0
    """More than this between two rounds of ours means that this node was paused: the silence was our own, so nobody is
    to blame for it."""

    tellings: float = 3.0
    """Messages in which one node tells a rumour, times log2 of the cluster. SWIM's lambda: the odds that somebody does
    not learn of it are n ** -lambda."""
    recent_rounds: float = 4.0
    """Rounds for which a change counts as recent and goes first in digests, times log2 of the cluster: about what it
    takes to reach everybody."""

    strangers_max: int = 1024
    """Known nodes that are not in the view. A view bounds its members; this bounds everybody else."""
    indirect_probes_max: int = 256
    """Indirect probes on others' behalf that may be pending at once."""
    forget_settled_s: float = 60.0
    """How long a dead node outside the view is remembered, for people to see, if it had handed everything over."""
    forget_unsettled_s: float = 86_400.0
    """How long it is remembered, and so probed, if it had not: it may return with writes, which are welcome for as long
    as tombstones are kept. So no shorter than that; who knows both sees to it."""

    def __post_init__(self) -> None:
        assert 1 <= self.fanout <= 3, "fanout is 1 to 3"
        assert self.interval_s > 0 and 0 <= self.jitter < 1 and self.pause_rounds > 1 + self.jitter
        assert self.probe_attempts >= 1 and self.probe_helpers >= 0
        assert MESSAGE_BYTES_MIN <= self.message_bytes_max <= MESSAGE_BYTES_MAX

    @classmethod
    def for_test(cls) -> Settings:
        """Rounds at ten times the pace, but patient enough for a busy machine; forgets the settled within seconds."""
        return cls(
            interval_s=0.025,
            probe_timeout_s=0.1,
            suspicion_rounds=8.0,
            pause_rounds=4.0,
            forget_settled_s=2.0,
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
    """The rounds in which a change reaches a cluster of this many nodes, if each round doubles those who know it."""
    return math.log2(nodes + 1)
