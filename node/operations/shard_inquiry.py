"""What an owner finds out from others before it tells many keys of its shard: the pages of a listing, an export.

It tells them as it reads a single key: first it asks whom it has not synced with, then it looks into its own store.
What is handed over meanwhile is gone there and here by then. And as with a single key, what is told counts only if the
view is still the one under which it was begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Set
from typing import NamedTuple

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import LargeLate, TooManyCalls
from node.net.messages import (
    Answer,
    Fetched,
    FetchedRange,
    FetchPartitions,
    FetchRange,
    Foreign,
    Unable,
    Unheard,
)
from node.operations.key_order import LOOKS_A_TURN, Part
from node.operations.sightings import Answers, Asker, is_to_be_believed, weigh
from node.replication.co_owners import CoOwners
from node.storage.store import Store
from node.timing.clock import Time
from node.timing.deadlines import Timeouts
from node.values.donors import Kind
from node.values.record import version_of
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness

PAUSE_S = 0.001
"""What others get after each part of a walk, which takes a tenth of that: not only the loop's other tasks, for which a
turn would do, but also those who share the processor. Without a pause, a listing keeps all nodes of a machine busy at
the same time, and every request there waits until the scheduler has gone round them."""


class Telling(NamedTuple):
    """What an owner is to tell of its shard."""

    partitions: int
    """Of these, a set as in `ring.sets`, as far as they are its own."""
    fetch: FetchRange | FetchPartitions
    """The question to those it has not synced with."""
    tell: Callable[[Answers], Awaitable[Answer]]
    """Looks into the store, and puts together what is there with what others have answered."""


class ShardInquiry:
    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        calls: Calls,
    ) -> None:
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._readiness = readiness
        self._co_owners = co_owners
        self._calls = calls
        self._timeouts = Timeouts()

    def serve(self, telling: Telling, budget_s: float) -> Awaitable[Answer]:
        """Answer another node's call, made under this node's view: the one now, not when the work begins."""
        return self._serve(telling, self._views.view_id, self._time.monotonic() + budget_s - self._config.reply_s)

    async def _serve(self, telling: Telling, view_id: ViewId, deadline: float) -> Answer:
        try:
            left_s = deadline - self._time.monotonic()
            return await self._timeouts.within(left_s, self.carry_out(telling, view_id, deadline))
        except TimeoutError:
            return Unable()

    async def carry_out(self, telling: Telling, view_id: ViewId, deadline: float) -> Answer:
        """What this node tells as an owner under that view. ViewIs: another one is in force."""
        while self._time.monotonic() < deadline:
            if not self._readiness.enter() and not await self._readiness.wait_until_ready(deadline):
                break
            if self._views.view_id != view_id or self._config.address not in self._views.current.nodes:
                return self._views.told()
            answer = await self._attempt(telling, view_id)
            if answer is not None:
                return answer
            await asyncio.sleep(self._config.retry_s)
        return Unable()

    async def answer(self, find: Callable[[], Awaitable[Part]], view_id: ViewId) -> Answer:
        """Answer an owner that asks this node, whoever it is to it, under a view. ViewIs: another one came in force,
        and some may have been handed over to others than the asker."""
        part = await find()
        if self._views.view_id != view_id:
            return self._views.told()
        return FetchedRange(tuple(part.records), part.end, self._store.stable_watermark, self._co_owners.may_lack())

    def add(self, newest: dict[bytes, bytes], answers: Answers) -> list[bytes | None]:
        """Put what others have told into `newest`, which holds the newest record of each key, where it counts and is
        newer. Returns where each of them ends."""
        ends, asker = [], self._asker({})
        for peer, answer in answers.items():
            if isinstance(answer, FetchedRange):
                ends.append(answer.end)
                for key, encoded in answer.records:
                    if is_to_be_believed(encoded, peer, answer.stable_watermark, asker) and (
                        key not in newest or version_of(newest[key]) < version_of(encoded)
                    ):
                        newest[key] = encoded
        return ends

    async def _attempt(self, telling: Telling, view_id: ViewId) -> Answer | None:
        """None: it has come to nothing, and is to be begun anew."""
        mine = telling.partitions & self._views.ring.bits_of(self._config.address)
        asked = self._not_synced_with(mine)
        try:
            answers = await self._ask(asked, telling.fetch, view_id)
        except (LargeLate, TooManyCalls):
            return None
        if not self._may_go_on(view_id) or not self._not_synced_with(mine) <= asked:
            return None
        if self._co_owners.is_behind and not any(self._co_owners.get(peer) for peer in _heard(answers)):
            return Unable()
        in_the_way = self._in_the_way(answers, mine)
        if in_the_way is None:
            return None
        if in_the_way:
            return Unheard(tuple(sorted(in_the_way)))
        answer = await telling.tell(answers)
        return answer if self._may_go_on(view_id) else None

    def _may_go_on(self, view_id: ViewId) -> bool:
        return self._readiness.enter() and self._views.view_id == view_id

    def _not_synced_with(self, partitions: int) -> Set[Address]:
        donors = (donor for donor, share in self._views.donors.shares.items() if share.partitions & partitions)
        return {*donors, *self._co_owners.unleased()}

    async def _ask(self, peers: Iterable[Address], fetch: FetchRange | FetchPartitions, view_id: ViewId) -> Answers:
        """None for one that refused the connection or was silent, or whose address another cluster's node has."""

        async def ask(peer: Address) -> Answer | None:
            answer = await self._calls.ask_patiently(peer, fetch, view_id, bulk=True)
            return None if isinstance(answer, Foreign) else answer

        asked = sorted(peers)
        return dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))

    def _in_the_way(self, answers: Answers, partitions: int) -> set[Address] | None:
        """Who may have what nobody else has, and could not be heard; None: somebody must be asked again."""
        if not answers:
            return set()
        told = {peer: _as_of_one_key(answer) for peer, answer in answers.items()}
        unleased, in_the_way = self._co_owners.unleased(), set[Address]()
        for donors in self._views.donors.of_each(partitions):
            concerned = {peer: told[peer] for peer in told if peer in donors or peer in unleased}
            if not concerned:
                continue
            sightings = weigh(concerned, self._asker(donors))
            if sightings.is_undecided:
                return None
            if not sightings.is_complete:
                in_the_way |= {peer for peer in concerned if peer not in sightings.heard}
        return in_the_way

    def _asker(self, donors: Mapping[Address, Kind]) -> Asker:
        me = self._config.address
        return Asker(
            self._views.current.nodes,
            (me, *self._views.ring.co_owners(me)),
            donors,
            self._co_owners.is_waiting_to_be_filled(),
            self._store.purge_watermark,
            self._store.may_revive,
        )


async def pause_after(count: int) -> None:
    """After something was made of so many entries, and before as much is made of them again, unless they are few."""
    if count > LOOKS_A_TURN:
        await asyncio.sleep(PAUSE_S)


async def walked(parts: Iterator[Part | None]) -> Part:
    """The end of a walk through the store, which pauses after each part, the last one too: what is made of it takes as
    long as another one."""
    for part in parts:
        await asyncio.sleep(PAUSE_S)
        if part is not None:
            return part
    raise AssertionError("a walk has no end")


def _heard(answers: Answers) -> set[Address]:
    return {peer for peer, answer in answers.items() if isinstance(answer, FetchedRange) and not answer.may_lack}


def _as_of_one_key(answer: Answer | None) -> Answer | None:
    """What an answer says of the keys that it does not name."""
    return Fetched(None, answer.stable_watermark, answer.may_lack) if isinstance(answer, FetchedRange) else answer
