"""When this node may act as an owner: not before it has asked around whether it still is one.

A process that starts, or finds that it was paused (or starved of its processor), may have been replaced in the
meantime: a view change does not wait for a node that is being removed. Served from the old view, a read would return
what the new owner has long overwritten. So a node is not ready until every node of the view has said which view it
holds, or refused the connection, or been silent for the time that makes a peer silent.

The guard is asked like the clock: before every act of an owner, and after every wait within one. A process is not told
that it was paused, and what it does first after a pause may be anything: serve a request, go on where it waited, or
tick. Were that done on the word that the guard gave before, an owner that has been replaced would answer. So `enter`,
`admit` and `wait_until_ready` are commands: they notice a pause, end what counted before it, and then say what may be
done. The questions beside them change nothing.

What had piled up at the node's doors by then is not executed: its senders may have given up on it long ago, and done
the same elsewhere. Links to other nodes are reset. Clients are more patient than nodes; but after a pause that was long
for them too, whatever arrives from them before the node is ready again is not admitted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from gossip.view import Address
from node.config import Config
from node.timing.clock import Time
from node.timing.pause_detector import PauseDetector
from node.views.calls import Calls
from node.views.holder import Views

log = logging.getLogger(__name__)

HELLOS_MAX = 16
"""In a large view, this many at random besides co-owners and donors: any one of them that heard of a newer view tells
it."""


class Readiness:
    """Needs a running event loop; `run` must be running. `on_pause` is called at each pause that is noticed, before
    anything else is done after it, and told whether what clients have sent before is too late."""

    def __init__(
        self,
        config: Config,
        time: Time,
        rng: random.Random,
        views: Views,
        calls: Calls,
        on_pause: Callable[[bool], None],
    ) -> None:
        self._config = config
        self._time = time
        self._rng = rng
        self._views = views
        self._calls = calls
        self._on_pause = on_pause
        self._pauses = PauseDetector(config.pause_s, time.wall(), time.monotonic())
        self._wall, self._note_running = time.wall, self._pauses.note_running
        self._has_asked = asyncio.Event()
        """Whether all have been asked since the start, or the last pause."""
        self._ask = asyncio.Event()
        self._ask.set()
        self._was_paused_long = False
        self._recovers_at = 0.0
        """From when on what clients send cannot have been sent before the last long pause; monotonic."""

    def enter(self) -> bool:
        """Before every act of an owner, and after every wait within one: notices a pause, and tells whether this node
        may act."""
        if paused_s := self._note_running(self._wall()):  # Written out, as what follows: each read asks.
            self._face_pause(paused_s)
        return self._has_asked.is_set() and not self._views.lag.is_behind

    def admit_peer(self) -> bool:
        """Before anything that another node has sent is acted on: whether no pause is noticed right now. What arrives
        first after one was sent before it; those who sent it have gone on without this node."""
        if paused_s := self._note_running(self._wall()):  # Written out: each call asks.
            self._face_pause(paused_s)
        return not paused_s

    def admit(self) -> bool:
        """Before anything that a client has sent is looked at: notices a pause, and tells whether that may be executed.
        Not while this node has yet to ask around after a long pause: what arrives then may have been sent before it."""
        if paused_s := self._note_running(self._wall()):  # Written out: each request asks.
            self._face_pause(paused_s)
        return not self._was_paused_long or self.is_ready

    @property
    def is_ready(self) -> bool:
        """Whether this node may act as an owner, as far as it has noticed."""
        return self._has_asked.is_set() and not self._views.lag.is_behind

    @property
    def has_asked_around(self) -> bool:
        """Whether all that had to be asked have been, since the start or the last pause that was noticed."""
        return self._has_asked.is_set()

    async def wait_until_ready(self, deadline: float) -> bool:
        """Notice a pause, and wait until this node may act, at most until `deadline` (monotonic). Tells whether it
        may."""
        while not self.enter():
            try:
                async with asyncio.timeout(deadline - self._time.monotonic()):
                    await self._has_asked.wait()
                    if self._views.lag.is_behind:
                        await asyncio.sleep(self._config.redial_s)
            except TimeoutError:
                return False
        return True

    async def run(self) -> None:
        """Notice pauses, and ask around whenever that is needed; for as long as the node runs."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._watch_environment())
            while True:
                await self._ask.wait()
                self._ask.clear()
                pile_up = asyncio.sleep(self._recovers_at - self._time.monotonic())
                await asyncio.gather(pile_up, *map(self._calls.greet, self._whom_to_ask()))
                self._views.note_asked_around()
                if not self._ask.is_set():
                    self._was_paused_long = False
                    self._has_asked.set()

    async def _tick(self) -> None:
        while True:
            if paused_s := self._pauses.compare(self._time.wall(), self._time.monotonic()):
                self._face_pause(paused_s)
            await asyncio.sleep(self._config.pause_check_s)

    async def _watch_environment(self) -> None:
        """At epoch 0, ask the nodes that the environment names until each has answered, however late it appears."""
        unheard = set(self._config.view) - {self._config.address}
        while unheard and self._views.current.epoch == 0:
            peers = sorted(unheard)
            answered = await asyncio.gather(*map(self._calls.greet, peers))
            unheard -= {peer for peer, heard in zip(peers, answered, strict=True) if heard is not None}
            await asyncio.sleep(self._config.silence_s)

    def _face_pause(self, paused_s: float) -> None:
        log.warning("this process was paused: asking the other nodes before serving on")
        self._pauses.begin_anew(self._time.wall(), self._time.monotonic())
        if paused_s > self._config.late_s:
            self._was_paused_long = True
            self._recovers_at = self._time.monotonic() + self._config.recovery_s
        self._has_asked.clear()
        self._ask.set()
        self._on_pause(self._was_paused_long)

    def _whom_to_ask(self) -> Iterable[Address]:
        """Not only the nodes of the view: alone in it, this node would find nobody who knows that it was replaced. So
        those too that its environment names, and those that had a part in making the view."""
        view, me = self._views.current, self._config.address
        peers = {*self._views.donors.shares, *self._views.ring.co_owners(me)}
        known = {*view.nodes, *self._config.view, *view.donor_nodes, view.coordinator} - {""}
        others = sorted(known - peers - {me})
        return [*sorted(peers), *self._rng.sample(others, min(HELLOS_MAX, len(others)))]
