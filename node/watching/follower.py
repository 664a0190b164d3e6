"""Listening to all owners of one shard: the driver of `joint`.

It goes on with those owners that can be heard. Whenever these are others than before, something may have been missed:
an owner that is gone may have taken what nobody else told, and one that is back what nobody heard. Then all begins
anew, each log from where it was told on: what is not heard from its owner any more is told by those to whom it was
copied. Owners that have left each other out, across a cut, are never listened to together, since what they tell has no
order: the first of them is, and the others once they agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from gossip.view import Address
from node.config import Config
from node.net.messages import OPENING, Answer, Tail, Tailed
from node.values.record import version_of
from node.watching.expired import Expired
from node.watching.joint import FIRST, Event, Joint, Order

REPEATED_MAX = 1000
"""So many answers of an owner are enough to catch up with its log, whatever is written meanwhile."""

Ask = Callable[[Address, Tail], Awaitable[Answer | None]]


class Place(NamedTuple):
    """In the log of an owner."""

    log: int
    at: int


class Missed(NamedTuple):
    events: list[Event]
    up_to: Mapping[Address, int]
    """All that stands in these logs up to there is among them."""


class Listener(Protocol):
    """Who is told."""

    def follow(self, shard: Follower, why: str) -> None:
        """Something may have been missed, or this is the beginning: `shard.members` are listened to from here on."""

    def tell(self, shard: Follower, events: Sequence[Event]) -> None: ...


class _Over(Exception):
    """All has to begin anew."""


class Follower:
    def __init__(self, config: Config, owners: Sequence[Address], ask: Ask, listener: Listener) -> None:
        self._config = config
        self._owners = owners
        self._ask = ask
        self._listener = listener
        self._logs: dict[Address, int] = {}
        """Of the owners that are listened to, in the order of the ring."""
        self._joint = Joint({})
        self.expired = Expired(())
        """What has been told since they are listened to."""
        self._untold: dict[bytes, Order] = {}
        """Of what was heard first, of each key the newest."""
        self._unsure: set[Address] = set()
        """Those who have yet to tell all that came before they had what was heard first."""
        self._asked: dict[Address, int] = {}
        """Of each of them: what `joint` gave when it was last asked."""
        self._prompted: set[Address] = set()
        """Those who are being asked once more."""
        self._over: asyncio.Future[str]
        """Why listening has ended."""
        self._tasks: asyncio.TaskGroup
        self._running: set[asyncio.Task[None]] = set()

    @property
    def is_sure(self) -> bool:
        """Whether it can be gone on from `positions`: nothing stands behind them that is older than what was never
        told."""
        return not self._unsure

    @property
    def positions(self) -> dict[Address, Place]:
        """Up to where all has been told, of those that are listened to."""
        return {owner: Place(log, self._joint.told[owner]) for owner, log in self._logs.items()}

    async def run(self) -> None:
        why = "it begins"
        while True:
            try:
                await self._begin(agreeing(await self._open()))
            except _Over:
                await asyncio.sleep(self._config.retry_s)
                continue
            self._listener.follow(self, why)
            why = await self._listen()

    async def _open(self) -> dict[Address, Tailed]:
        tail = Tail(OPENING, 0, 0, False, False)
        answers = await asyncio.gather(*(self._ask(owner, tail) for owner in self._owners))
        return {
            owner: answer for owner, answer in zip(self._owners, answers, strict=True) if isinstance(answer, Tailed)
        }

    async def _begin(self, opened: Mapping[Address, Tailed]) -> None:
        """What is heard first is told to nobody: these logs were not opened in one moment, and something newer may
        stand before the beginning of another one. It is on all owners by then, for whoever lists their keys; but what
        has expired on one of them may have yet to expire on another. Raises _Over."""
        logs = {owner: answer.log for owner, answer in opened.items()}
        # What fails is no exception: where one of these fails just when all are cancelled, that would be lost.
        rests = await asyncio.gather(*(self._rest_of(logs, owner, opened[owner].up_to) for owner in logs))
        first = [rest for rest in rests if rest is not None]
        if len(first) < len(rests):
            raise _Over
        self._untold = {}
        for event in (event for events, _ in first for event in events):
            order = version_of(event.record), False
            self._untold[event.key] = max(order, self._untold.get(event.key, order))
        self._logs, self._unsure, self.expired = logs, set(logs), Expired(logs)
        self._joint = Joint({owner: end for owner, (_, end) in zip(logs, first, strict=True)})
        self._asked = dict.fromkeys(logs, 0)
        self._prompted.clear()

    async def _rest_of(self, logs: Mapping[Address, int], owner: Address, after: int) -> tuple[list[Event], int] | None:
        """What stands in a log, and where it ends; None: that could not be heard."""
        found: list[Event] = []
        try:
            for _ in range(REPEATED_MAX):
                answer = await self._tailed(logs, owner, after, 0)
                found += (Event(key, record) for _, key, record in answer.changes)
                after = answer.up_to
                if answer.is_whole:
                    return found, after
        except _Over:
            pass
        return None

    async def _listen(self) -> str:
        """Until something may have been missed: why."""
        self._over = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as self._tasks:
            for owner in self._logs:
                self._start(partial(self._hear, owner))
            if len(self._logs) < len(self._owners):
                self._start(self._await_more)
            why = await self._over
            for task in self._running:
                task.cancel()
        return why

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        """A part of the listening, of which the first to end ends the whole."""

        async def run() -> None:
            try:
                await work()
            except _Over as over:
                if not self._over.done():
                    self._over.set_result(str(over))

        task = self._tasks.create_task(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _await_more(self) -> None:
        """Until more owners can be listened to."""
        while True:
            await asyncio.sleep(self._config.watch_retry_s)
            if len(agreeing(await self._open())) > len(self._logs):
                raise _Over("an owner of some keys is heard again")

    async def _hear(self, owner: Address) -> None:
        while True:
            is_awaited = owner in self._unsure or self._joint.is_awaited(owner, self._asked[owner])
            await self._hear_once(owner, 0 if is_awaited else self._config.watch_park_s)

    async def _hear_once(self, owner: Address, wait_s: float) -> None:
        asked = self._asked[owner] = self._joint.ask()
        answer = await self._tailed(self._logs, owner, self._joint.heard[owner], wait_s)
        events = self._joint.hear(owner, asked, answer.changes, answer.up_to, answer.is_whole)
        if answer.is_whole:
            self._unsure.discard(owner)
        if self._untold:
            events = [event for event in events if event.order > self._untold.get(event.key, FIRST)]
        if events:
            self._listener.tell(self, events)
        self._prompt()

    def _prompt(self) -> None:
        """Ask those once more whom something waits for that others have told: that ends their waiting for news."""
        for owner, asked in self._asked.items():
            if owner not in self._prompted and self._joint.is_awaited(owner, asked):
                self._prompted.add(owner)
                self._start(partial(self._hear_prompted, owner))

    async def _hear_prompted(self, owner: Address) -> None:
        await self._hear_once(owner, 0)
        self._prompted.discard(owner)
        self._prompt()

    async def _tailed(self, logs: Mapping[Address, int], owner: Address, after: int, wait_s: float) -> Tailed:
        is_short = len(logs) < len(self._owners)
        answer = await self._ask(owner, Tail(logs[owner], after, int(1000 * wait_s), is_short, True))
        if not isinstance(answer, Tailed):
            raise _Over("an owner of some keys could not be heard")
        if not logs.keys().isdisjoint(answer.left_out):
            raise _Over("an owner of some keys was left out of a write")
        return answer

    async def missed(self, after: Mapping[Address, int], bytes_max: int) -> Missed | None:
        """What has been told after these positions of the logs that are listened to, and perhaps more. None: nobody can
        tell, or it is more than so much."""
        joint, found, logs = Joint(after), list[Event](), self._logs

        async def hear(owner: Address) -> None:
            for _ in range(REPEATED_MAX):
                asked = joint.ask()
                answer = await self._tailed(logs, owner, joint.heard[owner], 0)
                found.extend(joint.hear(owner, asked, answer.changes, answer.up_to, answer.is_whole))
                if answer.is_whole:
                    return
                if sum(len(event.record) for event in found) > bytes_max:
                    break
            raise _Over

        try:
            for _ in range(2):  # What is told in the first round is told on in the second.
                for owner in after:
                    await hear(owner)
        except _Over:
            return None
        return Missed(found, joint.told)


def agreeing(opened: Mapping[Address, Tailed]) -> dict[Address, Tailed]:
    """Those that can be listened to together: none of them has left out another one."""
    kept: dict[Address, Tailed] = {}
    for owner, answer in opened.items():
        if kept.keys().isdisjoint(answer.left_out) and not any(owner in other.left_out for other in kept.values()):
            kept[owner] = answer
    return kept
