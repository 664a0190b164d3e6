"""Is the checker awake? Each safety rule is switched off in turn, and the simulator has to notice. `make ablations`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from gossip.view import Address, Stamp
from node.node import Node
from node.records import version_of
from node.transfer import Transfers
from node.transport import Answering
from node.wire import Request
from ring.hashing import partition_of
from tests.sim.disk import SimEngine
from tests.sim.simulation import quieten, simulate

SEEDS = 100
"""Within so many an ablation must be caught."""


@contextmanager
def no_fsync_before_the_answer() -> Iterator[None]:
    with patch.object(SimEngine, "sync_before_answer", False):
        yield


@contextmanager
def no_view_check_on_nodes_requests() -> Iterator[None]:
    def answer(self: Node, sender: Address, stamp: Stamp, budget_s: float, request: Request) -> Answering:
        return self._act(sender, self.views.stamp, budget_s, request)

    with patch.object(Node, "answer", answer):
        yield


@contextmanager
def delete_before_the_owner_has_it() -> Iterator[None]:
    async def drop_then_give(
        self: Transfers, targets: Sequence[Any], partitions: Iterable[int], stamp: Stamp, forget: bool
    ) -> None:
        for batch in self._batches(partitions):
            if forget:
                brought = [(partition_of(key), key, version_of(record)) for key, record in batch.records]
                await self._store.drop(stamp, brought)
            for target in targets:
                await self._give(target, batch, stamp)

    with patch.object(Transfers, "_stream", drop_then_give):
        yield


ABLATIONS = (no_fsync_before_the_answer, no_view_check_on_nodes_requests, delete_before_the_owner_has_it)


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "tests.sim.ablations"], {**os.environ, "PYTHONHASHSEED": "0"})
    quieten()
    missed = 0
    for ablation in ABLATIONS:
        name = ablation.__name__.replace("_", " ")
        with ablation():
            caught = next((result for result in map(simulate, range(1, SEEDS + 1)) if result.fault is not None), None)
        if caught is None:
            missed += 1
            print(f"{name}: NOT caught in {SEEDS} seeds", flush=True)
        else:
            print(f"{name}: caught by seed {caught.seed}: {caught.fault}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
