"""Many gossip state machines in one process: rounds in lockstep, casts that arrive at once or are lost, and a count
of what they cost.

A round is one turn of every live node, all at the same moment; then what they sent arrives, and is answered. So in a
round nobody passes on what it heard in it, but in answers: real nodes take their turns one after another, and are
faster for it. Messages go through the real encoder, for their size; what arrives is the message itself, so that nodes
share the records in it. Without that, ten thousand tables of ten thousand records would not fit into memory. One seed,
one run. The code that is measured is that of `gossip`, unchanged, and only its public side is used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from gossip.core import Gossip, Output
from gossip.membership import State
from gossip.messages import Delta, Message, Rumour, encode
from gossip.settings import Settings
from gossip.view import Address, ViewId

LONG_AGO_S = 3_600.0
"""Before the first round: by then, what a node heard when it was made is no news."""


class Crowd:
    """A cluster in which everybody knows everybody, under one view."""

    def __init__(self, count: int, seed: int, loss: float) -> None:
        self.rng = Random(seed)
        self.loss = loss
        self.addresses = [f"10.{10 + i // 62_500}.{i // 250 % 250}.{i % 250 + 1}:13800" for i in range(count)]
        self.rounds = 0
        self.sent = 0
        self.sent_bytes = 0
        self.largest_bytes = 0
        self.rumours: set[Rumour] = set()
        """All that was ever said against anybody."""
        self.dead: set[Address] = set()
        self.view_ids = dict.fromkeys(self.addresses, ViewId(1, 1))
        """Of each node, the view it holds."""
        self._settings = Settings()
        self._now = LONG_AGO_S
        self._members = frozenset(self.addresses)
        self._nodes = {
            address: Gossip(address, self.rng.getrandbits(64), 1, self._settings, now=0.0) for address in self.addresses
        }
        self._introduce()

    def _introduce(self) -> None:
        """Everybody knows everybody's record, as after a long time; the casts of the round that ends it are lost."""
        records = tuple(node.record for node in self._nodes.values())
        everything = Delta(ViewId(0, 0), records[0], (), records, ())
        for address, node in self._nodes.items():
            node.set_view(self.view_ids[address], self._members)
            node.receive(records[0].address, everything, now=0.0)
            node.start_round(self._now, self.rng)

    # What happens to it

    def adopt(self, address: Address, view_id: ViewId) -> None:
        self.view_ids[address] = view_id
        self._nodes[address].set_view(view_id, self._members)

    def kill(self, address: Address) -> None:
        self.dead.add(address)

    def round(self) -> None:
        self._now += self._settings.interval_s
        self.rounds += 1
        turns = self.live
        self.rng.shuffle(turns)
        self._carry_out([(address, self._nodes[address].start_round(self._now, self.rng)) for address in turns])

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self.round()

    # What can be seen of it

    @property
    def live(self) -> list[Address]:
        return [address for address in self.addresses if address not in self.dead]

    def all_hold(self, view_id: ViewId) -> bool:
        return all(self.view_ids[address] == view_id for address in self.live)

    def all_hold_dead(self, victim: Address) -> bool:
        return all(self._nodes[address].members[victim].state is State.DEAD for address in self.live)

    # Casts

    def _carry_out(self, outputs: Sequence[tuple[Address, Output]]) -> None:
        """Delivers what these nodes send, and all that follows from it, in that order."""
        queue = deque(outputs)
        while queue:
            sender, (sends, fetch_view_from, _) = queue.popleft()
            if fetch_view_from is not None:
                self._fetch_view(sender, fetch_view_from)
            for to, message in sends:
                self._count(message)
                if to not in self.dead and not self._is_lost():
                    queue.append((to, self._nodes[to].receive(sender, message, self._now)))

    def _fetch_view(self, to: Address, holder: Address) -> None:
        """A call of its own: the request or the answer may be lost, and the next hint brings the next attempt."""
        if holder not in self.dead and not self._is_lost() and not self._is_lost():
            self.adopt(to, self.view_ids[holder])

    def _is_lost(self) -> bool:
        return self.rng.random() < self.loss

    def _count(self, message: Message) -> None:
        size_bytes = len(encode(message))
        self.sent += 1
        self.sent_bytes += size_bytes
        self.largest_bytes = max(self.largest_bytes, size_bytes)
        self.rumours.update(message.rumours)

    def slandered(self, *, dead: bool) -> int:
        """Rumours ever raised against nodes that live: suspicions, or deaths."""
        return sum(1 for rumour in self.rumours if rumour.dead is dead and rumour.address not in self.dead)
