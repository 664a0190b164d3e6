"""What other nodes send: frames are decoded or refused, a node answers every call that can be decoded, and no answer to
its own calls can end it.

Who sends frames knows the secret of the cluster, if there is one. But it may be of another release, and it may have a
fault of its own, which must not spread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gossip.view import Address
from node.errors import StorageFault
from node.net import messages as wire
from node.net.frames import (
    FRAME_BYTES_MAX,
    BadFrame,
    Call,
    CallFrame,
    Ping,
    Reply,
    ReplyFrame,
    decode_calls,
    decode_replies,
    encode,
)
from node.net.transport import answer_of
from tests.fuzz.http import request
from tests.fuzz.http_side import answers
from tests.fuzz.quiet import on_virtual_time
from tests.fuzz.target import Target
from tests.golden.samples import ANSWERS, CASTS, CLOCKS, KEY, LIVE, REQUESTS, VERSION, VIEW_ID
from tests.node.lone_owner import lone_owner

B = "b:1"
BUDGET_S = 2.0
"""That a call comes with."""
ANSWERED_S = 60.0
"""By then, each call is answered, even one that waits for what is new."""
MESSAGES_MAX = 8


def check_decoding(data: bytes) -> None:
    for decode in (decode_calls, decode_replies):
        try:
            frame = decode(data)
        except BadFrame:
            continue
        assert decode(encode(frame)) == frame


FRAMES = Target(
    "frames",
    check_decoding,
    [
        encode(CallFrame(CLOCKS, tuple(Call(n, VIEW_ID, 450, each) for n, each in enumerate(REQUESTS.values())), ())),
        encode(CallFrame(CLOCKS, (), tuple(CASTS.values()))),
        encode(ReplyFrame(CLOCKS, tuple(Reply(n, each) for n, each in enumerate(ANSWERS.values())))),
    ],
    is_msgpack=True,
    examples=200,
)


# What a node does


def check_serving(data: bytes) -> None:
    try:
        frame = decode_calls(data)
    except BadFrame:
        return
    on_virtual_time(_serve(frame))


async def _serve(frame: CallFrame) -> None:
    async with lone_owner(B, runs=True) as lone:
        node = lone.node
        node.clock.hear(B, frame.clocks)
        for cast in frame.casts[:MESSAGES_MAX]:
            under = node.views.view_id if cast.record.store_id % 2 else cast.view_id
            node.hear(cast.record.address, replace(cast, view_id=under))
        for id_, view_id, _, asked in map(_fields, frame.calls[:MESSAGES_MAX]):
            under = node.views.view_id if id_ % 2 else view_id
            try:
                async with asyncio.timeout(ANSWERED_S):
                    answer = await answer_of(node.answer(B, under, BUDGET_S, asked))
            except StorageFault:
                continue
            reply = ReplyFrame(node.clock.clocks, (Reply(id_, answer),))
            encoded = encode(reply)
            assert len(encoded) <= FRAME_BYTES_MAX and decode_replies(encoded) == reply
        await asyncio.sleep(1.0)
        node.check()


def _fields(call: Call) -> tuple[int, Any, int, Any]:
    asked = wire.FetchView() if isinstance(call.request, Ping) else call.request
    return call.id, call.view_id, call.budget_ms, asked


def _frame_of(*requests: wire.Request | Ping) -> bytes:
    return encode(CallFrame(CLOCKS, tuple(Call(2 * n + 1, VIEW_ID, 450, each) for n, each in enumerate(requests)), ()))


SERVING = Target(
    "serving",
    check_serving,
    [
        *(_frame_of(each) for each in REQUESTS.values()),
        _frame_of(REQUESTS["Write"], REQUESTS["Read"], REQUESTS["Replicate"], REQUESTS["Offer"]),
        encode(CallFrame(CLOCKS, (), tuple(CASTS.values()))),
    ],
    is_msgpack=True,
    share=2,
)


# What a node asks

ASKS = (
    *(request(b"PUT /kvs/keys/k%d" % n, b'{"value":1,"causal-context":{}}') for n in range(2)),
    *(request(b"GET /kvs/keys/k%d" % n, b'{"causal-context":{}}') for n in range(2)),
    request(b"PUT /kvs/keys/k", b'{"value":1,"ttl":1}', b"If-None-Match: *"),
    request(b"DELETE /kvs/keys/k0"),
    request(b"POST /kvs/batch", b'{"op":"put","key":"k","value":1}\n{"op":"get","key":"k"}'),
    *(request(b"GET /kvs/" + path) for path in (b"keys?values=true", b"export", b"status", b"ring", b"shards/1")),
    *(request(b"GET " + path) for path in (b"/readyz", b"/metrics", b"/ui/copies?key=k")),
    request(b"PUT /kvs/view-change", b'{"view":"a:1,b:1","repl-factor":1}'),
    request(b"GET /kvs/watch"),
)
FITTING: dict[Any, tuple[Any, ...]] = {
    wire.Read: (wire.ReadResult, wire.ReadResultExpiring, wire.Unsatisfied, wire.Apart),
    wire.Write: (wire.Wrote, wire.NothingDeleted, wire.Superseded, wire.MayBeStored),
    wire.WriteIf: (wire.Wrote, wire.Unmet, wire.Unheard, wire.Superseded, wire.MayBeStored),
    wire.Batch: (wire.Batched,),
    wire.Fetch: (wire.Fetched, wire.Apart),
    wire.ListKeys: (wire.Listed, wire.ListedExpiring, wire.Unheard),
    wire.FetchRange: (wire.FetchedRange,),
    wire.FetchPartitions: (wire.FetchedRange,),
    wire.Export: (wire.Exported, wire.Unheard),
    wire.Tail: (wire.Tailed,),
    wire.AskStamp: (wire.Stamped,),
    wire.Hello: (wire.ViewIs,),
    wire.FetchView: (wire.ViewIs,),
    wire.Promise: (wire.Promised, wire.Busy, wire.Foreign, wire.NoRoom),
    wire.Confirm: (wire.Confirmed,),
    wire.Adopt: (wire.ViewIs, wire.Busy),
    wire.AskStatus: (wire.Status,),
    wire.AskHealth: (wire.Health,),
    wire.AskFigures: (wire.Figures,),
    wire.CountKeys: (wire.KeyCounts,),
    wire.AskHolding: (wire.Holding,),
    wire.Compare: (wire.Differing,),
    wire.Offer: (wire.Wanted,),
    wire.Heartbeat: (wire.HeartbeatAnswer,),
}
"""Which of the answers fit; to all other calls, any does."""


class Answering:
    """Of a node that answers what fits, in turn, if there is something; else whatever there is."""

    def __init__(self, frame: ReplyFrame) -> None:
        self._answers: Sequence[wire.Answer] = [reply.answer for reply in frame.replies]
        self._asked = 0

    def __call__(self, asked: wire.Request) -> wire.Answer:
        kinds = FITTING.get(type(asked), ())
        fitting = [answer for answer in self._answers if isinstance(answer, kinds)] if kinds else []
        self._asked += 1
        there_are = fitting or self._answers or [wire.Unable()]
        return there_are[self._asked % len(there_are)]


def check_asking(data: bytes) -> None:
    try:
        frame = decode_replies(data)
    except BadFrame:
        return
    others: dict[Address, Any] = {B: Answering(frame)}
    told = on_virtual_time(answers(False, ASKS, others=others))
    assert b"HTTP/1.1 500" not in told, told


def _reply(*found: wire.Answer) -> bytes:
    return encode(ReplyFrame(CLOCKS, tuple(Reply(n, each) for n, each in enumerate(found))))


_IN_STEP = wire.HeartbeatAnswer(7, False, False, True, False)
STRIDE = 8
"""So many seeds have all answers among them."""
ASKING = Target(
    "asking",
    check_asking,
    [
        _reply(*ANSWERS.values()),
        _reply(_IN_STEP, wire.Taken(), *ANSWERS.values()),
        _reply(_IN_STEP, wire.Taken(), wire.Tailed(1, ((2, KEY, VERSION),), 3, True, ())),
        _reply(wire.Fetched(VERSION), wire.FetchedRange(((KEY, VERSION + b"\x08"),), None, 0, False)),
        _reply(wire.FetchedRange(((KEY, LIVE.encode()),), KEY, 0, False), *ANSWERS.values()),
        *(_reply(_IN_STEP, wire.Taken(), *[*ANSWERS.values()][start::STRIDE]) for start in range(STRIDE)),
    ],
    is_msgpack=True,
    share=2,
    examples=15,
)
