"""Brings the operations of a batch to the owners of their keys, many in each request, and their results back in order.

Does what `kvs.batch_state` decides. Belongs to the event loop in which it is made. Whoever gives operations waits for
`room`, whoever takes results for `results`; both may be one task, see `exchange`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from kvs.answers import body_in, no_result, refused
from kvs.asking import Asker
from kvs.batch_state import Chunk, Lane, Window, lanes_by
from kvs.errors import KvsError, Misuse
from kvs.http import Malformed
from kvs.operations import Slot
from kvs.repeating import Effect, Failed, Patience
from kvs.responses import ErrorBody
from ring.hashing import PARTITIONS, partition_of

LINGER_S = 0.002
"""An operation waits no longer than this for others to go with it."""
PATH = "/kvs/batch"


class Batch:
    def __init__(self, asker: Asker, patience: Patience) -> None:
        self._asker = asker
        self._patience = patience
        self._window = Window()
        self._changed = asyncio.Event()
        self._is_ended = False
        self._failure: BaseException | None = None
        self._tasks = set[asyncio.Task[None]]()
        self._linger: asyncio.TimerHandle | None = None
        self._group()

    def add(self, slots: Iterable[Slot]) -> None:
        """Begin with more operations."""
        if self._is_regrouping and not self._window.unsettled:
            self._group()
        window, lanes = self._window, self._lanes
        for slot in slots:
            window.add(slot)
            if slot.outcome is None:
                lane = lanes[partition_of(slot.key)]
                lane.waiting.append(slot)
                if lane.is_ready and not lane.is_busy:
                    self._start(lane)
        self._changed.set()
        if self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER_S, self._flush)

    def end(self) -> None:
        """No more will be added."""
        self._is_ended = True
        self._flush()
        self._changed.set()

    async def room(self) -> None:
        """Wait until more may be added."""
        await asyncio.sleep(0)
        while self._is_full and self._failure is None:
            await self._change()

    async def results(self) -> list[Slot]:
        """The next operations whose outcomes are known, in the order in which they were added; none at the end. Raises
        Misuse."""
        while True:
            if self._failure is not None:
                raise self._failure
            if self._window.has_results:
                taken = self._window.take()
                self._changed.set()
                return taken
            if self._is_ended and self._window.head is None:
                return []
            await self._change()

    def take(self) -> list[Slot]:
        """The results that are there, without waiting for any."""
        return self._window.take()

    async def exchange(self, slots: Iterable[Slot], got: Callable[[list[Slot]], None]) -> None:
        """Begin with more operations, and wait until still more may be added; the results that come by then are `got`.
        Raises Misuse."""
        self.add(slots)
        await asyncio.sleep(0)
        got(self.take())
        while self._is_full:
            got(await self.results())

    async def rest(self) -> list[Slot]:
        """The same as `results`, when no more will be added."""
        if not self._is_ended:
            self.end()
        return await self.results()

    async def close(self) -> None:
        """Give up what is under way; it may happen all the same."""
        if self._linger is not None:
            self._linger.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def _is_full(self) -> bool:
        """While it regroups too, until nothing is under way: operations of one key may not overtake each other, the one
        in its old lane and the other in its new one."""
        return self._window.is_full or (self._is_regrouping and self._window.unsettled > 0)

    @property
    def _is_regrouping(self) -> bool:
        return self._asker.nodes.owners is not self._owners

    def _group(self) -> None:
        self._owners = self._asker.nodes.owners
        self._lanes = lanes_by(self._owners or ((),) * PARTITIONS)
        self._each_lane = list({id(lane): lane for lane in self._lanes}.values())

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _flush(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        for lane in self._each_lane:
            if lane.waiting and not lane.is_busy:
                self._start(lane)

    def _start(self, lane: Lane) -> None:
        lane.is_busy = True
        task = asyncio.get_running_loop().create_task(self._run(lane))
        self._tasks.add(task)
        task.add_done_callback(self._has_run)

    def _has_run(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            self._changed.set()

    async def _run(self, lane: Lane) -> None:
        try:
            while lane.waiting:
                await self._send(Chunk(lane.next_chunk(), self._window))
        finally:
            lane.is_busy = False  # At once: what is added from now on has to start it again.

    async def _send(self, chunk: Chunk) -> None:
        key, effect = chunk.left[0].key, chunk.effect
        course = self._asker.course(
            lambda: self._asker.nodes.in_turn(key, reads=effect is Effect.NONE), effect, self._patience
        )
        try:
            await self._asker.pursue(course, partial(self._try, chunk))
        except Misuse:
            raise
        except KvsError as fault:
            chunk.give_up(fault)
            self._changed.set()

    async def _try(self, chunk: Chunk, node: str, within_s: float | None) -> None:
        """Raises Failed, or BadRequest if the node refuses all of it."""
        try:
            await self._ask(chunk, node, within_s)
        except Failed as failure:
            chunk.broke(failure)
            raise
        finally:
            self._changed.set()
        chunk.ended()

    async def _ask(self, chunk: Chunk, node: str, silence_s: float | None) -> None:
        """`silence_s`: for each part of the answer to come."""
        async with self._asker.stream(node, "POST", PATH, chunk.request(node), silence_s) as stream:
            try:
                head = await stream.head()
                if head.status != 200:
                    reply = await stream.whole()
                    refusal = body_in(reply, ErrorBody)
                    if reply.status >= 500:
                        raise no_result(reply, refusal)
                    if reply.status in (404, 405):
                        raise Failed("its release takes no batches", sent=False)
                    raise refused(reply.status, refusal.line)
                while part := await stream.read():
                    forwarded = chunk.came(part)
                    if forwarded is not None:
                        self._asker.forwarded(forwarded, node)
                    if self._window.has_results:
                        self._changed.set()
                    while self._window.is_heavy and chunk.may_pause:
                        await self._change()
            except Malformed as fault:
                raise Failed(str(fault), sent=True) from None
