"""What a batch has under way, and in which order: the decisions of `kvs.batching`, without I/O.

Results come in the order of the operations, and only so many are under way, so what the caller has given and not got
back is bounded. The operations of one key take effect in their order: all go through the same lane, which has one
chunk under way at a time, and a key occurs once in a chunk. If it occurred twice, and only the second were done, then
to repeat the first would undo it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from kvs.errors import KvsError, OutcomeUnknown, Unreachable
from kvs.http import Malformed
from kvs.operations import AnswerLine, Slot, answer_lines, judged
from kvs.repeating import Effect, Failed

OPERATIONS_MAX = 16 * 1024
BYTES_MAX = 16 * 1024 * 1024
"""Given and not got back: enough for several chunks to each of many owners, few enough for any machine."""
CHUNK_OPERATIONS_MAX = 512
CHUNK_BYTES_MAX = 1024 * 1024
"""In one request: so many share one commit of the owner; with more, they would only wait for one another."""
LANES_MAX = 64
"""And so requests under way: a part of the connections that a client may have, so that each lane has one, and other
calls too."""


class Window:
    """All operations that were given and not got back."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()
        self.unsettled = 0
        self._bytes = 0

    @property
    def head(self) -> Slot | None:
        """The first that was not got back."""
        return self._slots[0] if self._slots else None

    @property
    def is_heavy(self) -> bool:
        return self._bytes >= BYTES_MAX

    @property
    def is_full(self) -> bool:
        return len(self._slots) >= OPERATIONS_MAX or self.is_heavy

    @property
    def has_results(self) -> bool:
        return bool(self._slots) and self._slots[0].outcome is not None

    def add(self, slot: Slot) -> None:
        self._slots.append(slot)
        self._bytes += len(slot.line)
        self.unsettled += slot.outcome is None

    def settle(self, slot: Slot, outcome: AnswerLine | KvsError) -> None:
        slot.outcome = outcome
        self.unsettled -= 1
        if slot.method == "GET":
            self._bytes += _value_bytes(outcome)

    def take(self) -> list[Slot]:
        """Those whose outcome is known, up to the first whose is not."""
        slots, taken = self._slots, []
        while slots and slots[0].outcome is not None:
            slot = slots.popleft()
            self._bytes -= len(slot.line)
            if slot.method == "GET":
                self._bytes -= _value_bytes(slot.outcome)
            taken.append(slot)
        return taken


class Lane:
    """Operations for the owners of some partitions, in their order."""

    def __init__(self) -> None:
        self.waiting: deque[Slot] = deque()
        self.is_busy = False

    @property
    def is_ready(self) -> bool:
        """Whether there is enough for a chunk."""
        return len(self.waiting) >= CHUNK_OPERATIONS_MAX

    def next_chunk(self) -> list[Slot]:
        """As much of what waits as goes into one request."""
        waiting, chunk, keys, left = self.waiting, list[Slot](), set[bytes](), CHUNK_BYTES_MAX
        while waiting and len(chunk) < CHUNK_OPERATIONS_MAX:
            slot = waiting[0]
            left -= len(slot.line)
            if slot.key in keys or (left < 0 and chunk):
                break
            keys.add(slot.key)
            chunk.append(waiting.popleft())
        return chunk


class Chunk:
    """The operations of one request, until each has its outcome. They are repeated if that has the same effect as to
    do them once; a write on a condition is repeated only if it was certainly not done."""

    def __init__(self, slots: list[Slot], window: Window) -> None:
        self.left = slots
        """Without an outcome."""
        self._window = window
        self._kept: list[Slot] = []
        """Of those that were answered, the ones that are to be asked again."""
        self._refusal: Failed | None = None
        """Why."""
        self._answered = 0
        self._tail = b""
        self._node = ""

    @property
    def effect(self) -> Effect:
        return Effect.NONE if all(slot.method == "GET" for slot in self.left) else Effect.SAME

    @property
    def may_pause(self) -> bool:
        """Whether the rest of the answer may stay unread while nobody takes results. Not if the first of all operations
        without an outcome is among these; and not if there are conditions, since the node may lose patience, and what
        it has done would be unknown."""
        if self._answered == len(self.left) or any(slot.is_conditional for slot in self.left):
            return False
        first = self._kept[0] if self._kept else self.left[self._answered]
        return first is not self._window.head

    def request(self, node: str) -> bytes:
        """To be sent to this node now."""
        self._node = node
        self._kept, self._refusal, self._answered, self._tail = [], None, 0, b""
        return b"".join([slot.line for slot in self.left])

    def came(self, data: bytes) -> bytes | None:
        """A part of the answer, cut anywhere. Returns a key that another node serves, if there is one. Raises Failed if
        the node ends the batch before its end, and Malformed."""
        data = self._tail + data
        end = data.rfind(b"\n") + 1
        self._tail = data[end:]
        lines = answer_lines(data[:end])
        if len(lines) > len(self.left) - self._answered:
            raise Malformed
        forwarded = None
        for slot, line in zip(self.left[self._answered :], lines, strict=False):
            if line.ends_it:
                raise Failed(line.error or "it ended the batch", sent=False)
            try:
                outcome = judged(slot, line)
            except Failed as refusal:
                self._refused(slot, refusal)
            else:
                self._window.settle(slot, outcome)
                if line.address is not None:
                    forwarded = slot.key
            self._answered += 1
        return forwarded

    def ended(self) -> None:
        """The answer is whole. Raises Failed if that to some operation is missing, or no result."""
        if self._answered < len(self.left):
            self._refusal = Failed("its answer is cut short", sent=True)
            self.broke(self._refusal)
        else:
            self.left = self._kept
        if self._refusal is not None:
            raise self._refusal

    def broke(self, failure: Failed) -> None:
        """There is no more of the answer."""
        missing = self.left[self._answered :]
        self._answered = 0
        if failure.sent:
            for slot in missing:
                if slot.is_conditional:
                    self._window.settle(slot, OutcomeUnknown({self._node: failure.reason}))
        self.left = self._kept + [slot for slot in missing if slot.outcome is None]

    def give_up(self, fault: KvsError) -> None:
        for slot in self.left:
            if slot.method == "GET" and isinstance(fault, OutcomeUnknown):
                self._window.settle(slot, Unreachable(fault.reasons))
            else:
                self._window.settle(slot, fault)
        self.left = []

    def _refused(self, slot: Slot, refusal: Failed) -> None:
        if slot.is_conditional:
            self._window.settle(slot, OutcomeUnknown({self._node: refusal.reason}))
        else:
            self._kept.append(slot)
            self._refusal = refusal


def lanes_by(owners: Iterable[tuple[str, ...]]) -> list[Lane]:
    """For each partition, of which the owners are given, its lane: those of the same owners share two. With very many
    shards, some share a lane, and so a node forwards what is not its own: no lane may have to wait for another."""
    owners = tuple(owners)
    numbers = {owned_by: number for number, owned_by in enumerate(dict.fromkeys(owners))}
    each = 2 if 2 * len(numbers) <= LANES_MAX else 1
    lanes = [Lane() for _ in range(min(each * len(numbers), LANES_MAX))]
    return [
        lanes[(each * numbers[owned_by] + partition % each) % len(lanes)] for partition, owned_by in enumerate(owners)
    ]


def _value_bytes(outcome: AnswerLine | KvsError | None) -> int:
    if not isinstance(outcome, AnswerLine) or isinstance(outcome.value, msgspec.UnsetType):
        return 0
    return memoryview(outcome.value).nbytes
