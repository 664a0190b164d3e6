"""How the owners of a shard keep each other in step: leases, streams, and who may be left out of a write.

For each co-owner there is a `Pair`. Two promises hold together, and each needs the other:

- *Whoever answers a read alone has all that was acknowledged.* A co-owner is asked every 100 ms whether this node has
  everything it has; its "everything" is a lease, good for 400 ms from the moment the question was *sent*. Without a
  lease, this node asks that co-owner before it answers.
- *A write is acknowledged when each co-owner has it on disk, or can know that it may not have it.* One that is silent
  is left out only when no "everything" of this node can count any more at the other end.

What changes here goes out to all co-owners by streams, whatever brought it: a client, a donor, another co-owner that
cannot reach the third one itself. A co-owner that was never compared with (a new view, a start, an overflow), or that
owes a confirmation for long, is not told "everything". The comparison itself is the business of `sync`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence

from gossip.view import Address, Stamp
from node.batch import News
from node.clock import Time
from node.config import Config
from node.errors import Fenced, PeerFault, StorageFault
from node.gate import Gate
from node.outbox import Outbox
from node.records import decode_record
from node.store import Store
from node.transport import Transport
from node.views import Views
from node.wire import Answer, Beat, Beaten, Replicate, Taken, Unable, ViewIs
from ring.hashing import partition_of

log = logging.getLogger(__name__)

STREAM_KEYS_MAX = 256
STREAM_BYTES_MAX = 256 * 1024
"""Of one message of a stream. It is confirmed as a whole, and a write waits for its message."""
RETRY_S = 0.02
RELAY_SHARE = 1.5
"""Of a silence, that a relay may take: the co-owner that asked for it waits for two."""


class Pair:
    """This node and one co-owner, under one view."""

    def __init__(self, peer: Address, granted_at: float) -> None:
        self.peer = peer
        self.outbox = Outbox()
        self.is_compared = False
        """Whether the co-owner has all that this node has, but for what is in the outbox."""
        self.store_id: int | None = None
        """The co-owner's, as last heard: an emptied disk is another store."""
        self.is_another = False
        """Whether it has become another store since the comparison under way began."""
        self.is_silent = False
        """Whether it could be left out when it was last tried."""
        self.granted_at = granted_at
        """When this node last said "everything", or may have let another one say it."""
        self.is_owed = False
        """Whether the co-owner has something for this node in its outbox that should have been here by now."""
        self.leased_at = float("-inf")
        """When this node sent the last question that was answered "everything"."""


class Pairs:
    """Needs a running event loop; `run` must be running."""

    def __init__(
        self, config: Config, time: Time, store_id: int, store: Store, views: Views, gate: Gate, transport: Transport
    ) -> None:
        self._config = config
        self._time = time
        self._store_id = store_id
        self._store = store
        self._views = views
        self._gate = gate
        self._transport = transport
        self._pairs: dict[Address, Pair] = {}
        self._changed = asyncio.Event()
        self._is_stopping = False
        store.on_news = self._spread
        gate.listeners.append(self._drop_leases)
        views.listeners.append(self._change_view)
        self._change_view()

    async def run(self) -> None:
        """Beat and stream, for as long as the node runs."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                running = [
                    tasks.create_task(work(pair))
                    for pair in self._pairs.values()
                    for work in (self._beat, self._stream)
                ]
                await self._changed.wait()
                for task in running:
                    task.cancel()

    def stop(self) -> None:
        """Give up all leases, and give none any more: others will take this node's silence for its end."""
        self._is_stopping = True

    def _change_view(self) -> None:
        """What was promised under the view before holds for as long as it can count; all else begins anew."""
        before, now = self._pairs, self._time.monotonic()
        for pair in before.values():
            pair.outbox.give_up()
        peers = self._views.ring.co_owners(self._config.address)
        self._pairs = {peer: Pair(peer, granted_at=now) for peer in peers}
        self._changed.set()

    def is_alone(self) -> bool:
        """Whether this node has no co-owners."""
        return not self._pairs

    # Leases

    def unleased(self) -> Collection[Address]:
        """The co-owners that must be asked before this node answers; none if it may answer alone."""
        if not self._pairs:
            return ()
        expired = self._time.monotonic() - self._config.lease_s
        return [peer for peer, pair in self._pairs.items() if pair.leased_at <= expired or self._is_stopping]

    def _drop_leases(self) -> None:
        """At a standstill."""
        for pair in self._pairs.values():
            pair.leased_at = float("-inf")

    def grant(self, sender: Address, beat: Beat) -> Answer:
        """Answer a co-owner's heartbeat."""
        pair = self._pairs.get(sender)
        if pair is None or self._is_stopping or not self._gate.is_open():
            return Unable()
        if pair.store_id not in (None, beat.store_id):
            pair.is_compared, pair.is_another = False, True
        pair.store_id = beat.store_id
        now = self._time.monotonic()
        owed_since = pair.outbox.oldest_since()
        in_step = self._is_in_step(pair)
        everything = in_step and (owed_since is None or now - owed_since < self._config.owing_s)
        if everything:
            pair.granted_at = now
        return Beaten(everything, in_step and not everything)

    async def _beat(self, pair: Pair) -> None:
        while True:
            sent_at = self._time.monotonic()
            try:
                answer = await self._transport.call(
                    pair.peer, Beat(self._store_id), self._views.stamp, self._config.silence_s
                )
            except PeerFault:
                answer = Unable()
                self._note_silence(pair)
            if isinstance(answer, ViewIs):
                await self._views.take(answer.view, pair.peer)
            if isinstance(answer, Beaten):
                pair.is_silent = False
                pair.leased_at = sent_at if answer.everything else float("-inf")
                pair.is_owed = answer.owing
            await asyncio.sleep(max(0.0, sent_at + self._config.beat_s - self._time.monotonic()))

    # Comparisons, which `sync` makes

    def out_of_step(self) -> list[Address]:
        """The co-owners that may lack something that is not in their outbox."""
        return [peer for peer, pair in self._pairs.items() if not self._is_in_step(pair)]

    def to_compare(self) -> list[Address]:
        """Those of them with which it is time to compare: not while one cannot be reached, nor while it is about to
        send what this node has missed, for then they would differ in all that."""
        return [
            peer for peer in self.out_of_step() if not self._transport.is_down(peer) and not self._pairs[peer].is_owed
        ]

    def start_comparison(self, peer: Address) -> Pair | None:
        """What changes from here on is for the stream."""
        pair = self._pairs.get(peer)
        if pair is not None:
            pair.is_compared = False
            pair.outbox.start_over()
            pair.is_another = False
        return pair

    def end_comparison(self, pair: Pair) -> None:
        """The co-owner has all that was here when it started; unless it was another one then."""
        if not pair.outbox.has_overflowed and not pair.is_another:
            pair.is_compared = True
            pair.outbox.compared()

    def _is_in_step(self, pair: Pair) -> bool:
        return pair.is_compared and not pair.outbox.has_overflowed

    # What changes here

    def _spread(self, news: Sequence[News]) -> None:
        now = self._time.monotonic()
        for peer, pair in self._pairs.items():
            for key, but in news:
                if peer not in but:
                    pair.outbox.append(key, now)

    async def everywhere(self, keys: Sequence[bytes], but: Collection[Address] = (), earliest: float = 0.0) -> bool:
        """Returns once all co-owners but these have what is now held of `keys` on disk, or were left out, which is not
        done before `earliest` (monotonic): whether none was. Raises Fenced if the view changes meanwhile."""
        pairs = [pair for peer, pair in self._pairs.items() if peer not in but]
        left_out: set[Address] = set()
        while keys and len(left_out) < len(pairs):
            others = [pair for pair in pairs if pair.peer not in left_out]
            if left_out:  # The others must know, lest they go on telling those that they have everything.
                told = (self._config.address, *but, *(pair.peer for pair in others))
                have = await asyncio.gather(*(self._relay(pair, keys, told, earliest) for pair in others))
            else:
                awaited = [(pair, self._position(pair, keys)) for pair in others]
                have = [await self._has_confirmed(pair, position, earliest) for pair, position in awaited]
            if any(self._pairs.get(pair.peer) is not pair for pair in pairs):
                raise Fenced(str(self._views.stamp))
            if all(have):
                break
            left_out |= {pair.peer for pair, has in zip(others, have, strict=True) if not has}
        return not left_out

    def _position(self, pair: Pair, keys: Sequence[bytes]) -> int:
        """The position whose confirmation says that the co-owner has them all."""
        now, outbox = self._time.monotonic(), pair.outbox
        return max(outbox.position_of(key) or outbox.append(key, now) for key in keys)

    async def caught_up(self, but: Collection[Address]) -> None:
        """Returns once all co-owners but these have all that is in their outboxes now, or were left out. Raises
        Fenced."""
        pairs = [pair for peer, pair in self._pairs.items() if peer not in but and len(pair.outbox)]
        for pair, position in [(pair, pair.outbox.position) for pair in pairs]:
            await self._has_confirmed(pair, position, 0.0)
        if any(self._pairs.get(pair.peer) is not pair for pair in pairs):
            raise Fenced(str(self._views.stamp))

    async def _relay(self, pair: Pair, keys: Sequence[bytes], told: tuple[Address, ...], earliest: float) -> bool:
        """Have the co-owner see to it that all but those `told` have `keys` too, or are left out by it. Not by its
        stream, which would stand still until then: two co-owners that relay to each other would wait for ever. False:
        it was left out itself."""
        records = [(key, self._store.encoded(partition_of(key), key)) for key in keys]
        request = Replicate(tuple((key, record) for key, record in records if record is not None), True, told)
        while self._pairs.get(pair.peer) is pair:
            try:
                timeout_s = 2 * self._config.silence_s
                answer = await self._transport.call(pair.peer, request, self._views.stamp, timeout_s)
            except PeerFault as fault:
                log.debug("relay to %s: %s", pair.peer, fault)
                answer = Unable()
            if isinstance(answer, Taken):
                return True
            if isinstance(answer, ViewIs):
                await self._views.take(answer.view, pair.peer)
            if self._may_be_left_out(pair) and self._time.monotonic() >= earliest:
                return False
            await asyncio.sleep(RETRY_S)
        return False

    async def _has_confirmed(self, pair: Pair, position: int, earliest: float) -> bool:
        """False: it was left out."""
        while self._pairs.get(pair.peer) is pair:
            if not self._may_be_left_out(pair):
                if await pair.outbox.confirmation(position):
                    return True
            elif (wait_s := earliest - self._time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            else:
                return False
        return False

    def _note_silence(self, pair: Pair) -> None:
        """Nobody shall wait for a co-owner that may be left out. It may have told one of the others what it could not
        tell all of them any more, so these compare what they hold."""
        if not self._may_be_left_out(pair):
            pair.is_silent = False
            return
        pair.outbox.give_up()
        if not pair.is_silent:
            pair.is_silent = True
            for other in self._pairs.values():
                other.is_compared = other.is_compared and other is pair

    def _may_be_left_out(self, pair: Pair) -> bool:
        """It is silent or gone, and no lease that it may have can count any more."""
        return self._transport.is_down(pair.peer) and self._time.monotonic() > pair.granted_at + self._config.lease_s

    # What is known to be everywhere

    def is_everywhere(self, key: bytes) -> bool:
        """Whether every co-owner is known to have what is held of `key`. Of several, one may have sent it here that has
        yet to bring it to the others."""
        return len(self._pairs) < 2 and all(
            self._is_in_step(pair) and pair.outbox.position_of(key) is None for pair in self._pairs.values()
        )

    def marks(self) -> Mapping[Pair, int]:
        """How far it is to `have_passed`."""
        return {pair: pair.outbox.position for pair in self._pairs.values()}

    def have_passed(self, marks: Mapping[Pair, int]) -> bool:
        """Whether each co-owner has all that was here at `marks`, but for what other co-owners had sent; never again
        after a change of view."""
        return marks.keys() == set(self._pairs.values()) and all(
            self._is_in_step(pair) and pair.outbox.is_past(mark) for pair, mark in marks.items()
        )

    # Streams

    async def _stream(self, pair: Pair) -> None:
        while True:
            await pair.outbox.filled.wait()
            try:
                sent = await self._send(pair)
            except StorageFault as fault:  # Reads fail too, until the disk is well again.
                log.error("stream to %s: %s", pair.peer, fault)
                sent = False
            if not sent:
                self._note_silence(pair)
                await asyncio.sleep(RETRY_S)

    async def _send(self, pair: Pair) -> bool:
        """Whether the head of the outbox has been confirmed."""
        if self._transport.is_down(pair.peer):
            return False  # What would be sent need not be read. The beats find out when it is back.
        records: list[tuple[bytes, bytes]] = []
        position, room = 0, STREAM_BYTES_MAX
        for entry in pair.outbox.head(STREAM_KEYS_MAX):
            encoded = self._store.encoded(partition_of(entry.key), entry.key)
            if encoded is not None:
                room -= len(encoded)
                if room < 0 and records:
                    break
                records.append((entry.key, encoded))
            position = entry.position
        pair.outbox.sent(position)
        request, timeout_s = Replicate(tuple(records), False, self._told(pair)), self._config.silence_s
        try:
            answer = await self._transport.call(pair.peer, request, self._views.stamp, timeout_s)
        except PeerFault as fault:
            log.debug("stream to %s: %s", pair.peer, fault)
            return False
        if isinstance(answer, ViewIs):
            await self._views.take(answer.view, pair.peer)
        if isinstance(answer, Taken):
            pair.outbox.confirm(position)
        return isinstance(answer, Taken)

    def _told(self, pair: Pair) -> tuple[Address, ...]:
        """Who has this node's word, if not all of them have: the co-owner must not tell the others any more that they
        have everything. Nobody, if all is well: it need not care."""
        well = {peer for peer, other in self._pairs.items() if other is pair or self._is_well(other)}
        return () if len(well) == len(self._pairs) else (self._config.address, *sorted(well))

    def _is_well(self, pair: Pair) -> bool:
        owed_since = pair.outbox.oldest_since()
        owes = owed_since is not None and self._time.monotonic() - owed_since >= self._config.owing_s
        return self._is_in_step(pair) and not owes and not self._transport.is_down(pair.peer)

    async def replicate(self, sender: Address, stamp: Stamp, request: Replicate) -> Answer:
        """Take what has changed at a co-owner."""
        try:
            records = [(partition_of(key), key, decode_record(record)) for key, record in request.records]
        except ValueError as error:
            log.error("%s sent what cannot be read: %s", sender, error)
            return Unable()
        owners = self._views.ring.owners
        if any(self._config.address not in owners(partition) for partition, *_ in records):
            log.error("%s sent what does not belong here", sender)
            return Unable()
        try:
            await self._store.merge(
                stamp, records, but={sender, *request.told} if request.relayed or request.told else None
            )
            if request.relayed:
                async with asyncio.timeout(RELAY_SHARE * self._config.silence_s):
                    await self.everywhere([key for _, key, _ in records], but={sender, *request.told})
        except Fenced:
            return ViewIs(self._views.current.encoded)
        except (StorageFault, TimeoutError):
            return Unable()
        return Taken()
