"""All that clients watch through this node: what its owners tell, once for all of them.

As long as somebody watches, and a while after, each shard has a `Follower`. A client that comes is heard once all
owners that can be heard are listened to, so that whatever it lists afterwards, and is told, is everything. Where
something may have been missed it is told that there is a gap, once all are listened to again.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import xxhash

from gossip.view import Address
from node.config import Config
from node.errors import Reason, StorageFault, Unavailable
from node.net.messages import Answer, Tail
from node.timing.clock import Time
from node.timing.deadlines import Timeouts
from node.views.calls import Calls
from node.views.holder import Views
from node.watching.follower import Follower, Place
from node.watching.joint import Event
from node.watching.owner_log import OwnerLog
from node.watching.watcher import Position, Watcher

MOVED = "another view is in force: keys may have moved"
POSITION = r"[0-9a-f]{16}-([0-9]{1,18}(\.[0-9]{1,18})*)?"
_POSITION = re.compile(POSITION)
GONE = "what came after that id is not known any more"
TOO_MUCH = "more came after that id than is told at once"


class Hub:
    """`run` must be running. `own_log`: what this node tells as an owner."""

    def __init__(self, config: Config, time: Time, views: Views, calls: Calls, own_log: OwnerLog) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._calls = calls
        self._own_log = own_log
        self._timeouts = Timeouts()
        self._watchers: dict[tuple[bytes, bool], list[Watcher]] = defaultdict(list)
        """By what they watch: a prefix, or just one key."""
        self._lengths: dict[int, int] = {}
        """Of the prefixes that are watched, and how many of each length."""
        self._wanted = asyncio.Event()
        self._over = asyncio.Event()
        """The followers have to be others: another view is in force, or nobody watches any more."""
        self._open = asyncio.Event()
        """All owners that can be heard are listened to."""
        self._followers: list[Follower] = []
        self._unopened: set[Follower] = set()
        self._logs = ""
        """All the logs that are listened to, and under which view, in few characters."""
        self._position = Position("", {})
        """From where on to go on who has been told of all this."""
        self._left_at = 0.0
        """When the last one stopped watching."""
        self._is_stopped = False

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._over.clear()
            self._open.clear()
            owners_of = sorted(set(self._views.current.shards))
            self._followers = [Follower(self._config, owners, self._ask, self) for owners in owners_of]
            self._unopened = set(self._followers)
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(follower.run()) for follower in self._followers]
                await self._over.wait()
                for task in running:
                    task.cancel()

    async def _ask(self, owner: Address, tail: Tail) -> Answer | None:
        limit_s = tail.wait_ms / 1000 + self._config.request_s
        if owner != self._config.address:
            return await self._calls.try_ask(owner, tail, limit_s, attempt=True)
        try:
            return await self._timeouts.within(limit_s, self._own_log.serve(owner, tail))
        except (TimeoutError, StorageFault):
            return None

    def change_view(self) -> None:
        """Another view is in force."""
        self._own_log.change_view()
        self._open.clear()
        self._over.set()

    def stop(self) -> None:
        """This node is about to stop: nobody is told anything any more."""
        self._own_log.stop()
        self._is_stopped = True
        for watcher in self._all():
            watcher.end()

    # Whoever watches

    async def watch(self, prefix: bytes, is_exact: bool = False, since: str | None = None) -> Watcher:
        """From now on, take note of what happens to keys that begin with `prefix`, or to this one: until `leave`.
        `since`: a position that somebody was told. Raises Unavailable."""
        if older := self._calls.older(sorted(self._views.current.nodes)):
            fault = Unavailable("These nodes are of a release in which nothing can be watched", nodes=older)
            raise fault.because(Reason.RELEASE)
        self._wanted.set()
        try:
            async with asyncio.timeout(self._config.request_s):
                await self._open.wait()
        except TimeoutError:
            raise Unavailable() from None
        self._note_position()
        watcher = Watcher(prefix, is_exact, self._position, self._config.watch_queue_bytes)
        self._join(watcher)
        if self._is_stopped:
            watcher.end()
        elif since is not None:
            watcher.position = Position(since, {})
            await self._go_on(watcher, since)
        return watcher

    def reached(self, watcher: Watcher) -> Position:
        """From where the client is to go on who has been told all that waited for it."""
        self._note_position()
        return watcher.reached(self._position)

    def leave(self, watcher: Watcher) -> None:
        watched = watcher.prefix, watcher.is_exact
        self._watchers[watched].remove(watcher)
        if not self._watchers[watched]:
            del self._watchers[watched]
            self._count(watcher, -1)
        if not self._watchers:
            self._left_at = self._time.monotonic()
            asyncio.get_running_loop().call_later(self._config.watch_kept_s, self._rest)

    def _rest(self) -> None:
        """Listen to nobody, if nobody watches, and for long."""
        if not self._watchers and self._time.monotonic() - self._left_at >= self._config.watch_kept_s:
            self._wanted.clear()
            self._open.clear()
            self._over.set()

    def _join(self, watcher: Watcher) -> None:
        watcher.began = self._time.monotonic()
        watched = self._watchers[watcher.prefix, watcher.is_exact]
        if not watched:
            self._count(watcher, 1)
        watched.append(watcher)

    def _count(self, watcher: Watcher, more: int) -> None:
        """So many more prefixes like the one of `watcher` are watched."""
        if watcher.is_exact:
            return
        length = len(watcher.prefix)
        self._lengths[length] = self._lengths.get(length, 0) + more
        if not self._lengths[length]:
            del self._lengths[length]

    def _all(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    async def _go_on(self, watcher: Watcher, since: str) -> None:
        """Tell it what has happened since, before all else."""
        told, _, numbers = since.partition("-")
        logs, positions = self._logs, self._positions()
        texts = numbers.split(".") if numbers else []
        if told != logs or len(texts) != len(positions):
            self._tell_gap_to(watcher, GONE)
            return
        after = dict(zip(positions, map(int, texts), strict=True))
        limit = self._config.watch_queue_bytes
        try:
            async with asyncio.timeout(self._config.request_s):
                found = await asyncio.gather(
                    *(
                        follower.missed({owner: after[owner] for owner in follower.positions}, limit)
                        for follower in self._followers
                    )
                )
        except TimeoutError:
            found = [None]
        events: list[Event] = []
        up_to: dict[Address, int] = {}
        for some in found:
            if some is None or self._logs != logs:
                self._tell_gap_to(watcher, GONE)
                return
            events += (event for event in some.events if _concerns(watcher, event))
            up_to |= some.up_to
        if not watcher.tell_missed(events, self._position_of(up_to)):
            self._tell_gap_to(watcher, TOO_MUCH)

    # What the owners tell

    def follow(self, shard: Follower, why: str) -> None:
        logs = [(owner, position.log) for owner, position in self._positions().items()]
        self._logs = f"{xxhash.xxh3_64_intdigest(repr((self._views.view_id, logs)).encode()):016x}"
        self._note_position()
        if not self._unopened:
            self._tell_gap(why)
        elif shard in self._unopened:
            self._unopened.remove(shard)
            if not self._unopened:
                self._tell_gap(MOVED)
                self._open.set()

    def _tell_gap(self, why: str) -> None:
        for watcher in self._all():
            self._tell_gap_to(watcher, why)

    def _tell_gap_to(self, watcher: Watcher, why: str) -> None:
        watcher.tell_gap(why, self._position)
        watcher.began = self._time.monotonic()

    def tell(self, shard: Follower, events: Sequence[Event]) -> None:
        before = self._position
        self._note_position()
        if self._unopened:
            return  # There will be a gap, and all of this is what whoever lists then is told.
        now = self._time.monotonic()
        for event in events:
            position = self._position if event is events[-1] else before
            first = shard.expired.first_told(event, now) if event.is_expiry else None
            for watcher in self._concerned(event.key):
                if first is None or first <= watcher.began:
                    watcher.tell(event, position)

    def _concerned(self, key: bytes) -> list[Watcher]:
        found = list(self._watchers.get((key, True), ()))
        for length in self._lengths:
            if length <= len(key):
                found += self._watchers.get((key[:length], False), ())
        return found

    def _positions(self) -> dict[Address, Place]:
        told = {owner: position for follower in self._followers for owner, position in follower.positions.items()}
        return dict(sorted(told.items()))

    def _position_of(self, told: Mapping[Address, int]) -> Position:
        return Position(f"{self._logs}-{'.'.join(str(told[owner]) for owner in sorted(told))}", told)

    def _note_position(self) -> None:
        told = {owner: place.at for owner, place in self._positions().items()}
        is_sure = all(follower.is_sure for follower in self._followers)
        self._position = self._position_of(told) if is_sure else Position(f"{self._logs}-", told)


def is_position(text: str) -> bool:
    """Whether it may be one that somebody was told."""
    return _POSITION.fullmatch(text) is not None


def _concerns(watcher: Watcher, event: Event) -> bool:
    return event.key == watcher.prefix if watcher.is_exact else event.key.startswith(watcher.prefix)
