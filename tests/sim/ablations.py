"""Is the checker awake? Each safety rule is switched off in turn, and the simulator has to notice. `make ablations`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from gossip.view import Address, ViewId
from node.net.messages import Answer, Read, Request, Superseded, Write, Wrote
from node.net.transport import Answering
from node.node import Node
from node.operations.owner import Owner
from node.repair.transfer import Transfers
from node.replication.co_owners import CoOwners
from node.replication.peer_state import LeaseAnswer, PeerState
from node.values.record import version_of
from ring import placement
from ring.hashing import partition_of
from tests.sim.disk import SimEngine
from tests.sim.simulation import quieten, simulate

SEEDS = 200
"""Within so many an ablation must be caught."""


@contextmanager
def no_fsync_before_the_answer() -> Iterator[None]:
    with patch.object(SimEngine, "sync_before_answer", False):
        yield


@contextmanager
def no_view_check_on_nodes_requests() -> Iterator[None]:
    def answer(self: Node, sender: Address, view_id: ViewId, budget_s: float, request: Request) -> Answering:
        return self._act(sender, self.views.view_id, budget_s, request)

    with patch.object(Node, "answer", answer):
        yield


@contextmanager
def delete_before_the_owner_has_it() -> Iterator[None]:
    bring_chunk = Transfers._bring_chunk

    async def drop_then_bring(
        self: Transfers, peers: Sequence[Any], known: Any, chunk: Sequence[int], view_id: ViewId, forget: bool
    ) -> None:
        batches = list(self._batches(chunk))
        if forget:
            for batch in batches:
                brought = [(partition_of(key), key, version_of(record)) for key, record in batch.records]
                await self._store.drop(view_id, brought)
        with patch.object(self, "_batches", lambda _: batches):
            await bring_chunk(self, peers, known, chunk, view_id, forget)

    with patch.object(Transfers, "_bring_chunk", drop_then_bring):
        yield


@contextmanager
def no_leases() -> Iterator[None]:
    """An owner answers by itself, whether its co-owners have given it leases or not."""
    with patch.object(CoOwners, "unleased", lambda _: ()):
        yield


@contextmanager
def no_restamping() -> Iterator[None]:
    """A write that comes below what is held is acknowledged as it is: it has lost already."""
    serve = Owner.carry_out

    async def carry_out(self: Owner, operation: Read | Write, deadline: float) -> Answer:
        answer = await serve(self, operation, deadline)
        return Wrote(True) if isinstance(answer, Superseded) else answer

    with patch.object(Owner, "carry_out", carry_out):
        yield


@contextmanager
def no_sync_before_serving() -> Iterator[None]:
    """A co-owner that was never compared with, since it started, lost its disk or came in, is given a lease."""
    answer_question = PeerState.answer_question

    def answer_as_if_in_step(self: PeerState, now: float) -> LeaseAnswer:
        with patch.object(PeerState, "is_in_step", True):
            return answer_question(self, now)

    with patch.object(PeerState, "answer_question", answer_as_if_in_step):
        yield


@contextmanager
def no_zones() -> Iterator[None]:
    """Nodes are dealt to shards as if each failed by itself."""
    with patch.object(placement, "crowded", lambda _: {}):
        yield


ABLATIONS = (
    no_fsync_before_the_answer,
    no_view_check_on_nodes_requests,
    delete_before_the_owner_has_it,
    no_leases,
    no_restamping,
    no_sync_before_serving,
    no_zones,
)


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "tests.sim.ablations"], {**os.environ, "PYTHONHASHSEED": "0"})
    quieten()
    missed = 0
    for ablation in ABLATIONS:
        name = ablation.__name__.replace("_", " ")
        began = time.process_time()
        with ablation():
            caught = next((result for result in map(simulate, range(1, SEEDS + 1)) if result.fault is not None), None)
        took = f"{time.process_time() - began:.1f} s"
        if caught is None:
            missed += 1
            print(f"{name}: NOT caught in {SEEDS} seeds, {took}", flush=True)
        else:
            print(f"{name}: caught by seed {caught.seed}, in {took}: {caught.fault}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
