"""Listing keys in order: what an owner tells of its shard, and how the whole store is put together from that.

An owner lists what it has as it reads a single key: first it asks whom it has not synced with, then it looks into its
own store. What is handed over meanwhile is gone there and here by then. And as with a single key, what is told counts
only if the view is still the one under which it was begun.

A page is put together from the answers of one owner of each shard, all under one view: so each key is told by just one
shard, and one that is there throughout is told by it. Each answer ends somewhere; the page ends where the first does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import NamedTuple

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import LargeLate, TooManyCalls, Unavailable
from node.net.messages import (
    Answer,
    Fetched,
    FetchedRange,
    FetchRange,
    Foreign,
    Listed,
    ListedExpiring,
    ListKeys,
    Range,
    Unable,
    Unheard,
)
from node.operations.key_order import Part, walk
from node.operations.routing import NotBrought, Routing
from node.operations.sightings import Answers, Asker, is_to_be_believed, weigh
from node.replication.co_owners import CoOwners
from node.storage.store import Store
from node.timing.clock import Time
from node.timing.deadlines import Timeouts
from node.values.donors import Kind
from node.values.record import expiry_of, head_of, is_live, value_of, version_of
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.placement import Shard

PAGE_BYTES_MAX = 7 * 1024 * 1024
"""Keys and values in one page: with what stands around them, its answer has 8 MiB."""
SHARE_BYTES_MAX = 4 * 1024 * 1024
"""Of it, what one owner tells at most: it travels in one frame."""
SCANS_A_TURN = 16
"""So many looks into the store may hold up the loop: a fifth of a millisecond."""
TURN_S = 0
"""What others get then: one turn."""

Entry = tuple[bytes, bytes, bytes | None]
"""A key, its version, and its value, if that was asked for."""


class Page(NamedTuple):
    entries: tuple[Entry, ...]
    """Ascending by key."""
    end: bytes | None
    """There may be more after this key; None: there are no more."""
    left_ms: Mapping[bytes, int] = {}
    """By key, in how many milliseconds its value expires; of those whose value does, and is told."""


class OwnerListing:
    """The owner's side."""

    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        calls: Calls,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by which keys expire."""
        self._now_ms = now_ms
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._readiness = readiness
        self._co_owners = co_owners
        self._calls = calls
        self._timeouts = Timeouts()

    def serve(self, request: ListKeys, budget_s: float) -> Awaitable[Answer]:
        """Answer another node's call, made under this node's view: the one now, not when the work begins."""
        return self._serve(request, self._views.view_id, self._time.monotonic() + budget_s - self._config.reply_s)

    async def _serve(self, request: ListKeys, view_id: ViewId, deadline: float) -> Answer:
        try:
            left_s = deadline - self._time.monotonic()
            return await self._timeouts.within(left_s, self.carry_out(request, view_id, deadline))
        except TimeoutError:
            return Unable()

    async def carry_out(self, request: ListKeys, view_id: ViewId, deadline: float) -> Answer:
        """What this node tells as an owner under that view. ViewIs: another one is in force."""
        while self._time.monotonic() < deadline:
            if not self._readiness.enter() and not await self._readiness.wait_until_ready(deadline):
                break
            if self._views.view_id != view_id or self._config.address not in self._views.current.nodes:
                return self._views.told()
            answer = await self._attempt(request, view_id)
            if answer is not None:
                return answer
            await asyncio.sleep(self._config.retry_s)
        return Unable()

    def fetch(self, asker: Address, request: FetchRange) -> Awaitable[Answer]:
        """Answer an owner that lists its keys, under the view now: what is here of them, whoever this node is to them.
        ViewIs: another view came in force, and some may have been handed over to others than the asker."""
        return self._fetch(asker, request, self._views.view_id)

    async def _fetch(self, asker: Address, request: FetchRange, view_id: ViewId) -> Answer:
        partitions = self._views.ring.partitions_of(asker)
        part = await self._found(partitions, request.range, request.with_values, with_deletions=True)
        if self._views.view_id != view_id:
            return self._views.told()
        return FetchedRange(tuple(part.records), part.end, self._store.stable_watermark, self._co_owners.may_lack())

    async def _attempt(self, request: ListKeys, view_id: ViewId) -> Answer | None:
        """None: it has come to nothing, and is to be begun anew."""
        mine, asked = self._views.ring.partitions_of(self._config.address), self._not_synced_with()
        try:
            answers = await self._ask(asked, request, view_id)
        except (LargeLate, TooManyCalls):
            return None
        if not self._may_go_on(view_id) or not self._not_synced_with() <= asked:
            return None
        if self._co_owners.is_behind and not any(self._co_owners.get(peer) for peer in _heard(answers)):
            return Unable()
        in_the_way = self._in_the_way(answers, mine)
        if in_the_way is None:
            return None
        if in_the_way:
            return Unheard(tuple(sorted(in_the_way)))
        part = await self._found(mine, request.range, request.with_values, with_deletions=bool(answers))
        if not self._may_go_on(view_id):
            return None
        return self._merged(request, part, answers)

    def _may_go_on(self, view_id: ViewId) -> bool:
        return self._readiness.enter() and self._views.view_id == view_id

    def _not_synced_with(self) -> Set[Address]:
        return {*self._views.donors.shares, *self._co_owners.unleased()}

    async def _ask(self, peers: Iterable[Address], request: ListKeys, view_id: ViewId) -> Answers:
        """None for one that refused the connection or was silent, or whose address another cluster's node has."""

        async def ask(peer: Address) -> Answer | None:
            fetch = FetchRange(request.range, request.with_values)
            answer = await self._calls.ask_patiently(peer, fetch, view_id, bulk=True)
            return None if isinstance(answer, Foreign) else answer

        asked = sorted(peers)
        return dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))

    def _in_the_way(self, answers: Answers, partitions: Iterable[int]) -> set[Address] | None:
        """Who may have what nobody else has, and could not be heard; None: somebody must be asked again."""
        if not answers:
            return set()
        told = {peer: _as_of_one_key(answer) for peer, answer in answers.items()}
        unleased, in_the_way = self._co_owners.unleased(), set[Address]()
        donors_of = {tuple(sorted(donors.items())) for donors in map(self._views.donors.of, partitions)}
        for donors in map(dict, donors_of):
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

    async def _found(self, partitions: Set[int], range_: Range, with_values: bool, with_deletions: bool) -> Part:
        """What is here of these partitions now, and while it is looked for. Deletions tell which of what others have is
        there no more."""

        now_ms = self._now_ms()

        def take(encoded: bytes) -> bytes | None:
            if not with_deletions and not is_live(encoded, now_ms):
                return None
            return encoded if with_values else head_of(encoded)

        parts = walk(self._store, sorted(partitions & self._store.occupied), range_, take)
        for scans, part in enumerate(parts, 1):
            if part is not None:
                return part
            if scans % SCANS_A_TURN == 0:
                await asyncio.sleep(TURN_S)
        raise AssertionError("a walk has no end")

    def _merged(self, request: ListKeys, part: Part, answers: Answers) -> Listed:
        newest, ends, asker = dict(part.records), [part.end], self._asker({})
        for peer, answer in answers.items():
            if isinstance(answer, FetchedRange):
                ends.append(answer.end)
                for key, encoded in answer.records:
                    if is_to_be_believed(encoded, peer, answer.stable_watermark, asker) and (
                        key not in newest or version_of(newest[key]) < version_of(encoded)
                    ):
                        newest[key] = encoded
        end = min((end for end in ends if end is not None), default=None)
        now_ms = self._now_ms()
        live = [key for key in sorted(newest) if is_live(newest[key], now_ms) and (end is None or key <= end)]
        entries = [
            (key, version_of(newest[key]), value_of(newest[key]) if request.with_values else None) for key in live
        ]
        page = cut(entries, end, request.range.limit, request.range.bytes_max)
        until = ((key, expiry_of(newest[key])) for key, *_ in page.entries if request.with_values)
        left_ms = tuple((key, expires_ms - now_ms) for key, expires_ms in until if expires_ms is not None)
        return ListedExpiring(page.entries, page.end, left_ms) if left_ms else Listed(page.entries, page.end)


class Lister:
    """The side of the node that a client has asked."""

    def __init__(self, config: Config, time: Time, views: Views, routing: Routing, owner: OwnerListing) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._routing = routing
        self._owner = owner
        self._timeouts = Timeouts()

    async def page(self, prefix: bytes, after: bytes, limit: int, with_values: bool) -> Page:
        """The next keys that begin with `prefix`, after `after` (empty: from the first), `limit` at most. Raises
        Unavailable."""
        deadline = self._time.monotonic() + self._config.request_s
        page = self._page(prefix, after, limit, with_values, deadline)
        return await self._timeouts.within(self._config.answer_s, page, Unavailable)

    async def _page(self, prefix: bytes, after: bytes, limit: int, with_values: bool, deadline: float) -> Page:
        while True:
            view = self._views.current
            bytes_max = min(SHARE_BYTES_MAX, PAGE_BYTES_MAX // len(view.shards))
            request = ListKeys(Range(prefix, after, limit, bytes_max), with_values)
            shares = await asyncio.gather(*(self._share(view.id, owners, request, deadline) for owners in view.shards))
            told = [share for share in shares if not isinstance(share, NotBrought)]
            if len(told) == len(shares) and all(view_id == view.id for _, view_id in told):
                return _joined([listed for listed, _ in told], limit)
            refusals = [share for share in shares if isinstance(share, NotBrought)]
            if missing := sorted({node for refusal in refusals for node in refusal.unreachable}):
                raise Unavailable(unreachable=missing)
            if self._time.monotonic() >= deadline:
                raise Unavailable()
            if refusals and self._views.current is view:  # It is about to change.
                await asyncio.sleep(self._config.retry_s)

    async def _share(
        self, view_id: ViewId, owners: Shard, request: ListKeys, deadline: float
    ) -> tuple[Listed, ViewId] | NotBrought:
        """What one of the owners of a shard of this view tells, and under which view."""

        def in_turn() -> Sequence[Address]:
            if self._views.view_id != view_id:
                raise NotBrought(frozenset())  # There may be no such shard any more.
            return self._routing.in_order(owners)

        try:
            carry_out = partial(self._owner.carry_out, request, view_id, deadline)
            brought = await self._routing.bring(request, in_turn, carry_out, deadline, bulk=True)
        except NotBrought as refusal:
            return refusal
        assert isinstance(brought.answered.answer, Listed)
        return brought.answered.answer, brought.view_id


def cut(entries: Sequence[Entry], end: bytes | None, limit: int, bytes_max: int) -> Page:
    """As many of these as there may be in one answer, one at least if there is one."""
    kept, room = min(limit, len(entries)), bytes_max
    for number, (key, _, value) in enumerate(entries[:kept]):
        room -= len(key) + len(value or b"")
        if room < 0 and number:
            kept = number
            break
    return Page(tuple(entries[:kept]), entries[kept - 1][0] if kept < len(entries) else end)


def _joined(shares: Sequence[Listed], limit: int) -> Page:
    end = min((share.end for share in shares if share.end is not None), default=None)
    entries = sorted(entry for share in shares for entry in share.entries if end is None or entry[0] <= end)
    expiring = (share for share in shares if isinstance(share, ListedExpiring))
    left_ms = {key: left for share in expiring for key, left in share.left_ms}
    return cut(entries, end, limit, PAGE_BYTES_MAX)._replace(left_ms=left_ms)


def _heard(answers: Answers) -> set[Address]:
    return {peer for peer, answer in answers.items() if isinstance(answer, FetchedRange) and not answer.may_lack}


def _as_of_one_key(answer: Answer | None) -> Answer | None:
    """What an answer says of the keys that it does not name."""
    return Fetched(None, answer.stable_watermark, answer.may_lack) if isinstance(answer, FetchedRange) else answer
