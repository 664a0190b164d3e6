"""A simulated disk under the real store: an `Engine` of `node.storage.transaction` on a sorted dict, whose commits take
virtual time.

What was committed survives a crash of its host; what was under way when it crashed is there or not, by chance, but
whole; what had not begun is gone. A disk can be slow, and hang for as long as it likes; it can be full, so that it
takes no records but goes on with the rest; and exhausted, so that nothing can be written. It can fail in the midst of a
commit: its process goes on with what was before, but if its host crashes before another commit, what was to be
committed is there or not, by chance.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeVar

from gossip.view import View, decode_view
from node.errors import CommitFailed, StorageFault
from node.storage.disk import Condition, DiskFigures, Space
from node.storage.keys import EXPIRIES, Setting, record_place, setting_place
from node.storage.stall import HANGS, StallWatch
from node.storage.transaction import EngineTransaction, Transaction
from node.values.record import Record, decode_record
from ring.hashing import partition_of

T = TypeVar("T")

BATCH_MAX = 64
"""Jobs in one commit: few, so that crashes fall between them often."""
SYNC_S = 0.003
SLOW_SYNC_S = 0.3
"""The longest commit of a slow disk: behind another one, it can make its node seem silent."""
COMMIT_S = 1.0
"""From when on a commit counts as one that hangs, where nobody says otherwise."""
HUNG_CHECK_S = 0.05
"""How soon after a disk hangs no longer its commit is done."""


@cache
def _place(key: bytes) -> bytes:
    """Where the record of a key stands. Clients have few keys, and ask an onlooker before each operation."""
    return record_place(partition_of(key), key)


_decode = lru_cache(256)(decode_record)


class Disk:
    """What outlives the process. `sync_s` bounds the time of a commit."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.sync_s = SYNC_S
        self.full = self.exhausted = self.hung = self.failing = False
        self.items: dict[bytes, bytes] = {}
        self.order: list[bytes] = []
        """The keys of `items`, ascending."""
        self.doubtful: Mapping[bytes, bytes | None] = {}
        """What was to be changed by the commit that failed, if it was the last one."""

    def copy(self) -> Disk:
        """A disk with the same on it, and in good health."""
        copy = Disk(self.rng)
        copy.items, copy.order = dict(self.items), list(self.order)
        return copy

    @property
    def ill(self) -> bool:
        return self.full or self.exhausted or self.hung or self.failing or self.sync_s > SYNC_S

    def mend(self) -> None:
        """It is as it should be."""
        self.full = self.exhausted = self.hung = self.failing = False
        self.sync_s = SYNC_S

    def record(self, key: bytes) -> Record | None:
        """What an onlooker finds on it."""
        encoded = self.items.get(_place(key))
        return None if encoded is None else _decode(encoded)

    def records(self) -> Iterator[tuple[bytes, Record]]:
        return ((place[2:], _decode(data)) for place, data in self.items.items() if place < EXPIRIES and place[2:])

    def view(self) -> View | None:
        encoded = self.items.get(setting_place(Setting.VIEW))
        return None if encoded is None else decode_view(encoded)

    def scan(self, start: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        order, items = self.order, self.items
        for index in range(bisect_left(order, start), len(order)):
            key = order[index]
            if key >= stop:
                break
            value = items[key]
            bytes_max -= len(key) + len(value)
            if bytes_max < 0 and found:
                break
            found.append((key, value))
        return found

    def apply(self, changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes]:
        """Returns what is gone by that, by its place."""
        order, items = self.order, self.items
        gone: dict[bytes, bytes] = {}
        for key, value in changes.items():
            if value is None:
                if (before := items.pop(key, None)) is not None:
                    gone[key] = before
                    del order[bisect_left(order, key)]
            else:
                if key not in items:
                    insort(order, key)
                items[key] = value
        return gone


class _Job(NamedTuple):
    run: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    grows: bool


class _Commit(NamedTuple):
    transaction: Transaction
    changes: dict[bytes, bytes | None]
    outcomes: list[tuple[_Job, Any, Exception | None]]


class _Overlay:
    """A transaction: the disk as the batch sees it."""

    def __init__(self, disk: Disk) -> None:
        self._items = disk.items
        self.changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.changes[key] if key in self.changes else self._items.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.changes[key] = value

    def delete(self, key: bytes) -> None:
        self.changes[key] = None


class SimEngine:
    """One process's use of a disk. `watch` is told of every commit, of what that has changed and what is gone by it,
    before anybody who waits for it."""

    def __init__(
        self,
        disk: Disk,
        begin: Callable[[EngineTransaction], Transaction],
        committed: Callable[[Transaction], None],
        watch: Callable[[Transaction, Mapping[bytes, bytes | None], Mapping[bytes, bytes]], None] = lambda *_: None,
        commit_s: float = COMMIT_S,
    ) -> None:
        self._disk = disk
        self._begin = begin
        self._committed = committed
        self._watch = watch
        self._queue: list[_Job] = []
        self._under_way: _Commit | None = None
        self._closed = False
        self.figures = DiskFigures()
        self._loop = asyncio.get_running_loop()
        self._stall = StallWatch(self._loop, commit_s, self._refuse_queue)

    def get(self, key: bytes) -> bytes | None:
        return self._disk.items.get(key)

    def scan(self, start: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        return self._disk.scan(start, stop, bytes_max)

    def first_keys(self, ranges: Sequence[tuple[bytes, bytes]], count: int) -> list[list[bytes]]:
        order = self._disk.order
        firsts = ((bisect_left(order, start), bisect_left(order, stop)) for start, stop in ranges)
        return [order[first : min(end, first + count)] for first, end in firsts]

    @property
    def is_full(self) -> bool:
        return self._disk.full or self._disk.exhausted

    @property
    def condition(self) -> Condition:
        return Condition(self._stall.has_stalled, False, self.is_full)

    @property
    def queued(self) -> int:
        return len(self._queue)

    def space(self) -> Space:
        return Space(sum(map(len, self._disk.items.values())), 0)

    def submit(self, job: Callable[[Transaction], T], grows: bool = False) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            future.set_exception(StorageFault("the store is closed"))
            return future
        if self._stall.has_stalled:
            future.set_exception(StorageFault(HANGS))
            return future
        self._queue.append(_Job(job, future, grows))
        if self._under_way is None and len(self._queue) == 1:
            self._loop.call_soon(self._run_batch)
        return future

    def close(self) -> None:
        self._closed = True
        while self._queue or self._under_way is not None:
            if self._under_way is not None:
                self._end_batch(self._under_way)
            else:
                self._run_batch()
        self._stall.close()

    def _refuse_queue(self) -> None:
        jobs, self._queue = self._queue, []
        _resolve([(job, None, StorageFault(HANGS)) for job in jobs])

    def crash(self) -> None:
        """The process is gone: a commit under way, or the last one if it has failed, is on the disk, or it is not."""
        self._stall.close()
        changes = self._disk.doubtful if self._under_way is None else self._under_way.changes
        if changes and self._disk.rng.random() < 0.5:
            self._disk.apply(changes)
        self._disk.doubtful = {}

    def _run_batch(self) -> None:
        if self._under_way is not None or not self._queue:
            return
        self._queue = [job for job in self._queue if not job.future.done()]  # Whoever has stopped waiting has left it.
        jobs, self._queue = self._queue[:BATCH_MAX], self._queue[BATCH_MAX:]
        self.figures.refused += self._disk.exhausted
        refused = {job.future for job in jobs if self._disk.exhausted or (self._disk.full and job.grows)}
        _resolve([(job, None, StorageFault("the disk is full")) for job in jobs if job.future in refused])
        jobs = [job for job in jobs if job.future not in refused]
        if not jobs:
            self._loop.call_soon(self._run_batch)
            return
        overlay = _Overlay(self._disk)
        transaction = self._begin(overlay)
        commit = _Commit(transaction, overlay.changes, [_outcome(job, transaction) for job in jobs])
        transaction.finish()
        self._under_way = commit
        self._stall.begin()
        self._began = self._loop.time()
        self._loop.call_later(self._disk.rng.random() * self._disk.sync_s, self._end_batch, commit)

    def _end_batch(self, commit: _Commit) -> None:
        if self._under_way is not commit:
            return  # `close` was here first.
        if self._disk.hung and not self._closed:
            self._loop.call_later(HUNG_CHECK_S, self._end_batch, commit)
            return
        self._under_way = None
        self._stall.end()
        if self._disk.failing:
            self._fail(commit)
            return
        self._disk.doubtful = {}
        self.figures.commit_s.observe(self._loop.time() - self._began)
        self.figures.commit_jobs.observe(len(commit.outcomes))
        gone = self._disk.apply(commit.changes)
        self._committed(commit.transaction)
        self._watch(commit.transaction, commit.changes, gone)
        _resolve(commit.outcomes)
        if self._queue and not self._closed:
            self._run_batch()

    def _fail(self, commit: _Commit) -> None:
        self.figures.refused += 1
        self._disk.doubtful = commit.changes
        _resolve([(job, None, CommitFailed("the disk fails")) for job, _, _ in commit.outcomes])
        if not self._closed:
            self._loop.call_soon(self._run_batch)


def _outcome(job: _Job, transaction: Transaction) -> tuple[_Job, Any, Exception | None]:
    try:
        return job, job.run(transaction), None
    except Exception as error:
        return job, None, error


def _resolve(outcomes: list[tuple[_Job, Any, Exception | None]]) -> None:
    for job, result, error in outcomes:
        if job.future.done():
            continue
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
