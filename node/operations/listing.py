"""Listing keys in order: what an owner tells of its shard, and how the whole store is put together from that.

An owner lists what it has as `shard_inquiry` says: it asks others first, and tells under one view.

A page is put together from the answers of one owner of each shard, all under one view: so each key is told by just one
shard, and one that is there throughout is told by it. Each answer ends somewhere; the page ends where the first does.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from functools import partial
from itertools import chain
from math import sqrt
from operator import itemgetter
from typing import NamedTuple

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Unavailable
from node.net.messages import Answer, FetchRange, Listed, ListedExpiring, ListKeys, Range
from node.operations.key_order import Part, walk
from node.operations.read_ahead import ReadAhead
from node.operations.routing import NotBrought, Routing
from node.operations.shard_inquiry import ShardInquiry, Telling, pause_after, walked
from node.operations.sightings import Answers
from node.storage.store import Store
from node.timing.clock import Time
from node.timing.deadlines import Timeouts
from node.values.record import expiry_of, head_of, is_live, value_of, version_of
from node.views.holder import Views
from ring.placement import Shard
from ring.sets import ALL

PAGE_BYTES_MAX = 7 * 1024 * 1024
"""Keys and values in one page: with what stands around them, its answer has 8 MiB."""
SHARE_BYTES_MAX = 4 * 1024 * 1024
"""Of it, what one owner tells at most: it travels in one frame."""

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
        inquiry: ShardInquiry,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by which keys expire."""
        self._config = config
        self._now = time.monotonic
        self._store = store
        self._views = views
        self._inquiry = inquiry
        self._now_ms = now_ms
        self._read_ahead = ReadAhead()

    def serve(self, request: ListKeys, budget_s: float) -> Awaitable[Answer]:
        """See `ShardInquiry.serve`."""
        return self._inquiry.serve(self._telling(request), budget_s)

    def carry_out(self, request: ListKeys, view_id: ViewId, deadline: float) -> Awaitable[Answer]:
        """See `ShardInquiry.carry_out`."""
        return self._inquiry.carry_out(self._telling(request), view_id, deadline)

    def fetch(self, asker: Address, request: FetchRange) -> Awaitable[Answer]:
        """See `ShardInquiry.answer`: what is here of the asker's keys, under the view now."""
        partitions = self._views.ring.partitions_of(asker)
        find = partial(self._found, partitions, request.range, request.with_values, with_deletions=True)
        return self._inquiry.answer(find, self._views.view_id)

    def _telling(self, request: ListKeys) -> Telling:
        fetch = FetchRange(request.range, request.with_values)
        return Telling(ALL, fetch, partial(self._tell, request))

    async def _tell(self, request: ListKeys, answers: Answers) -> Listed:
        mine = self._views.ring.partitions_of(self._config.address)
        part = await self._found(mine, request.range, request.with_values, with_deletions=bool(answers))
        listed = self._merged(request, part, answers)
        await pause_after(len(listed.entries))  # It is about to be encoded.
        return listed

    async def _found(self, partitions: Set[int], range_: Range, with_values: bool, with_deletions: bool) -> Part:
        """What is here of these partitions now, and while it is looked for. Deletions tell which of what others have is
        there no more."""

        now_ms = self._now_ms()

        def take(encoded: bytes) -> bytes | None:
            if not with_deletions and not is_live(encoded, now_ms):
                return None
            return encoded if with_values else head_of(encoded)

        merge, occupied = self._read_ahead.take(range_), sorted(partitions & self._store.occupied)
        parts = walk(self._store.ranges, occupied, range_, take, merge, self._now, self._config.walk_s)
        part = await walked(parts)
        self._read_ahead.keep(range_, part.end, merge)
        return part

    def _merged(self, request: ListKeys, part: Part, answers: Answers) -> Listed:
        records, end, now_ms = part.records, part.end, self._now_ms()
        if answers:
            newest = dict(records)
            ends = [end, *self._inquiry.add(newest, answers)]
            end = min((end for end in ends if end is not None), default=None)
            records = [(key, newest[key]) for key in sorted(newest) if end is None or key <= end]
        records = [record for record in records if is_live(record[1], now_ms)]
        if request.with_values:
            entries = [(key, version_of(encoded), value_of(encoded)) for key, encoded in records]
        else:
            entries = [(key, version_of(encoded), None) for key, encoded in records]
        page = cut(entries, end, request.range.limit, request.range.bytes_max)
        told = records[: len(page.entries)] if request.with_values else []
        until = ((key, expiry_of(encoded)) for key, encoded in told)
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
        """The next keys that begin with `prefix`, after `after` (empty: from the first), `limit` at most, and perhaps
        none, where very many have been deleted. Raises Unavailable."""
        page = self._filled(prefix, after, limit, with_values, self._time.monotonic())
        return await self._timeouts.within(self._config.answer_s, page, Unavailable)

    async def _filled(self, prefix: bytes, after: bytes, limit: int, with_values: bool, began: float) -> Page:
        """With something in it, unless that takes a third of the time or more."""
        request_s = self._config.request_s
        page = await self._page(prefix, after, limit, with_values, began + request_s)
        while not page.entries and page.end is not None and self._time.monotonic() < began + request_s / 3:
            page = await self._page(prefix, page.end, limit, with_values, began + request_s)
        return page

    async def _page(self, prefix: bytes, after: bytes, limit: int, with_values: bool, deadline: float) -> Page:
        while True:
            view = self._views.current
            bytes_max = min(SHARE_BYTES_MAX, PAGE_BYTES_MAX // len(view.shards))
            request = ListKeys(Range(prefix, after, share_of(limit, len(view.shards)), bytes_max), with_values)
            shares = await asyncio.gather(*(self._share(view.id, owners, request, deadline) for owners in view.shards))
            told = [share for share in shares if not isinstance(share, NotBrought)]
            if len(told) == len(shares) and all(view_id == view.id for _, view_id in told):
                found = [listed for listed, _ in told]
                await pause_after(sum(len(listed.entries) for listed in found))  # They have just been decoded.
                return _joined(found, limit)
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


def share_of(limit: int, shards: int) -> int:
    """How many keys each of so many shards is asked for, that they fill a page together: more than its share by some
    deviations of what chance gives each. If one has still more to tell, the page ends there."""
    share = limit / shards
    return min(limit, int(share + 3 * sqrt(share)) + 4)


def _joined(shares: Sequence[Listed], limit: int) -> Page:
    end = min((share.end for share in shares if share.end is not None), default=None)
    entries = sorted(chain.from_iterable(share.entries for share in shares), key=itemgetter(0))
    if end is not None:
        del entries[bisect_right(entries, end, key=itemgetter(0)) :]
    expiring = (share for share in shares if isinstance(share, ListedExpiring))
    left_ms = {key: left for share in expiring for key, left in share.left_ms}
    return cut(entries, end, limit, PAGE_BYTES_MAX)._replace(left_ms=left_ms)
