"""When this node may act as an owner: not before it has asked around whether it still is one.

A process that starts, or finds that it stood still (paused, or starved of its processor), may have been replaced in the
meantime: a view change does not wait for a node that is being removed. Served from the old view, a read would return
what the new owner has long overwritten. So the gate is shut until every node of the view has said which view it holds,
or refused the connection, or been silent for the time that makes a peer silent.

A standstill is noticed at the first thing that a node does after it, whatever that is: a request, or the next beat.
Whoever asks whether the gate is open thereby shows that the process runs, so a node that is merely busy does not take
itself for paused.

What had piled up at the node's doors by then is not executed: its senders may have given up on it long ago, and done
the same elsewhere. Links to other nodes are reset. Clients are more patient than nodes; but after a standstill that was
long for them too, whoever's request arrives before the gate is open again is reset as well (`is_recovering`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from gossip.view import Address
from node.config import Config
from node.net.transport import Transport
from node.timing.clock import Time
from node.views.holder import Views

log = logging.getLogger(__name__)

HELLOS_MAX = 16
"""In a large view, this many at random besides the donors: any one of them that heard of a newer view tells it."""


RECOVERY_S = 0.5
"""At least this long after a long standstill, requests are taken for old: hundreds of connections may have piled up,
and they are accepted some at a time."""


class Gate:
    """Needs a running event loop; `run` must be running."""

    def __init__(self, config: Config, time: Time, rng: random.Random, transport: Transport, views: Views) -> None:
        self._config = config
        self._time = time
        self._rng = rng
        self._transport = transport
        self._views = views
        self.listeners: list[Callable[[], None]] = []
        """Told of each standstill, before anything else is done after it."""
        self._open = asyncio.Event()
        self._ask = asyncio.Event()
        self._ask.set()
        self._is_recovering = False
        self._ran_at = time.monotonic()

    def is_open(self) -> bool:
        """Whether this node may act as an owner now. Call it before every act."""
        now = self._time.monotonic()
        stood_still_s, self._ran_at = now - self._ran_at, now
        if stood_still_s > self._config.pause_s:
            self._is_recovering |= stood_still_s > self._config.late_s
            self._stood_still()
        return self._open.is_set() and not self._views.is_behind

    def is_recovering(self) -> bool:
        """Whether this node stood still for long, and has not asked around yet. Call it before anything that a client
        has sent is looked at."""
        return not self.is_open() and self._is_recovering

    async def opened(self, deadline: float) -> bool:
        """Wait until the gate is open, at most until `deadline` (monotonic)."""
        while not self.is_open():
            try:
                async with asyncio.timeout(deadline - self._time.monotonic()):
                    await self._open.wait()
                    if self._views.is_behind:
                        await asyncio.sleep(self._config.redial_s)
            except TimeoutError:
                return False
        return True

    async def run(self) -> None:
        """Beat, and ask around whenever that is needed; for as long as the node runs."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat())
            tasks.create_task(self._watch_environment())
            while True:
                await self._ask.wait()
                self._ask.clear()
                pile_up = asyncio.sleep(RECOVERY_S if self._is_recovering else 0.0)
                await asyncio.gather(pile_up, *map(self._views.greet, self._whom_to_ask()))
                if not self._ask.is_set():
                    self._is_recovering = False
                    self._open.set()

    async def _beat(self) -> None:
        while True:
            self.is_open()
            await asyncio.sleep(self._config.pause_s / 8)

    async def _watch_environment(self) -> None:
        """At epoch 0, ask the nodes that the environment names until each has answered, however late it appears."""
        unheard = set(self._config.view) - {self._config.address}
        while unheard and self._views.current.epoch == 0:
            peers = sorted(unheard)
            answered = await asyncio.gather(*map(self._views.greet, peers))
            unheard -= {peer for peer, heard in zip(peers, answered, strict=True) if heard is not None}
            await asyncio.sleep(self._config.silence_s)

    def _stood_still(self) -> None:
        log.warning("this process stood still: asking the other nodes before serving on")
        self._open.clear()
        self._ask.set()
        for listener in self.listeners:
            listener()
        self._transport.reset()

    def _whom_to_ask(self) -> Iterable[Address]:
        """Not only the nodes of the view: alone in it, this node would find nobody who knows that it was replaced. So
        those too that its environment names, and those that had a part in making the view."""
        view, donors = self._views.current, self._views.donors.shares.keys()
        known = {*view.nodes, *self._config.view, *(donor for donor, *_ in view.donors), view.coordinator} - {""}
        others = sorted(known - donors - {self._config.address})
        return [*donors, *self._rng.sample(others, min(HELLOS_MAX, len(others)))]
