"""What an owner tells those who are watched: which other records its keys have by now, in order.

Three promises, on which `joint` relies:

- Whatever is new here is in the log before anybody is answered who waited for it, whatever brought it.
- What is told is on every owner already, but for those that were left out, which are named. So nobody reads something
  older afterwards, and no owner takes something older any more.
- Where a log begins to be read, all that came before is where every owner that is asked for its keys finds it: whoever
  lists them then misses nothing.

Nothing is kept while nobody asks: a log is closed when nobody has asked for so long that whoever was watched has gone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Collection, Sequence

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced
from node.net.messages import OPENING, Answer, Tail, Tailed, Unable
from node.replication.co_owners import CoOwners
from node.replication.streams import Streams
from node.storage.transaction import Cause, Change
from node.timing.clock import Time
from node.timing.deadlines import Timeouts
from node.views.holder import Views
from node.views.readiness import Readiness
from node.watching.change_log import ChangeLog, Part
from node.watching.spreading import Spreading
from ring.hashing import partition_of

TOLD_BYTES_MAX = 256 * 1024
"""One answer tells about so much."""


class OwnerLog:
    def __init__(
        self,
        config: Config,
        time: Time,
        rng: random.Random,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        streams: Streams,
    ) -> None:
        self._config = config
        self._time = time
        self._rng = rng
        self._views = views
        self._readiness = readiness
        self._streams = streams
        self._log: ChangeLog | None = None
        self._asked_at = 0.0
        self._waiting: dict[Address, asyncio.Event] = {}
        """What wakes whoever waits for something to happen."""
        self._timeouts = Timeouts()
        self._spreading = Spreading(co_owners, streams)
        self._is_stopped = False

    def note(self, changes: Sequence[Change]) -> None:
        """After each commit."""
        if self._log is None or not changes:
            return
        if self._time.monotonic() - self._asked_at > self._config.watch_kept_s:
            self._log = None
            return
        ring, me = self._views.ring, self._config.address
        # What a donor still holds, and sweeps, is not for it to tell.
        if own := [change for change in changes if ring.owns(me, partition_of(change.key))]:
            self._log.append(own)
            self._wake()

    def change_view(self) -> None:
        """Another view is in force: who waits has to ask under that one."""
        self._spreading.change_view()
        self._wake()

    def stop(self) -> None:
        """Let nobody wait any more: this node is about to stop."""
        self._is_stopped = True
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting.values():
            waiting.set()

    def serve(self, asker: Address, tail: Tail) -> Awaitable[Answer]:
        """Answer another node, or this one, under the view now: not when the work begins. ViewIs: another one came in
        force."""
        self._asked_at = self._time.monotonic()
        return self._serve(asker, tail, self._views.view_id)

    async def _serve(self, asker: Address, tail: Tail, view_id: ViewId) -> Answer:
        try:
            answer = await (self._open() if tail.log == OPENING else self._tell(asker, tail, view_id))
        except Fenced:
            return self._views.told()
        if not self._may_tell(view_id):
            return self._views.told() if self._views.view_id != view_id else Unable()
        return answer

    def _may_tell(self, view_id: ViewId) -> bool:
        is_owner = self._config.address in self._views.current.nodes
        return is_owner and self._views.view_id == view_id and self._readiness.enter() and not self._is_stopped

    async def _open(self) -> Tailed:
        if self._log is None:
            self._log = ChangeLog(self._rng.getrandbits(63) or 1, self._config.watch_log_bytes)
        log, end = self._log, self._log.end
        left_out = await self._streams.await_outboxes()
        return Tailed(log.name, (), end, True, tuple(sorted(left_out)))

    async def _tell(self, asker: Address, tail: Tail, view_id: ViewId) -> Answer:
        """Unable: something has been missed."""
        causes = [Cause.TAKEN, Cause.RELAYED]
        causes += [Cause.COPIED] * tail.with_copied + [Cause.EXPIRED] * tail.with_expired
        part = await self._part(asker, tail, causes, view_id)
        if part is None:
            return Unable()
        left_out = await self._spreading.spread(change for _, change in part.changes)
        told = tuple((at, change.key, change.record) for at, change in part.changes)
        return Tailed(tail.log, told, part.end, part.is_whole, tuple(sorted(left_out)))

    async def _part(self, asker: Address, tail: Tail, causes: Collection[Cause], view_id: ViewId) -> Part | None:
        """What there is to tell, once there is something, or the asker has waited long enough. One who asks once more
        meanwhile waits no longer."""
        until = self._time.monotonic() + tail.wait_ms / 1000
        if (earlier := self._waiting.pop(asker, None)) is not None:
            earlier.set()
        after = tail.after
        while True:
            part = (
                None
                if self._log is None or self._log.name != tail.log
                else self._log.after(after, causes, TOLD_BYTES_MAX)
            )
            left_s = until - self._time.monotonic()
            if part is None or part.changes or left_s <= 0 or not self._may_tell(view_id):
                return part
            after = part.end  # Nothing of what came up to there is asked for.
            waiting = self._waiting[asker] = asyncio.Event()
            try:
                await self._timeouts.within(left_s, waiting.wait())
            except TimeoutError:
                until = 0.0
            if self._waiting.get(asker) is not waiting:
                until = 0.0  # It has asked once more.
            else:
                del self._waiting[asker]
