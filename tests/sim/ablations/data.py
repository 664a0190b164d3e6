"""Reads and writes at the owners of a key, while views stay what they are."""

from __future__ import annotations

from node.node import Node
from node.operations.owner import Owner
from node.replication.co_owners import CoOwners
from node.replication.peer_state import PeerState
from node.replication.streams import Streams
from node.views.readiness import Readiness
from tests.sim.ablations.switch import Ablation, Edit
from tests.sim.disk import SimEngine

ABLATIONS = (
    Ablation(
        "no fsync before the answer",
        "a job's future resolves before its batch is durable",
        (
            Edit(
                SimEngine._run_batch,
                "self._under_way = commit\n",
                "self._under_way = commit\n    _resolve(commit.outcomes)\n",
            ),
        ),
    ),
    Ablation(
        "no view check on nodes' requests",
        "calls are acted on whatever view their sender holds",
        (
            Edit(
                Node.answer,
                "if view_id == self.views.view_id or request.any_view:",
                "view_id = self.views.view_id\n    if True:",
            ),
        ),
    ),
    Ablation(
        "no leases",
        "an owner always answers alone",
        (Edit(CoOwners.unleased, "if now < self._leased_until:", "if True:"),),
    ),
    Ablation(
        "no write-back of reads",
        "a read tells what has come here, whether the other owners have it or not",
        (Edit(CoOwners.has_spread, "states = self._states", "return True"),),
        "test_contention.py::test_contention_every_history_is_linearizable[2-2]",
    ),
    Ablation(
        "no second way around a comparison",
        "what is waited for when a comparison begins is confirmed by its end",
        (Edit(Streams.begin_comparison, "self._give_up(state)", "pass"),),
        "../node/replication/test_streams_acknowledging.py::"
        "test_write_in_flight_when_a_comparison_begins_waits_for_its_own_key_only",
    ),
    Ablation(
        "no restamping",
        "a write below what is held is acknowledged as it is",
        (
            Edit(
                Owner._write,
                "return Superseded(version)",
                "return Wrote(True)",
            ),
        ),
    ),
    Ablation(
        "no sync before serving",
        "a co-owner that was never compared with is granted a lease",
        (Edit(PeerState.has_all, "self.is_in_step and", ""),),
    ),
    Ablation(
        "no asking around",
        "a node serves as soon as it has started, or goes on after a pause",
        (Edit(Readiness.is_ready, "self._has_asked.is_set()", "True"),),
    ),
)
