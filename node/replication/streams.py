"""How what changes on one owner of a shard comes to the others, and when a write is acknowledged.

Whatever changes here goes out to all co-owners by one ordered stream each, whatever brought it: a client, a donor,
another co-owner that cannot reach the third one itself. So nothing that is on one copy only can be forgotten.

Who leaves a co-owner out of a write tells the others, and waits until they have seen to it too: they might go on
telling that co-owner that it has everything. That is a *relay*, a call of its own and not part of a stream, for a
stream that waits for another stream waits for ever once two co-owners relay to each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, PeerFault, StorageFault
from node.net.messages import Answer, NoRoom, Replicate, Taken, Unable, ViewIs
from node.net.transport import Transport
from node.replication.heartbeats import Pair, Pairs
from node.storage.store import Store
from node.storage.transaction import News
from node.timing.clock import Time
from node.values.record import checked
from node.views.calls import Calls
from node.views.holder import Views
from ring.hashing import partition_of

log = logging.getLogger(__name__)

STREAM_KEYS_MAX = 256
STREAM_BYTES_MAX = 256 * 1024
"""Of one message of a stream. It is confirmed as a whole, and a write waits for its message."""
RELAY_SHARE = 1.5
"""Of a silence, that a relay may take: the co-owner that asked for it waits for two."""


class Streams:
    """Needs a running event loop; `run` must be running."""

    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        pairs: Pairs,
        calls: Calls,
        transport: Transport,
    ) -> None:
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._pairs = pairs
        self._calls = calls
        self._transport = transport

    async def run(self) -> None:
        """Send what changes, for as long as the node runs."""
        await self._pairs.attend(self._stream)

    def spread(self, news: Sequence[News]) -> None:
        """Take down what has changed here, for each co-owner that has yet to hear of it."""
        now = self._time.monotonic()
        for pair in self._pairs.all():
            for key, exclude in news:
                if pair.peer not in exclude:
                    pair.outbox.append(key, now)

    # Acknowledging

    async def everywhere(self, keys: Sequence[bytes], exclude: Collection[Address] = (), earliest: float = 0.0) -> bool:
        """Returns once all co-owners but these have what is now held of `keys` on disk, or were left out, which is not
        done before `earliest` (monotonic): whether none was. Raises Fenced if the view changes meanwhile, StorageFault
        if a co-owner's disk has refused them."""
        if not keys:
            return True
        pairs = self._pairs.all(exclude)
        left_out: set[Address] = set()
        for pair, position in [(pair, self._position(pair, keys)) for pair in pairs]:
            if not await self._has_confirmed(pair, position, earliest):
                left_out.add(pair.peer)
        are_told = not left_out
        while not are_told and len(left_out) < len(pairs):
            others = [pair for pair in pairs if pair.peer not in left_out]
            told = (self._config.address, *exclude, *(pair.peer for pair in others))
            have = await asyncio.gather(*(self._relay(pair, keys, told, earliest) for pair in others))
            left_out |= {pair.peer for pair, has in zip(others, have, strict=True) if not has}
            are_told = all(have)  # Who was not must hear of it, lest it go on telling them that they have everything.
        if not all(map(self._pairs.is_of_this_view, pairs)):
            raise Fenced(str(self._views.view_id))
        return not left_out

    def _position(self, pair: Pair, keys: Sequence[bytes]) -> int:
        """The position whose confirmation says that the co-owner has them all."""
        now, outbox = self._time.monotonic(), pair.outbox
        return max(outbox.position_of(key) or outbox.append(key, now) for key in keys)

    async def caught_up(self, exclude: Collection[Address]) -> None:
        """Returns once all co-owners but these have all that is in their outboxes now, or were left out. Raises
        Fenced."""
        pairs = [pair for pair in self._pairs.all(exclude) if len(pair.outbox)]
        for pair, position in [(pair, pair.outbox.position) for pair in pairs]:
            await self._has_confirmed(pair, position, 0.0)
        if not all(map(self._pairs.is_of_this_view, pairs)):
            raise Fenced(str(self._views.view_id))

    async def _has_confirmed(self, pair: Pair, position: int, earliest: float) -> bool:
        """False: it was left out."""
        while self._pairs.is_of_this_view(pair):
            if not self._pairs.may_be_left_out(pair):
                confirmation = pair.outbox.confirmation(position)
                try:
                    has_it = await confirmation
                except asyncio.CancelledError:
                    pair.outbox.withdraw(position, confirmation)
                    raise
                if has_it:
                    return True
                if pair.has_no_room:
                    raise StorageFault(f"the disk of {pair.peer} is full")
            elif (wait_s := earliest - self._time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            else:
                self._pairs.leave_out(pair)
                return False
        return False

    async def _relay(self, pair: Pair, keys: Sequence[bytes], told: tuple[Address, ...], earliest: float) -> bool:
        """Have the co-owner see to it that all but those `told` have `keys` too, or are left out by it. Not by its
        stream, which would stand still until then: two co-owners that relay to each other would wait for ever. False:
        it was left out itself."""
        records = [(key, self._store.encoded(partition_of(key), key)) for key in keys]
        request = Replicate(tuple((key, record) for key, record in records if record is not None), True, told)
        while self._pairs.is_of_this_view(pair):
            try:
                timeout_s = 2 * self._config.silence_s
                answer = await self._calls.ask(pair.peer, request, timeout_s)
            except PeerFault as fault:
                log.debug("relay to %s: %s", pair.peer, fault)
                answer = Unable()
            if isinstance(answer, Taken):
                return True
            if isinstance(answer, NoRoom):
                raise StorageFault(f"the disk of {pair.peer} is full")
            if self._pairs.may_be_left_out(pair) and self._time.monotonic() >= earliest:
                self._pairs.leave_out(pair)
                return False
            await asyncio.sleep(self._config.retry_s)
        return False

    # The side that sends

    async def _stream(self, pair: Pair) -> None:
        while True:
            await pair.outbox.filled.wait()
            try:
                sent = await self._send(pair)
            except StorageFault as fault:  # Reads fail too, until the disk is well again.
                log.error("stream to %s: %s", pair.peer, fault)
                sent = False
            if not sent:
                self._pairs.note_silence(pair)
                await asyncio.sleep(self._config.retry_s)

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
            answer = await self._calls.ask(pair.peer, request, timeout_s)
        except PeerFault as fault:
            log.debug("stream to %s: %s", pair.peer, fault)
            return False
        pair.has_no_room = isinstance(answer, NoRoom)
        if isinstance(answer, Taken):
            pair.outbox.confirm(position)
        elif isinstance(answer, NoRoom):
            pair.outbox.give_up()
        return isinstance(answer, Taken)

    def _told(self, pair: Pair) -> tuple[Address, ...]:
        """Who has this node's word, if not all of them have: the co-owner must not tell the others any more that they
        have everything. Nobody, if all is well: it need not care."""
        all_ = self._pairs.all()
        well = [other.peer for other in all_ if other is pair or self._pairs.is_well(other)]
        return () if len(well) == len(all_) else (self._config.address, *sorted(well))

    # The side that takes

    async def replicate(self, sender: Address, view_id: ViewId, request: Replicate) -> Answer:
        """Take what has changed at a co-owner."""
        try:
            records = [(partition_of(key), key, checked(record)) for key, record in request.records]
        except ValueError as error:
            log.error("%s sent what cannot be read: %s", sender, error)
            return Unable()
        owners = self._views.ring.owners
        if any(self._config.address not in owners(partition) for partition, *_ in records):
            log.error("%s sent what does not belong here", sender)
            return Unable()
        try:
            await self._store.merge(
                view_id, records, exclude={sender, *request.told} if request.relayed or request.told else None
            )
            if request.relayed:
                async with asyncio.timeout(RELAY_SHARE * self._config.silence_s):
                    await self.everywhere([key for _, key, _ in records], exclude={sender, *request.told})
        except Fenced:
            return ViewIs(self._views.current.encoded)
        except StorageFault:
            return NoRoom()
        except TimeoutError:
            return Unable()
        return Taken()
