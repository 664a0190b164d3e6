"""Ways to ask an owner."""

from __future__ import annotations

from node.net.messages import Answer, Read, ReadResult, Write, WriteIf
from node.net.transport import answer_of
from node.values.condition import Condition, Versions
from node.values.version import Version, make_version
from tests.node.parts import Parts

V5 = make_version(5 << 16, 3)
EXISTS, IS_NEW = Condition(one_of=Versions(True)), Condition(none_of=Versions(True))


def has_version(*versions: Version) -> Condition:
    """One of these."""
    return Condition(one_of=Versions(False, versions))


def found(value: bytes, clock: int, store: int = 9) -> ReadResult:
    """What a read tells of a value that was written at that reading, in milliseconds, by that store."""
    return ReadResult(value, None, make_version(clock << 16, store))


async def read(parts: Parts, key: bytes) -> Answer:
    return await parts.owner.carry_out(Read(key), parts.deadline)


async def write(parts: Parts, key: bytes, value: bytes | None = b"1", version: bytes = V5) -> Answer:
    """Within the time that a request has."""
    return await answer_of(parts.owner.serve(Write(key, version, value), parts.config.request_s + parts.config.reply_s))


async def write_if(
    parts: Parts, key: bytes, condition: Condition, value: bytes | None = b"1", version: bytes = V5
) -> Answer:
    """The same, if the condition is met."""
    request = WriteIf(key, version, value, condition)
    return await answer_of(parts.owner.serve(request, parts.config.request_s + parts.config.reply_s))
