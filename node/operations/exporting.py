"""Exporting the whole store: what an owner tells of its shard, and how a stream is made of that.

Nothing is put in order, and nothing looked into on the way: an owner writes the lines as the client gets them, one
partition after the other, and the node that was asked passes them on. It asks an owner of each shard at once, and for
more only once the client has taken what was told: a slow one holds nothing up, and memory is bounded.

An owner tells as `shard_inquiry` says: it asks others first, and tells under one view. Each block of lines is told
under some view; what it says is told, by partition, is told for good. Under a later view only the rest is asked for,
of whoever owns it then. So a key that is there throughout is told once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Reason, StorageFault, Unavailable
from node.net.messages import Answer, Export, Exported, FetchPartitions, Stretch, Unheard
from node.operations.export_progress import LANES, Job, Progress
from node.operations.key_order import Part
from node.operations.partition_order import first_end, lines_of, place_of, walk
from node.operations.routing import NotBrought, Routing
from node.operations.shard_inquiry import ShardInquiry, Telling, walked
from node.operations.sightings import Answers
from node.storage.store import Store
from node.timing.clock import Time
from node.views.calls import Calls
from node.views.holder import Views
from ring.placement import Shard
from ring.sets import BYTES, partitions_in

log = logging.getLogger(__name__)

BLOCK_BYTES = 128 * 1024
"""Keys and records of one block: a thousand small ones, which are written as lines in a fourth of a millisecond. It
gets through in time on a link of 1 Mbit/s, and fits in a frame even if each character of each key has to be escaped."""

Tell = Callable[[bytes, Progress], Awaitable[None]]
"""Takes a block of lines, and how far the export has come with it; returns once there is room for the next one."""


class OwnerExport:
    """The owner's side."""

    def __init__(
        self,
        config: Config,
        store: Store,
        views: Views,
        calls: Calls,
        inquiry: ShardInquiry,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by which keys expire."""
        self._config = config
        self._store = store
        self._views = views
        self._calls = calls
        self._inquiry = inquiry
        self._now_ms = now_ms

    def serve(self, request: Export, budget_s: float) -> Awaitable[Answer]:
        """See `ShardInquiry.serve`."""
        return self._inquiry.serve(self._telling(request), budget_s)

    def carry_out(self, request: Export, view_id: ViewId, deadline: float) -> Awaitable[Answer]:
        """See `ShardInquiry.carry_out`."""
        return self._inquiry.carry_out(self._telling(request), view_id, deadline)

    def fetch(self, request: FetchPartitions) -> Awaitable[Answer]:
        """See `ShardInquiry.answer`: what is here of what another owner exports, under the view now."""
        find = partial(self._found, request.stretch, request.bytes_max)
        return self._inquiry.answer(find, self._views.view_id)

    def _telling(self, request: Export) -> Telling:
        partitions = int.from_bytes(request.stretch.partitions)
        return Telling(partitions, FetchPartitions(request.stretch, request.bytes_max), partial(self._tell, request))

    async def _tell(self, request: Export, answers: Answers) -> Answer:
        if older := self._calls.older(sorted(answers)):
            return Unheard(tuple(older))  # They do not know the question, and have been asked in vain.
        part = await self._found(request.stretch, request.bytes_max)
        if not answers:
            return Exported(lines_of(part.records, self._now_ms()), part.end)
        newest = dict(part.records)
        end = first_end([part.end, *self._inquiry.add(newest, answers)])
        told = sorted((key for key in newest if end is None or place_of(key) <= place_of(end)), key=place_of)
        return Exported(lines_of([(key, newest[key]) for key in told], self._now_ms()), end)

    def _found(self, stretch: Stretch, bytes_max: int) -> Awaitable[Part]:
        """What is here now, deletions too: they tell which of what others have is there no more."""
        occupied = self._store.occupied
        partitions = [number for number in partitions_in(int.from_bytes(stretch.partitions)) if number in occupied]
        return walked(walk(self._store.ranges, partitions, stretch.prefix, stretch.after, bytes_max))


class Exporter:
    """The side of the node that a client has asked."""

    def __init__(
        self, config: Config, time: Time, views: Views, calls: Calls, routing: Routing, owner: OwnerExport
    ) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._calls = calls
        self._routing = routing
        self._owner = owner

    async def export(self, prefix: bytes, progress: Progress, tell: Tell) -> None:
        """Tell all keys that begin with `prefix` and are left to be told. Raises Unavailable once nothing of that could
        be told for as long as a request may take, and in a group what `tell` raises."""
        run = _Export(prefix, progress, tell)
        told_at = self._time.monotonic()
        while not run.progress.is_complete:
            view, before = self._views.current, run.progress
            if older := self._calls.older(sorted(view.nodes)):
                fault = Unavailable("These nodes are of a release that knows of no export", nodes=older)
                raise fault.because(Reason.RELEASE)
            jobs = deque(run.progress.jobs(self._views.ring.bits))
            refusals: list[NotBrought] = []
            async with asyncio.TaskGroup() as lanes:
                for _ in range(min(LANES, len(jobs))):
                    lanes.create_task(self._work(run, view.id, view.shards, jobs, refusals))
            if run.progress != before:
                told_at = self._time.monotonic()
            elif self._time.monotonic() - told_at >= self._config.request_s:
                missing = sorted({node for refusal in refusals for node in refusal.unreachable})
                raise Unavailable(unreachable=missing) if missing else Unavailable()
            if refusals and self._views.current is view:
                await asyncio.sleep(self._config.retry_s)

    async def _work(
        self, run: _Export, view_id: ViewId, shards: Sequence[Shard], jobs: deque[Job], refusals: list[NotBrought]
    ) -> None:
        """Do one job after the other, until there is none left, or one was refused: what it has told in part is all
        that may be added to a cursor."""
        while jobs:
            job = jobs.popleft()
            while job.partitions:
                request = Export(Stretch(job.partitions.to_bytes(BYTES), run.prefix, job.after), BLOCK_BYTES)
                try:
                    answer = await self._ask(view_id, shards[job.shard], request)
                except NotBrought as refusal:
                    refusals.append(refusal)
                    return
                rest = job.rest(answer.end)
                await run.take(answer.lines, job, rest)
                job = rest

    async def _ask(self, view_id: ViewId, owners: Shard, request: Export) -> Exported:
        """What one of the owners of a shard of this view tells. Raises NotBrought."""

        def in_turn() -> Sequence[Address]:
            if self._views.view_id != view_id:
                raise NotBrought(frozenset())  # There may be no such shard any more.
            return self._routing.in_order(owners)

        deadline = self._time.monotonic() + self._config.request_s
        carry_out = partial(self._owner.carry_out, request, view_id, deadline)
        try:
            brought = await self._routing.bring(request, in_turn, carry_out, deadline)
        except StorageFault as fault:
            log.error("an export: %s", fault)
            raise NotBrought(frozenset()) from None
        assert isinstance(brought.answered.answer, Exported)
        return brought.answered.answer


class _Export:
    """One export under way: its blocks are told one after the other, so that each cursor tells what is before it."""

    def __init__(self, prefix: bytes, progress: Progress, tell: Tell) -> None:
        self.prefix = prefix
        self.progress = progress
        self._tell = tell
        self._turn = asyncio.Lock()

    async def take(self, lines: bytes, job: Job, rest: Job) -> None:
        async with self._turn:
            progress = self.progress.after(job, rest)
            if lines:
                await self._tell(lines, progress)
            self.progress = progress  # If the client has not taken them, no later cursor says that it has.
