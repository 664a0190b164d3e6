"""Many operations at once, and another owner that answers them as told."""

from __future__ import annotations

from collections.abc import Sequence

from gossip.view import Address
from node.errors import RequestFault, StorageFault
from node.net.messages import (
    Answer,
    Batch,
    Hello,
    Read,
    Request,
    ViewIs,
    Write,
    WriteIf,
)
from node.operations.batching import Asked, Came
from node.operations.router import Outcome
from node.values.version import make_version
from tests.node.parts import A, B, Parts, node_a

VALUE = b'"v"'
AHEAD = make_version(1 << 62, 9)


class Owner:
    """Stands in for another owner: it answers batches, and what comes alone, as told in turn, and keeps both."""

    def __init__(self, batches: Sequence[Answer | Exception], alone: Sequence[Answer | Exception] = ()) -> None:
        self.batches: list[tuple[Read | Write, ...]] = []
        self.alone: list[Read | Write | WriteIf] = []
        self._batches, self._alone = list(batches), list(alone)

    def __call__(self, request: Request) -> Answer:
        match request:
            case Batch(operations):
                self.batches.append(operations)
                answer = self._batches.pop(0)
            case Read() | Write() | WriteIf():
                self.alone.append(request)
                answer = self._alone.pop(0)
            case _:
                assert isinstance(request, Hello)
                return ViewIs(b"")
        if isinstance(answer, Exception):
            raise answer
        return answer


def put(key: bytes, value: bytes = VALUE) -> Asked:
    return Asked(key, value=value)


def read(key: bytes) -> Asked:
    return Asked(key, is_read=True)


def delete(key: bytes) -> Asked:
    return Asked(key)


async def answers(parts: Parts, *asked: Asked) -> list[Answer | str | None]:
    return [told(came) for came in await parts.batching.carry_out(asked)]


def told(came: Came) -> Answer | str | None:
    """In short."""
    if isinstance(came, Outcome):
        return came.answer
    assert came is None or isinstance(came, RequestFault | StorageFault), came
    return None if came is None else type(came).__name__


async def with_owner(owner: Owner, *others: Address) -> tuple[Parts, list[bytes]]:
    """A node, and keys of B, which answers like this."""
    parts = await node_a(A, B, *others)
    parts.peers.script[B] = owner
    keys = parts.keys_of(B)
    return parts, [next(keys) for _ in range(4)]
