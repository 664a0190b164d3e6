"""What an owner does with many plain reads and writes at once: one transaction, and one wait for the copies of all.

Only what `owner` would do without asking anybody first is done here, under the same view and the same fence. What takes
more (a key that is on its way, a co-owner without a lease, a record that is newer, a disk that is full) is left, that
is answered with Unable: it is brought to an owner once more, by itself, and there is no second place where such things
are decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import TypeAlias

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import CommitFailed, Fenced, StorageFault
from node.net.messages import BatchAnswer, Copies, MayBeStored, Read, ReadResult, Superseded, Unable, Write, Wrote
from node.operations.inquiry import Inquiry
from node.replication.co_owners import CoOwners
from node.replication.streams import NOBODY, Streams
from node.storage.store import Store
from node.storage.writes import Newer, WriteOutcome, Written
from node.timing.deadlines import Timeouts
from node.values.version import Version
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.hashing import partition_of

Operation: TypeAlias = Read | Write
Job: TypeAlias = tuple[int, bytes, Version, bytes | None]

READ_BYTES_MAX = 256 * 1024
"""Once so much of values was read for one message, the other reads are left."""
LEFT = Unable()
MAY_BE_STORED = MayBeStored()


class Together:
    def __init__(
        self,
        config: Config,
        store: Store,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        streams: Streams,
        inquiry: Inquiry,
        read_here: Callable[[bytes], ReadResult | None],
        now_ms: Callable[[], int],
    ) -> None:
        """`read_here`: of the owner. `now_ms`: the time by which keys expire."""
        self._config = config
        self._store = store
        self._views = views
        self._readiness = readiness
        self._co_owners = co_owners
        self._streams = streams
        self._inquiry = inquiry
        self._read_here = read_here
        self._now_ms = now_ms
        self._timeouts = Timeouts()

    async def carry_out(self, operations: Sequence[Operation], limit_s: float) -> list[BatchAnswer]:
        """Their answers. What is not done in `limit_s` is MayBeStored."""
        answers: list[BatchAnswer] = [LEFT] * len(operations)
        if not self._readiness.enter() or self._co_owners.is_behind:
            return answers
        view_id, room = self._views.view_id, READ_BYTES_MAX
        mine, is_synced = self._views.ring.partitions_of(self._config.address), self._inquiry.is_synced
        places: list[int] = []
        jobs: list[Job] = []
        for place, operation in enumerate(operations):
            if operation.context is not None:
                continue
            key = operation.key
            if isinstance(operation, Read):
                if room > 0 and (found := self._read(key)) is not None:
                    answers[place] = found
                    room -= found.carried_bytes()
            else:
                partition = partition_of(key)
                if partition in mine and (is_synced or not self._inquiry.not_synced_with(partition)):
                    places.append(place)
                    jobs.append((partition, key, operation.version, operation.value))
        if jobs:
            for place, answer in zip(places, await self._write_in_time(view_id, jobs, limit_s), strict=True):
                answers[place] = answer
        return answers

    def writes_here(self, partitions: Iterable[int]) -> bool:
        """Whether nobody has to be asked about writes in any of these, nor told of them. The hot path."""
        mine = self._views.ring.partitions_of(self._config.address)
        return self._is_alone() and mine.issuperset(partitions)

    async def write_here(self, view_id: ViewId, jobs: Sequence[Job], limit_s: float) -> Sequence[BatchAnswer] | None:
        """The answers to writes for which `writes_here` was asked under this view. None: it is not so any more."""
        return await self._write_in_time(view_id, jobs, limit_s) if self._is_alone() else None

    def _is_alone(self) -> bool:
        return self._co_owners.is_alone and self._readiness.enter() and self._inquiry.is_synced

    def _read(self, key: bytes) -> ReadResult | None:
        """None: it is left."""
        try:
            return self._read_here(key)
        except StorageFault:
            return None

    async def _write_in_time(self, view_id: ViewId, jobs: Sequence[Job], limit_s: float) -> Sequence[BatchAnswer]:
        try:
            return await self._timeouts.within(limit_s, self._write(view_id, jobs))
        except TimeoutError:
            return [MAY_BE_STORED] * len(jobs)

    async def _write(self, view_id: ViewId, jobs: Sequence[Job]) -> Sequence[BatchAnswer]:
        try:
            outcomes = await self._store.write_together(view_id, jobs, self._now_ms)
        except CommitFailed:
            return [MAY_BE_STORED] * len(jobs)
        except (Fenced, StorageFault):
            return [LEFT] * len(jobs)
        if not self._readiness.enter():  # Others may have taken this node's place, and may not have seen the writes.
            return [MAY_BE_STORED] * len(jobs)
        try:
            left_out = NOBODY if self._co_owners.is_alone else await self._await_copies(jobs, outcomes)
        except (Fenced, StorageFault):
            return [MAY_BE_STORED if isinstance(outcome, Written) else _answer(outcome) for outcome in outcomes]
        if not self._readiness.enter():
            return [MAY_BE_STORED] * len(jobs)
        copies = self._copies(left_out)
        added, replaced = Wrote(False, None, copies), Wrote(True, None, copies)
        return [
            (replaced if outcome.replaced else added) if isinstance(outcome, Written) else _answer(outcome)
            for outcome in outcomes
        ]

    async def _await_copies(self, jobs: Sequence[Job], outcomes: Sequence[WriteOutcome]) -> Set[Address]:
        """Of what was written: see `Streams.await_copies`."""
        written, are_noted = list[bytes](), True
        for (_, key, _, _), outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Written):
                written.append(key)
                if outcome.is_repeated:
                    are_noted = False
        return await self._streams.await_copies(written, are_noted=are_noted)

    def _copies(self, left_out: Set[Address]) -> Copies | None:
        """By how many owners all was acknowledged, if not by all: whatever a node owns, it has the same co-owners."""
        if not left_out:
            return None
        owners = len(self._co_owners.all()) + 1
        return Copies(owners - len(left_out), owners)


def _answer(outcome: WriteOutcome) -> BatchAnswer:
    """To what was not written."""
    return Superseded(outcome.version) if isinstance(outcome, Newer) else LEFT
