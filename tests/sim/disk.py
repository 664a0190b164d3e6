"""A simulated disk under the real store: `node.store.Engine` on a sorted dict, whose commits take virtual time.

What was committed survives a crash of its host; what was under way when it crashed is there or not, by chance, but
whole; what had not begun is gone. A disk can be slow, and full.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from node.errors import StorageFault
from node.records import Record, decode_record
from node.store import Batch, Transaction
from ring.hashing import partition_of

T = TypeVar("T")

BATCH_MAX = 64
"""Jobs in one commit: few, so that crashes fall between them often."""


class Disk:
    """What outlives the process. `sync_s` bounds the time of a commit."""

    def __init__(self, rng: random.Random, sync_s: float = 0.003) -> None:
        self.rng = rng
        self.sync_s = sync_s
        self.full = False
        self.items: dict[bytes, bytes] = {}
        self.order: list[bytes] = []

    def record(self, key: bytes) -> Record | None:
        """What an onlooker finds on it."""
        encoded = self.items.get(partition_of(key).to_bytes(2) + key)
        return None if encoded is None else decode_record(encoded)

    def apply(self, changes: dict[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is not None:
                if key not in self.items:
                    insort(self.order, key)
                self.items[key] = value
            elif self.items.pop(key, None) is not None:
                del self.order[bisect_left(self.order, key)]


class _Job(NamedTuple):
    run: Callable[[Batch], Any]
    future: asyncio.Future[Any]


class _Overlay:
    """A transaction: the disk as the batch sees it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.changes[key] if key in self.changes else self._disk.items.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.changes[key] = bytes(value)

    def delete(self, key: bytes) -> None:
        self.changes[key] = None


class SimEngine:
    """One process's use of a disk."""

    sync_before_answer = True
    """False is an ablation: answers leave while the commit is still under way."""

    def __init__(
        self,
        disk: Disk,
        begin: Callable[[Transaction], Batch],
        committed: Callable[[Batch], None],
    ) -> None:
        self._disk = disk
        self._begin = begin
        self._committed = committed
        self._queue: list[_Job] = []
        self._under_way: dict[bytes, bytes | None] | None = None
        self._loop = asyncio.get_running_loop()

    def get(self, key: bytes) -> bytes | None:
        return self._disk.items.get(key)

    def scan(self, start: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        order = self._disk.order
        for index in range(bisect_left(order, start), bisect_left(order, stop)):
            item = (order[index], self._disk.items[order[index]])
            bytes_max -= len(item[0]) + len(item[1])
            if bytes_max < 0 and found:
                break
            found.append(item)
        return found

    def submit(self, job: Callable[[Batch], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.append(_Job(job, future))
        if self._under_way is None and len(self._queue) == 1:
            self._loop.call_soon(self._run_batch)
        return future

    def close(self) -> None:
        """Commit what has been submitted."""
        while self._queue:
            self._run_batch()

    def crash(self) -> None:
        """The process is gone: a commit under way is on the disk, or it is not."""
        if self._under_way is not None and self._disk.rng.random() < 0.5:
            self._disk.apply(self._under_way)

    def _run_batch(self) -> None:
        if self._under_way is not None or not self._queue:
            return
        jobs, self._queue = self._queue[:BATCH_MAX], self._queue[BATCH_MAX:]
        overlay = _Overlay(self._disk)
        batch = self._begin(overlay)
        outcomes: list[tuple[_Job, Any, Exception | None]] = []
        for job in jobs:
            try:
                outcomes.append((job, job.run(batch), None))
            except Exception as error:
                outcomes.append((job, None, error))
        batch.finish()
        if self._disk.full:
            outcomes = [(job, None, error or StorageFault("disk full")) for job, _, error in outcomes]
            _resolve(outcomes)
            self._loop.call_soon(self._run_batch)
            return
        self._under_way = overlay.changes
        if not self.sync_before_answer:
            _resolve(outcomes)
        delay = self._disk.rng.uniform(0, self._disk.sync_s)
        self._loop.call_later(delay, self._end_batch, batch, overlay.changes, outcomes)

    def _end_batch(
        self, batch: Batch, changes: dict[bytes, bytes | None], outcomes: list[tuple[_Job, Any, Exception | None]]
    ) -> None:
        self._disk.apply(changes)
        self._under_way = None
        self._committed(batch)
        _resolve(outcomes)
        if self._queue:
            self._run_batch()


def _resolve(outcomes: list[tuple[_Job, Any, Exception | None]]) -> None:
    for job, result, error in outcomes:
        if job.future.done():
            continue
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
