"""How what changes on one owner of a shard comes to the others, and when a write is acknowledged.

Whatever changes here goes out to all co-owners by one ordered stream each, whatever brought it: a client, a donor,
another co-owner that cannot reach the third one itself. So nothing that is on one copy only can be forgotten.

Whoever leaves a co-owner out of a write tells the others, and waits until they have seen to it too: they might go on
giving that co-owner leases. That is a *relay*, a call of its own and not part of a stream, because a stream that waits
for another stream waits for ever once two co-owners relay to each other.

What each co-owner has, and whether it may be left out, is decided in `peer_state` and `co_owners`. Here the records are
sent and taken, and writes wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence, Set
from contextlib import suppress
from itertools import islice

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, LargeLate, PeerFault, PeerLate, StorageFault
from node.net.messages import Answer, NoRoom, Replicate, Taken, Unable
from node.net.transport import Answering
from node.replication.co_owner_tasks import CoOwnerTasks
from node.replication.co_owners import CoOwners, LeavingOut
from node.replication.confirmations import Confirmations, all_of
from node.replication.peer_state import PeerState
from node.storage.store import Store
from node.storage.transaction import News
from node.timing.clock import Time
from node.values.record import has_value, received
from node.views.calls import Calls
from node.views.holder import Views
from ring.hashing import partition_of

log = logging.getLogger(__name__)

NOBODY: Set[Address] = frozenset()
STREAM_KEYS_MAX = 256
STREAM_BYTES_MAX = 256 * 1024
"""One message of a stream holds no more, since it is confirmed as a whole, and a write waits for its message."""
RELIEF_MAX = 1000
"""Among so many entries, the first of an outbox, deletions are looked for that relieve a full disk: some milliseconds'
work."""


class Streams:
    """Needs a running event loop; `run` must be running, and `change_view` be called when another view is in force, on
    behalf of all that is done with co-owners."""

    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        co_owners: CoOwners,
        co_owner_tasks: CoOwnerTasks,
        calls: Calls,
    ) -> None:
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._co_owners = co_owners
        self._co_owner_tasks = co_owner_tasks
        self._calls = calls
        self._confirmations = {state: Confirmations(state.outbox) for state in co_owners.all()}
        """Who waits on the outbox of each co-owner under the view in force."""
        self._lacking: dict[PeerState, bool] = {}
        """The co-owners that were stuck, and have not taken all since: the log tells of each once. Whether what they
        did not take was large."""

    async def run(self) -> None:
        """Send what changes, for as long as the node runs."""
        await self._co_owner_tasks.run(lambda state: self._stream(state, self._confirmations[state]))

    def change_view(self) -> None:
        """Another view is in force. In this order: its co-owners become known, all who wait under the earlier view give
        up, and the tasks for each co-owner begin anew, on the new outboxes."""
        self._co_owners.change_view()
        for confirmations in self._confirmations.values():
            confirmations.give_up()
        self._confirmations = {state: Confirmations(state.outbox) for state in self._co_owners.all()}
        self._lacking.clear()
        self._co_owner_tasks.restart()

    def spread(self, news: Sequence[News]) -> None:
        """Take down what has changed here, for each co-owner that has yet to hear of it."""
        now = self._time.monotonic()
        for state, confirmations in self._confirmations.items():
            for each in news:
                if state.address not in each.exclude:
                    state.append(each.key, now)
                    confirmations.notify()

    # Acknowledging

    async def await_copies(
        self,
        keys: Sequence[bytes],
        exclude: Collection[Address] = (),
        earliest: float = 0.0,
        are_noted: bool = True,
    ) -> Set[Address]:
        """Returns once all co-owners but these have what is now held of `keys` on disk, or were left out, which is not
        done before `earliest` (monotonic): those that were. `are_noted`: what is held was put into their outboxes as
        it came; if not, what they are being sent of a key may be what was held before. Raises Fenced if the view
        changes meanwhile, or has changed since the caller looked, so that one of the keys belongs to others."""
        if not keys:
            return NOBODY
        if not all(map(self.owns, keys)):
            raise Fenced(str(self._views.view_id))
        states = self._co_owners.all(exclude)
        left_out: set[Address] = set()
        for state, position in [(state, self._position_for(state, keys, are_noted)) for state in states]:
            if not await self._await_confirmation(state, position, earliest, keys):
                left_out.add(state.address)
        are_told = not left_out
        while not are_told and len(left_out) < len(states):
            others = [state for state in states if state.address not in left_out]
            told = (self._config.address, *exclude, *(state.address for state in others))
            have = await asyncio.gather(*(self._relay(state, keys, told, earliest) for state in others))
            left_out |= {state.address for state, has in zip(others, have, strict=True) if not has}
            are_told = all(have)  # Whoever was left out now is news to the rest: they might go on giving it leases.
        self._fence(states)
        return left_out

    def confirmation(self, key: bytes) -> asyncio.Future[bool]:
        """The first part of `await_copies`, for what has just been put into the outboxes as it came: whether all
        co-owners have what is now held of `key`. False: one may be left out by now, or the view has changed, and the
        rest is for `await_copies`. There must be a co-owner, and this node must own `key`."""
        return all_of(
            [
                self._confirmations[state].confirmation(self._position_for(state, (key,)))
                for state in self._co_owners.all()
            ]
        )

    def owns(self, key: bytes) -> bool:
        """Whether this node does, and so its co-owners. Nothing else may come into an outbox: whoever does not own it
        refuses it, and all that comes behind it would wait for ever."""
        return partition_of(key) in self._views.ring.partitions_of(self._config.address)

    async def await_outboxes(self, exclude: Collection[Address] = ()) -> Set[Address]:
        """Returns once all co-owners but these have all that is in their outboxes now, or were left out: those that
        were. Raises Fenced."""
        states = [state for state in self._co_owners.all(exclude) if state.outbox]
        left_out: set[Address] = set()
        for state, position in [(state, state.outbox.position) for state in states]:
            if not await self._await_confirmation(state, position, 0.0):
                left_out.add(state.address)
        self._fence(states)
        return left_out

    def _position_for(self, state: PeerState, keys: Sequence[bytes], are_noted: bool = True) -> int:
        now = self._time.monotonic()
        position = state.position_for(keys, now) if are_noted else max(state.append(key, now) for key in keys)
        self._confirmations[state].notify()
        return position

    def _fence(self, states: Iterable[PeerState]) -> None:
        if not all(map(self._co_owners.has, states)):
            raise Fenced(str(self._views.view_id))

    async def _await_confirmation(
        self, state: PeerState, position: int, earliest: float, keys: Sequence[bytes] = ()
    ) -> bool:
        """Returns once the co-owner has confirmed `position`. False: it was left out. `keys`: what was put in there; if
        a comparison takes that over, they are put in once more, lest the wait be for everything else too."""
        while self._co_owners.has(state):
            match self._co_owners.leave_out(state, earliest):
                case LeavingOut.DONE:
                    return False
                case LeavingOut.TOO_EARLY:
                    await asyncio.sleep(earliest - self._time.monotonic())
                case LeavingOut.NOT_POSSIBLE:
                    if await self._confirmations[state].wait_for(position):
                        return True
                    if keys and self._co_owners.has(state) and state.outbox.is_compared(position):
                        position = self._position_for(state, keys)
        return False

    async def _relay(self, state: PeerState, keys: Sequence[bytes], told: tuple[Address, ...], earliest: float) -> bool:
        """Have the co-owner bring `keys` to all but those `told`, or leave those out itself. This is a call of its own:
        its stream would stand still until that is done. False: it was left out in its turn."""
        records = [(key, self._store.encoded(partition_of(key), key)) for key in keys]
        request = Replicate(tuple((key, record) for key, record in records if record is not None), True, told)
        limit_s = self._config.relay_call_s + self._config.carry_s(request.carried_bytes())
        while self._co_owners.has(state):
            try:
                answer = await self._calls.ask(state.address, request, limit_s)
            except PeerFault as fault:
                log.debug("relay to %s: %s", state.address, fault)
                answer = Unable()
            if isinstance(answer, Taken):
                return True
            if isinstance(answer, NoRoom):
                self._note_stuck(state)
            if self._co_owners.leave_out(state, earliest) is LeavingOut.DONE:
                return False
            await asyncio.sleep(self._config.retry_s)
        return False

    # What concerns those who wait

    def note_silence(self, state: PeerState) -> None:
        """The co-owner has not answered, or not taken what it was sent: if it may be left out by now, nobody shall wait
        for it."""
        if self._co_owners.note_silence(state):
            self._give_up(state)

    def _note_stuck(self, state: PeerState, is_large: bool = False) -> None:
        """It has taken nothing, though it is there. It is told so: it gets no lease. `is_large`: what it was sent is,
        and may have been lost for that."""
        state.become_stuck()
        if state not in self._lacking:
            self._lacking[state] = is_large
            why = f"the disk of {state.address} is full or hangs"
            if is_large:
                why = f"what is large does not get through to {state.address}, or its disk hangs"
            log.warning("%s: writes go on without it", why)

    def _note_taken(self, state: PeerState) -> None:
        """It takes something, perhaps not all."""
        if state in self._lacking and not state.outbox:
            what = "had not got through" if self._lacking.pop(state) else "its disk had refused"
            log.info("%s has taken all that %s", state.address, what)

    def begin_comparison(self, peer: Address) -> PeerState | None:
        """What changes from here on is for the stream, what is here already for the comparison. None: it is no
        co-owner."""
        state = self._co_owners.get(peer)
        if state is not None:
            state.become_comparing()
            self._give_up(state)
        return state

    def end_comparison(self, state: PeerState, has_arrived: bool) -> None:
        """`has_arrived`: the co-owner has all that was here when it began."""
        state.end_comparison(has_arrived)
        if has_arrived:
            self._note_taken(state)
        self._settle(state)

    def _settle(self, state: PeerState) -> None:
        if (confirmations := self._confirmations.get(state)) is not None:
            confirmations.settle()

    def _give_up(self, state: PeerState) -> None:
        if (confirmations := self._confirmations.get(state)) is not None:
            confirmations.give_up()

    # The side that sends

    async def _stream(self, state: PeerState, confirmations: Confirmations) -> None:
        """Ends with the view, if it is not cancelled before: what was for this co-owner may not be for it by then."""
        while self._co_owners.has(state):
            await confirmations.something_to_send()
            try:
                is_taken = await self._send(state, confirmations)
            except StorageFault as fault:  # Reads fail too, until the disk is well again.
                log.error("stream to %s: %s", state.address, fault)
                is_taken = False
            if not is_taken:
                self.note_silence(state)
                may_rest = state.is_stuck and self._co_owners.may_be_left_out(state)
                await asyncio.sleep(self._config.stuck_retry_s if may_rest else self._config.retry_s)

    async def _send(self, state: PeerState, confirmations: Confirmations) -> bool:
        """Whether the head of the outbox has been confirmed."""
        if self._calls.is_down(state.address):
            return False  # What would be sent need not be read. The heartbeats find out when it is back.
        position, records = self._head(state)
        state.mark_sent(position)
        answer = await self._ask_to_take(state, Replicate(records, False, self._told(state)))
        if isinstance(answer, Taken):
            state.confirm(position)
            confirmations.settle()
            self._note_taken(state)
            return True
        if isinstance(answer, NoRoom):
            self._note_stuck(state)
            await self._relieve(state)
        return False

    async def _relieve(self, state: PeerState) -> None:
        """Bring a full disk the deletions that wait behind what it refuses: they make room there."""
        keys = (entry.key for entry in state.outbox.head(RELIEF_MAX))
        found = ((key, self._store.encoded(partition_of(key), key)) for key in keys)
        tombstones = ((key, record) for key, record in found if record is not None and not has_value(record))
        if relief := tuple(islice(tombstones, STREAM_KEYS_MAX)):
            await self._ask_to_take(state, Replicate(relief, False))

    async def _ask_to_take(self, state: PeerState, request: Replicate) -> Answer:
        """Unable if there is no answer. If that is since its disk takes so long, though its node is there, it is as
        good as NoRoom."""
        try:
            return await self._calls.ask(state.address, request, self._config.confirm_s, attempt=True)
        except PeerFault as fault:
            log.debug("stream to %s: %s", state.address, fault)
            if isinstance(fault, PeerLate):
                self._note_stuck(state, isinstance(fault, LargeLate))
            return Unable()

    def _head(self, state: PeerState) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
        """What goes into the next message: up to which position, and the records. One that is stuck is sent little."""
        records: list[tuple[bytes, bytes]] = []
        position, room = 0, STREAM_BYTES_MAX
        for entry in state.outbox.head(1 if state.is_stuck else STREAM_KEYS_MAX):
            encoded = self._store.encoded(partition_of(entry.key), entry.key)
            if encoded is not None:
                room -= len(encoded)
                if room < 0 and records:
                    break
                records.append((entry.key, encoded))
            position = entry.position
        return position, tuple(records)

    def _told(self, state: PeerState) -> tuple[Address, ...]:
        """Who has this node's word, if not all of them have: the co-owner must not give the others leases any more.
        Nobody, if all is well: it need not care."""
        states = self._co_owners.all()
        well = [other.address for other in states if other is state or self._co_owners.is_well(other)]
        return () if len(well) == len(states) else (self._config.address, *sorted(well))

    # The side that takes

    def replicate(self, sender: Address, request: Replicate) -> Answering:
        """Take what has changed at a co-owner, under the view in force at this moment."""
        try:
            records = received(request.records, self._views.ring, self._config.address)
        except ValueError as error:
            log.error("%s sent what cannot be taken: %s", sender, error)
            return Unable()
        return self._take(sender, self._views.view_id, request, records)

    async def _take(
        self, sender: Address, view_id: ViewId, request: Replicate, records: Sequence[tuple[int, bytes, bytes]]
    ) -> Answer:
        exclude = {sender, *request.told} if request.relayed or request.told else None
        try:
            await self._store.merge(view_id, records, exclude)
            if request.relayed:
                async with asyncio.timeout(self._config.relay_s + self._config.carry_s(request.carried_bytes())):
                    keys = [key for _, key, _ in records]
                    await self.await_copies(keys, exclude={sender, *request.told}, are_noted=False)
        except Fenced:
            return self._views.told()
        except StorageFault:
            await self._take_deletions(view_id, records, exclude)
            return NoRoom()
        except TimeoutError:
            return Unable()
        return Taken()

    async def _take_deletions(
        self, view_id: ViewId, records: Sequence[tuple[int, bytes, bytes]], exclude: Collection[Address] | None
    ) -> None:
        """Of what a full disk has refused, take what makes room on it."""
        if relief := self._store.relief_of(records):
            with suppress(Fenced, StorageFault):
                await self._store.merge(view_id, relief, exclude)
