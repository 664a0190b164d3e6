"""A small cluster of gossip state machines in one process: rounds in lockstep, messages that arrive at once or are
lost, no asyncio.

The same seed gives the same run. Messages go through the real encoder unless `by_wire` is off; then nodes share
records, so that large clusters fit into memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random

from gossip.core import Gossip, Output
from gossip.membership import State
from gossip.messages import Delta, Message, decode, encode
from gossip.settings import Settings
from gossip.view import Address, ViewId

SETTINGS = Settings()


def addresses(count: int) -> list[Address]:
    return [f"10.10.{i // 250}.{i % 250 + 1}:13800" for i in range(count)]


class Network:
    def __init__(
        self, count: int, seed: int, *, loss: float = 0.0, settings: Settings = SETTINGS, by_wire: bool = True
    ) -> None:
        self.rng = Random(seed)
        self.loss = loss
        self.settings = settings
        self.by_wire = by_wire
        self.now = 1000.0
        self.rounds = 0
        self.nodes: dict[Address, Gossip] = {}
        self.views: dict[ViewId, frozenset[Address]] = {}
        self.down: set[Address] = set()
        self.mailbox: dict[Address, list[tuple[Address, Message]]] = {}
        """Of each paused node, the messages that have arrived for it, with their senders."""
        self.deaf: set[tuple[Address, Address]] = set()
        """Links (sender, receiver) that lose everything."""
        self.view_ids: dict[Address, ViewId] = {}
        """Of each node, the view it holds."""
        self.tap: list[tuple[Address, Address, Message]] | None = None
        """If it is a list, it records what arrives, with sender and receiver."""
        self.largest = 0
        """Bytes of the largest message."""
        everybody = addresses(count)
        for address in everybody:
            self.start(address)
        self.adopt(ViewId(1, 1), everybody, everybody)

    def start(self, address: Address, incarnation: int = 1, store_id: int = 7) -> Gossip:
        node = Gossip(address, store_id, incarnation, self.settings, self.now)
        self.nodes[address] = node
        self.down.discard(address)
        return node

    def adopt(self, view_id: ViewId, members: Iterable[Address], adopters: Iterable[Address]) -> None:
        self.views[view_id] = frozenset(members)
        for address in adopters:
            self.view_ids[address] = view_id
            self.nodes[address].set_view(view_id, self.views[view_id])

    def introduce(self) -> None:
        """Everybody learns everybody's record, as happens in a long time without loss."""
        for node in self.nodes.values():
            for other in self.nodes.values():
                node.receive(other.record.address, Delta(ViewId(0, 0), other.record, (), (), ()), self.now)

    def round(self) -> None:
        self.now += self.settings.interval_s
        self.rounds += 1
        turn = [address for address in self.nodes if address not in self.down and address not in self.mailbox]
        self.rng.shuffle(turn)
        for address in turn:
            self._carry_out(address, self.nodes[address].start_round(self.now, self.rng))
        for node in self.nodes.values():
            node.check()

    def until(self, holds: Callable[[], bool], *, within: float) -> int:
        """Runs rounds until it holds, and returns how many that took; fails after `within` rounds."""
        before = self.rounds
        while not holds():
            assert self.rounds - before < within, f"still not so after {within:.0f} rounds"
            self.round()
        return self.rounds - before

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self.round()

    def pause(self, address: Address) -> None:
        self.mailbox[address] = []

    def resume(self, address: Address, *, round_first: bool) -> None:
        """Ends a pause. Whether the next round or the messages that piled up come first is up to a real node's loop."""
        piled_up = self.mailbox.pop(address)
        if round_first:
            self._carry_out(address, self.nodes[address].start_round(self.now, self.rng))
        for sender, message in piled_up:
            self._carry_out(address, self.nodes[address].receive(sender, message, self.now))

    def up(self) -> list[Gossip]:
        return [node for address, node in self.nodes.items() if address not in self.down]

    def all_see(self, address: Address, state: State) -> bool:
        others = (node for node in self.up() if node.record.address != address)
        return all(address in node.members and node.members[address].state is state for node in others)

    def _carry_out(self, doer: Address, output: Output) -> None:
        """Delivers what the node sends, and everything that is sent in consequence."""
        queue = deque([(doer, output)])
        while queue:
            sender, (sends, fetch_view_from, _) = queue.popleft()
            if fetch_view_from is not None:
                view_id = self.view_ids[fetch_view_from]
                self.adopt(view_id, self.views[view_id], [sender])
            for to, message in sends:
                arrived = self._transmit(sender, to, message)
                if arrived is None:
                    continue
                if self.tap is not None:
                    self.tap.append((sender, to, arrived))
                if to in self.mailbox:
                    self.mailbox[to].append((sender, arrived))
                else:
                    queue.append((to, self.nodes[to].receive(sender, arrived, self.now)))

    def _transmit(self, sender: Address, to: Address, message: Message) -> Message | None:
        assert to != sender, "a node sends to itself"
        if self.by_wire:
            data = encode(message)
            self.largest = max(self.largest, len(data))
            message = decode(data)
        lost = self.rng.random() < self.loss
        return None if lost or to in self.down or to not in self.nodes or (sender, to) in self.deaf else message
