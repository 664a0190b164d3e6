"""How nodes' messages travel: in frames, validated once, here.

Everything that was queued in one turn of the event loop goes in one frame, as far as it fits, with what the sender's
clocks show; each call carries the id of its sender's view. Garbage raises `BadFrame`, and never anything else.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

import gossip.messages
from gossip.view import BadAddress, ViewId
from node.net.messages import Answer, NodeMessage, Request, Unsigned
from node.timing.clock import Clocks

T = TypeVar("T")
Queued = TypeVar("Queued", "Call", "Reply")

FRAME_BYTES_MAX = 8 * 1024 * 1024
"""More than 256 messages that are not bulky, of 16 KiB at most, and a bulky one, of 1 MiB, ever take."""
MESSAGES_PER_FRAME = 256


class BadFrame(ValueError):
    """The bytes are not a frame of this protocol."""


class Ping(NodeMessage, frozen=True, tag=0):
    """Are you there? Answered with Taken by the link itself, at once, whatever else its node waits for."""


class Call(msgspec.Struct, frozen=True, array_like=True, gc=False):
    id: Unsigned
    view_id: ViewId
    budget_ms: Unsigned
    """How long the sender will wait."""
    request: Request | Ping

    def is_bulky(self) -> bool:
        return self.request.is_bulky()


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    id: Unsigned
    answer: Answer

    def is_bulky(self) -> bool:
        return self.answer.is_bulky()


class CallFrame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    clocks: Clocks
    calls: tuple[Call, ...]
    casts: tuple[gossip.messages.Message, ...]


class ReplyFrame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    clocks: Clocks
    replies: tuple[Reply, ...]


def take_frame(queue: list[Queued]) -> tuple[Queued, ...]:
    """Remove from the front of `queue` what may travel in one frame: many small messages, or few and one bulky one."""
    if len(queue) == 1:
        return (queue.pop(),)
    count = 0
    for queued in queue[:MESSAGES_PER_FRAME]:
        count += 1
        if queued.is_bulky():
            break
    frame = tuple(queue[:count])
    del queue[:count]
    return frame


encode = msgspec.msgpack.Encoder().encode
_call_frames = msgspec.msgpack.Decoder(CallFrame)
_reply_frames = msgspec.msgpack.Decoder(ReplyFrame)


def decode_calls(data: bytes) -> CallFrame:
    """Raises BadFrame."""
    frame = _decode(_call_frames, data)
    try:
        for cast in frame.casts:
            gossip.messages.check_addresses(cast)
    except BadAddress as error:
        raise BadFrame(str(error)) from None
    return frame


def decode_replies(data: bytes) -> ReplyFrame:
    """Raises BadFrame."""
    return _decode(_reply_frames, data)


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(str(error)) from None
