"""Heartbeats between co-owners: each asks each of the others, again and again, whether it may answer reads alone.

The answer is a lease or a refusal; what either means, and when a lease may be given, is decided in `peer_state`. Here
the questions are sent and answered, and a co-owner that says nothing is noticed. A node that finds itself filled by its
co-owners writes that down, see `emptied_disk`.
"""

from __future__ import annotations

import asyncio
import logging

from gossip.view import Address
from node.config import Config
from node.errors import PeerFault, StorageFault
from node.net.messages import Answer, Heartbeat, HeartbeatAnswer, Unable
from node.replication.co_owner_tasks import CoOwnerTasks
from node.replication.co_owners import CoOwners
from node.replication.peer_state import LeaseAnswer, PeerState
from node.replication.streams import Streams
from node.state_log import StateLog
from node.storage.identity import note_filled
from node.storage.store import Store
from node.timing.clock import Time
from node.views.calls import Calls
from node.views.readiness import Readiness

log = logging.getLogger(__name__)


class Heartbeats:
    """Needs a running event loop; `run` must be running."""

    def __init__(
        self,
        config: Config,
        time: Time,
        store_id: int,
        store: Store,
        readiness: Readiness,
        co_owners: CoOwners,
        co_owner_tasks: CoOwnerTasks,
        streams: Streams,
        calls: Calls,
    ) -> None:
        self._config = config
        self._time = time
        self._store_id = store_id
        self._store = store
        self._readiness = readiness
        self._co_owners = co_owners
        self._co_owner_tasks = co_owner_tasks
        self._streams = streams
        self._calls = calls
        self._waits, self._waits_since = StateLog(), time.monotonic()

    async def run(self) -> None:
        """Ask every co-owner, for as long as the node runs."""
        await self._co_owner_tasks.run(self._keep_asking)

    def answer(self, sender: Address, heartbeat: Heartbeat) -> Answer:
        """May the sender answer alone? Unable: it is no co-owner, or this node may not act as one."""
        state = self._co_owners.get(sender)
        if state is None or self._co_owners.is_stopping or not self._readiness.enter():
            return Unable()
        lease = self._co_owners.hear_question(state, heartbeat.store_id, heartbeat.is_empty)
        return HeartbeatAnswer(
            self._store_id,
            self._co_owners.is_empty,
            self._co_owners.may_lack(),
            lease is LeaseAnswer.GRANTED,
            lease is LeaseAnswer.OWING,
            int(1000 * self._config.lease_s),
        )

    async def _keep_asking(self, state: PeerState) -> None:
        while True:
            sent_at = self._time.monotonic()
            await self._ask(state, sent_at)
            await asyncio.sleep(max(0.0, sent_at + self._config.heartbeat_s - self._time.monotonic()))

    async def _ask(self, state: PeerState, sent_at: float) -> None:
        heartbeat = Heartbeat(self._store_id, self._co_owners.is_empty)
        try:
            answer = await self._calls.ask(state.address, heartbeat, self._calls.silence_s(state.address))
        except PeerFault:
            self._streams.note_silence(state)
            self._note_wait(state)
            return
        if not isinstance(answer, HeartbeatAnswer):
            return
        self._waits.end(state.address, f"{state.address} can be reached: this disk is not waiting for it any more")
        refusal = LeaseAnswer.OWING if answer.owing else LeaseAnswer.REFUSED
        lease = LeaseAnswer.GRANTED if answer.lease_granted else refusal
        lease_s = answer.lease_ms / 1000
        if self._co_owners.hear_answer(
            state, sent_at, answer.store_id, answer.is_empty, answer.may_lack, lease, lease_s
        ):
            await self._note_filled()

    def _note_wait(self, silent: PeerState) -> None:
        waited_s = self._time.monotonic() - self._waits_since
        if waited_s > self._config.empty_wait_s and self._co_owners.is_waiting_to_be_filled():
            line = f"this disk is new: {silent.address} may have what is not on it, and cannot be reached"
            self._waits.begin(silent.address, line)

    async def _note_filled(self) -> None:
        try:
            await note_filled(self._store)
        except StorageFault as fault:
            log.error("cannot store that this node has all that its co-owners had: %s", fault)
