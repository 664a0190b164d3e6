"""The engine on LMDB: group commit, and a thread that does nothing but commit.

Jobs run in the event loop's thread, where reads are made too. The finished write transaction is handed to the committer
thread, which needs no GIL while the disk works. Jobs do not run in the committer because py-lmdb gives up the GIL in
each get and put, and waits for it each time while the loop is busy: there, a get takes 140 us instead of 1.2. With jobs
in the committer, 256 connections that write get 3,500 durable writes a second instead of 6,000, and reads beside writes
have twice the latency at the 99th percentile.

What queues during a commit is the next batch, but no more than half of all jobs that wait for this commit or the next.
Without that limit, clients that ask again as soon as they are answered all end up in one batch, and then disk and loop
take turns in waiting for each other. With it, the disk works for one half of them while the loop works for the other.

Why a transaction may change threads, and why LMDB may do without its lock and its table of readers (lock=False): only
the writer lock ties a write transaction to its thread, and it is replaced by the lock of the data directory and the
order of calls here. Transactions are begun in one thread, and no writer while another is open or being committed. A
writer never overwrites a page of the last committed snapshot. Reads use one transaction, renewed when a commit is
reported and before the next writer begins: so no reader is older than that snapshot when a writer begins, and none is
begun while a meta page is being written. Code that breaks this order reads garbage: `env.copy`, for instance, is safe
only while no batch is under way.

Therefore what a read sees and what `committed` was told change in the same instant, between two callbacks.

Room is kept on the disk for jobs that must go on when it is full, see `reserve` and `room`. Once there is no more to be
had, a batch is one job, lest many together need more than is left.

The queue has no bound of its own: requests in flight are bounded where they come in; but what queues behind a commit
that hangs is refused, see `stall`. A write that failed is not tried again: only its client knows whether it matters.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import lmdb

from node.errors import BadDataDir, CommitFailed, StorageFault, Unclosed
from node.storage import reading
from node.storage.batch import Commit, Job, run
from node.storage.committer import Committer, Done, Work
from node.storage.data_dir import MAP_BYTES_FIRST, DataDir, bytes_in_use, end_of_pages
from node.storage.disk import Condition, DiskFigures, Space
from node.storage.migrating import bring_up_to_date
from node.storage.room import Room
from node.storage.stall import HANGS, StallWatch
from node.storage.transaction import EngineFactory, EngineTransaction, Transaction

T = TypeVar("T")

_log = logging.getLogger(__name__)


FULL = "the disk is full"


def open_engine(
    path: Path,
    loop: asyncio.AbstractEventLoop,
    jobs_s_max: float,
    map_bytes_first: int = MAP_BYTES_FIRST,
    clock: Callable[[], float] = monotonic,
    reserve_bytes: int = 0,
    reserve_share: float = 1.0,
    commit_s: float = 60.0,
) -> EngineFactory:
    """The engine on the data directory `path`, for use in the thread of `loop` only. The factory raises BadDataDir.
    `jobs_s_max`: how long the jobs of one batch may keep the loop, by `clock`; seconds, but not the loop's, since
    uvloop's clock stands still during a callback. `reserve_bytes`: how much room is kept for what must go on when the
    disk is full, but no more than this share of its file system. `commit_s`: how long a commit may take before the disk
    counts as one that hangs."""

    def open_in(
        begin: Callable[[EngineTransaction], Transaction], committed: Callable[[Transaction], None]
    ) -> LmdbEngine:
        directory = DataDir(path, map_bytes_first)
        try:
            bring_up_to_date(directory, path)
        except BadDataDir:
            directory.close()
            raise
        kept = min(reserve_bytes, int(reserve_share * directory.file_system_bytes())) if reserve_bytes else 0
        return LmdbEngine(directory, loop, clock, jobs_s_max, begin, committed, kept, commit_s)

    return open_in


class LmdbEngine:
    """See node.storage.transaction.Engine. Owns the data directory until `close`."""

    def __init__(
        self,
        directory: DataDir,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        jobs_s_max: float,
        begin: Callable[[EngineTransaction], Transaction],
        committed: Callable[[Transaction], None],
        kept: int,
        commit_s: float,
    ) -> None:
        self._directory = directory
        self._loop = loop
        self._clock = clock
        self._jobs_s_max = jobs_s_max
        self._begin = begin
        self._committed = committed
        self._environment = directory.open()
        self._reader = self._environment.begin()
        self._queue: deque[Job] = deque()
        self._commit: Commit | None = None
        self._began = 0.0
        """When the disk was given that."""
        self._has_turn = False
        self._failing = False
        self._closed = False
        self.figures = DiskFigures()
        self._stall = StallWatch(loop, commit_s, self._refuse_queue)
        self._room = Room(directory, kept, loop, self._ask_for_room)
        self._committer = Committer(loop, self._room.allocate, self._end_batch)
        self._note_end()
        if (span := self._room.to_allocate()) is not None:
            self._room.note_allocated(span, self._room.allocate(span))

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._reader.get(key)
        except lmdb.Error as error:
            raise StorageFault(str(error)) from error

    def scan(self, start: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        return reading.scan(self._reader, start, stop, bytes_max)

    def first_keys(self, ranges: Sequence[tuple[bytes, bytes]], count: int) -> list[list[bytes]]:
        return reading.first_keys(self._reader, ranges, count)

    @property
    def is_full(self) -> bool:
        return self._room.is_full or self._failing

    @property
    def condition(self) -> Condition:
        return Condition(self._stall.has_stalled, self._failing, self._room.is_full)

    @property
    def queued(self) -> int:
        return len(self._queue)

    def space(self) -> Space:
        try:
            directory = self._directory
            used, size = bytes_in_use(self._environment), directory.file_system_bytes()
            return Space(used, directory.free_bytes(), size, self._room.left)
        except (lmdb.Error, OSError):
            return Space(0, 0)

    def submit(self, job: Callable[[Transaction], T], grows: bool = False) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            future.set_exception(StorageFault("the store is closed"))
        elif self._stall.has_stalled:
            future.set_exception(StorageFault(HANGS))
        elif grows and self._room.is_full:
            future.set_exception(StorageFault(FULL))
        else:
            self._queue.append(Job(job, future, grows))
            self._want_turn()
        return future

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        while self._queue or self._commit is not None:
            if self._commit is None:
                self._run_batch(len(self._queue))
            elif (done := self._committer.wait(self._stall.left_s())) is not None:
                self._end_batch(done)
            else:
                raise Unclosed(HANGS)
        self._stall.close()
        self._room.close()
        self._committer.close()
        self._environment.close()
        self._directory.close()

    # A batch, from its first job to the answers: all in the loop's thread, except for the commit itself.

    def _want_turn(self) -> None:
        """Run a batch as soon as all callbacks that are ready have submitted their jobs."""
        if self._queue and self._commit is None and not self._has_turn and not self._closed:
            self._has_turn = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._has_turn = False
        if self._queue and self._commit is None:
            self._run_batch(len(self._queue))

    def _run_batch(self, jobs_max: int) -> None:
        if self._room.is_tight:
            jobs_max = 1
        first = self._next_job()
        if first is None:
            return
        jobs = [first]
        raw = None
        try:
            raw = self._environment.begin(write=True)
            transaction = self._begin(raw)
            outcomes = [run(first, transaction)]
            deadline = self._clock() + self._jobs_s_max
            while len(jobs) < jobs_max and self._clock() < deadline and (job := self._next_job()) is not None:
                jobs.append(job)
                outcomes.append(run(job, transaction))
            transaction.finish()
        except Exception as error:
            if raw is not None:
                raw.abort()
            self._undo(jobs, error)
        else:
            self._hand_over(Commit(transaction, jobs, outcomes), raw)

    def _next_job(self) -> Job | None:
        """Whoever has stopped waiting has left the queue: on a disk that hung for long, what was given up as long ago
        would happen, after all that came since."""
        while self._queue:
            job = self._queue.popleft()
            if job.grows and self._room.is_full:
                self._tell(job.future, None, StorageFault(FULL))
            elif not job.future.done():
                return job
        return None

    def _hand_over(self, commit: Commit, raw: lmdb.Transaction[bytes] | None) -> None:
        """To the committer."""
        self._commit, self._began = commit, self._clock()
        self._stall.begin()
        self._committer.take(Work(self._room.to_allocate(), raw))

    def _end_batch(self, done: Done) -> None:
        assert self._commit is not None
        (transaction, jobs, outcomes), self._commit = self._commit, None
        self._stall.end()
        if done.allocate is not None:
            self._room.note_allocated(done.allocate, done.allocated)
        if done.fault is not None:
            self.figures.refused += 1
            self._undo(jobs, done.fault, CommitFailed if _may_last(done.fault) else StorageFault)
            return
        if transaction is None:
            self._want_turn()
            return
        self.figures.commit_s.observe(self._clock() - self._began)
        self.figures.commit_jobs.observe(len(jobs))
        if self._failing:
            self._failing = False
            _log.info("the store takes writes again")
        self._renew_reader()
        self._note_end()
        self._committed(transaction)
        if self._queue:  # First, so that the disk works while these are answered.
            self._run_batch((len(jobs) + len(self._queue) + 1) // 2)
        for job, (result, refusal) in zip(jobs, outcomes, strict=True):
            self._tell(job.future, result, refusal)

    def _undo(self, jobs: list[Job], error: Exception, told_as: type[StorageFault] = StorageFault) -> None:
        """Nothing of the batch is in the store. If the map was full, it grows and the jobs run again; otherwise those
        that grow the store fail, and the others run again, each by itself, before they fail too."""
        fault = self._grow() if isinstance(error, lmdb.MapFullError) else error
        if fault is None:
            self._queue.extendleft(reversed(jobs))
        else:
            self._renew_reader()
            if isinstance(fault, lmdb.Error | OSError):
                self._room.note_refusal()
            again = [job for job in jobs if not job.grows] if self._room.is_tight and len(jobs) > 1 else []
            self._queue.extendleft(reversed(again))
            if not self._failing and not again:
                self._failing = True
                _log.error("the store takes no writes: %s", fault)
            for job in jobs:
                if job not in again:
                    self._tell(job.future, None, _caused(told_as(str(fault)), fault))
        self._want_turn()

    def _refuse_queue(self) -> None:
        while self._queue:
            self._tell(self._queue.popleft().future, None, StorageFault(HANGS))

    def _tell(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if future.done() or self._loop.is_closed():  # Nobody waits for it.
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _note_end(self) -> None:
        """See where the store ends now, between two batches. The map must have room for what is kept."""
        if not self._room.kept:
            return
        try:
            end, map_bytes = end_of_pages(self._environment)
            if end + self._room.kept > map_bytes and self._grow() is not None:
                self._room.note_refusal()
            self._room.note_end(end, lambda: end - bytes_in_use(self._environment))
        except lmdb.Error:  # It could not be opened afresh.
            self._room.note_refusal()

    def _ask_for_room(self) -> None:
        if self._commit is None and not self._closed:
            self._hand_over(Commit(None, [], []), None)

    def _grow(self) -> OSError | None:
        try:
            self._directory.grow()
        except OSError as error:
            return error
        self._reopen()
        return None

    def _renew_reader(self) -> None:
        try:
            self._reader = self._environment.begin()
        except lmdb.Error:  # After a failed write of a meta page, LMDB has to be opened afresh.
            self._reopen()

    def _reopen(self) -> None:
        self._environment.close()
        try:
            self._environment = self._directory.open()
            self._reader = self._environment.begin()
        except (lmdb.Error, OSError) as error:  # Reads fail too, until the end of a later batch comes here again.
            _log.error("the store cannot be opened: %s", error)


def _may_last(fault: Exception) -> bool:
    """Whether a commit that has failed so may be on the disk after all. Its last step is to write the page that says
    where the store begins; LMDB puts the old one back for this process, but the disk may have taken the new one. One
    that has no more room has not come so far."""
    return isinstance(fault, lmdb.Error) and not isinstance(fault, lmdb.MapFullError | lmdb.DiskError)


def _caused(fault: StorageFault, cause: Exception) -> StorageFault:
    fault.__cause__ = cause
    return fault
