"""Ways to ask an owner, and a peer for it to ask."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from node.net.messages import Answer, Fetch, Fetched, Read, Replicate, Request, Taken, Write
from node.values.record import Record
from node.values.version import make_version
from tests.node.parts import Parts

V5 = make_version(5 << 16, 3)


def holding(found: Record | None) -> Callable[[Request], Answer]:
    """A peer that answers Fetch, and takes what it is sent."""

    def answer(request: Request) -> Answer:
        if isinstance(request, Replicate):
            return Taken()
        assert isinstance(request, Fetch)
        return Fetched(None if found is None else found.encode())

    return answer


async def read(parts: Parts, key: bytes) -> Answer:
    return await parts.owner.carry_out(Read(key), parts.deadline)


async def write(parts: Parts, key: bytes, value: bytes | None = b"1", version: bytes = V5) -> Answer:
    """Within the time that a request has."""
    answer = parts.owner.serve(Write(key, version, value), parts.config.request_s + parts.config.reply_s)
    return await answer if inspect.isawaitable(answer) else answer
