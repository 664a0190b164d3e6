"""What a node sends and keeps, one sample of each kind, and what the bytes of each must be for ever: `frames.json`.

The messages are made with positional arguments: on the wire a field is its place, and its name is free to change. So
two fields of one type that trade places in their class pass unnoticed here: only who fills and reads them can tell. A
sample fills every field, each with a value of its own; where there are defaults, another one leaves them out. Where
there are several flags, each has a sample in which it alone is set.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import gossip.messages
from gossip.messages import Delta, Digest, Held, PingAck, PingReq, Rumour
from gossip.view import Electors, Former, View, ViewId, decode_view
from node.net import messages as wire
from node.net.frames import Call, CallFrame, Ping, Reply, ReplyFrame, decode_calls, decode_replies, encode
from node.timing.clock import Clocks
from node.values import context
from node.values.condition import Condition, Versions
from node.values.context import ANYBODY, Context, Sight, from_json, to_json
from node.values.donors import Share, decode_share
from node.values.record import Record, decode_record
from node.values.version import CLOCK_MAX, make_version
from ring.hashing import pack

FILE = Path(__file__).with_name("frames.json")
"""The name of each sample -> its bytes in hexadecimal."""
FORMER_FILE = Path(__file__).with_name("former.json")
"""The name of a sample -> the bytes that it had before its message got further fields. Never to be written anew, only
added to: what says the same in fewer fields is still read."""

VIEW_ID = ViewId(5, 2**64 - 1)
CLOCKS = Clocks(CLOCK_MAX - 2, 2**40 + 1)
VERSION, OTHER_VERSION = make_version(2**62 + 3, 2**64 - 4), make_version(5, 6)
CONTEXT = Context(
    {2**64 - 7: Sight(VERSION, 2**64 - 8), 9: Sight(OTHER_VERSION, 10)},
    {2**63 + 11: 2**62 + 12, ANYBODY: 13},
)
"""Not in the order of its numbers: entries travel in the order in which they came."""
KEY = "ключ".encode()
STRETCH = wire.Stretch(bytes(range(256)) * 2, KEY[:4], KEY)
VALUE = b'{"a": [1, 2.5, null]}'

EPOCH_0 = View(0, 0, None, "", None, (("10.10.0.4:13800",), ("b:1",)), pack([0, 1, 0, 1]), ())
EPOCH_1 = View(
    EPOCH_0.id.digest,
    1,
    EPOCH_0.id,
    "[fe80::1]:80",
    2,
    (("b:1", "[fe80::1]:80"), ("c:1", "d:1", "e:1")),
    pack([0, 0, 1, 1]),
    (("10.10.0.4:13800", False, pack([0, 2])), ("10.10.0.4:13800", True, pack([3])), ("b:1", True, pack([1]))),
    2**40,
)

EPOCH_2 = View(
    EPOCH_0.id.digest,
    2,
    EPOCH_1.id,
    "c:1",
    2,
    (("b:1", "[fe80::1]:80"), ("c:1", "d:1")),
    pack([0, 0, 1, 1]),
    (),
    2**41,
    (("[fe80::1]:80", "rack-1"), ("d:1", "стойка:2")),
)
EPOCH_3 = View(
    EPOCH_0.id.digest,
    3,
    EPOCH_1.id,
    "d:1",
    2,
    EPOCH_1.shards,
    EPOCH_1.table,
    (),
    2**40 + 1,
    (),
    (Former(EPOCH_1.id, 2, EPOCH_1.shards), Former(EPOCH_0.id, None, EPOCH_0.shards)),
)
EPOCH_4 = View(
    EPOCH_0.id.digest,
    4,
    EPOCH_3.id,
    "b:1",
    2,
    (("b:1", "c:1"),),
    pack([0, 0, 0, 0]),
    (),
    2**40 + 2,
    (),
    (),
    ("[fe80::1]:80", "d:1"),
    (Electors(EPOCH_2.id, ()), Electors(EPOCH_3.id, ("[fe80::1]:80", "b:1", "c:1"))),
)

LIVE = Record(VERSION, VALUE, False)
TOMBSTONE = Record(OTHER_VERSION, None, True)

REQUESTS: dict[str, wire.Request | Ping] = {
    "Ping": Ping(),
    "Read": wire.Read(KEY, CONTEXT),
    "Read, defaults": wire.Read(KEY),
    "Read, empty context": wire.Read(KEY, Context()),
    "Write": wire.Write(KEY, VERSION, VALUE, CONTEXT),
    "Write, defaults": wire.Write(KEY, VERSION, VALUE),
    "Write, delete": wire.Write(KEY, VERSION, None, CONTEXT),
    "WriteIf": wire.WriteIf(
        KEY, VERSION, VALUE, Condition(Versions(False, (VERSION, OTHER_VERSION)), Versions(True)), CONTEXT, 2**41 + 2
    ),
    "WriteIf, defaults": wire.WriteIf(KEY, VERSION, VALUE, Condition()),
    "WriteIf, delete": wire.WriteIf(
        KEY, VERSION, None, Condition(Versions(True), Versions(False, (OTHER_VERSION,))), CONTEXT
    ),
    "WriteExpiring": wire.WriteExpiring(KEY, VERSION, VALUE, CONTEXT, 2**41 + 1),
    "WriteExpiring, defaults": wire.WriteExpiring(KEY, VERSION, VALUE),
    "Batch": wire.Batch((wire.Write(KEY, VERSION, VALUE), wire.Read(b"k"), wire.Write(b"l", OTHER_VERSION, None))),
    "Batch, empty": wire.Batch(()),
    "Fetch": wire.Fetch(KEY),
    "AskStamp": wire.AskStamp(),
    "ListKeys": wire.ListKeys(wire.Range(KEY[:2], KEY, 1000, 2**20), True),
    "Export": wire.Export(STRETCH, 2**17),
    "FetchPartitions": wire.FetchPartitions(STRETCH, 2**22),
    "Tail": wire.Tail(2**62 + 1, 2**40, 5000, True, False),
    "Tail with_expired": wire.Tail(2**62 + 1, 2**40, 5000, False, True),
    "FetchRange": wire.FetchRange(wire.Range(b"", b"", 1, 2**22), False),
    "Hello": wire.Hello(EPOCH_1.encoded),
    "Hello, founders": wire.Hello(EPOCH_0.encoded, ("10.10.0.4:13800", "b:1")),
    "FetchView": wire.FetchView(),
    "Promise": wire.Promise(6, "c:1", "view a:1,c:1", ("a:1", "[::1]:80"), 2**64 - 7, ViewId(5, 2**64 - 9)),
    "Promise, defaults": wire.Promise(6, "c:1", "view a:1,c:1", ("a:1", "[::1]:80"), 2**64 - 7),
    "Release": wire.Release(6, "c:1"),
    "Confirm": wire.Confirm(True),
    "Confirm, defaults": wire.Confirm(),
    "Adopt": wire.Adopt(EPOCH_1.encoded),
    "Adopt, founders": wire.Adopt(EPOCH_0.encoded, ("b:1",)),
    "AskStatus": wire.AskStatus(),
    "AskHealth": wire.AskHealth(),
    "AskFigures": wire.AskFigures(2**33, 7),
    "AskFigures, defaults": wire.AskFigures(),
    "CountKeys": wire.CountKeys(pack([1, 4095])),
    "AskHolding": wire.AskHolding(),
    "Holding": wire.Holding(pack([2, 3]), True),
    "Holding, defaults": wire.Holding(pack([2, 3])),
    "Push": wire.Push(((KEY, LIVE.encode()), (b"k", TOMBSTONE.encode())), pack([4, 5]), True),
    "Push, defaults": wire.Push(((KEY, LIVE.encode()), (b"k", TOMBSTONE.encode())), pack([4, 5])),
    "Compare": wire.Compare(pack([6, 7]), bytes(range(16)), 2**62 + 8),
    "Compare, defaults": wire.Compare(pack([6, 7]), bytes(range(16))),
    "Offer": wire.Offer(((KEY, VERSION), (b"k", OTHER_VERSION)), 2**62 + 9),
    "Offer, defaults": wire.Offer(((KEY, VERSION),)),
    "Heartbeat": wire.Heartbeat(2**64 - 10, False),
    "Heartbeat, empty": wire.Heartbeat(2**64 - 10, True),
    "Replicate": wire.Replicate(((KEY, LIVE.encode()), (b"k", TOMBSTONE.encode())), True, ("c:1", "[::1]:80")),
    "Replicate, defaults": wire.Replicate(((KEY, LIVE.encode()),), False),
}

ANSWERS: dict[str, wire.Answer] = {
    "ReadResult": wire.ReadResult(VALUE, CONTEXT),
    "ReadResult, defaults": wire.ReadResult(VALUE),
    "ReadResult, none": wire.ReadResult(None, CONTEXT),
    "ReadResult, version": wire.ReadResult(VALUE, CONTEXT, VERSION),
    "ReadResultExpiring": wire.ReadResultExpiring(VALUE, CONTEXT, VERSION, 2**33 + 2),
    "ReadResultExpiring, defaults": wire.ReadResultExpiring(VALUE),
    "ListedExpiring": wire.ListedExpiring(((b"k", OTHER_VERSION, None), (KEY, VERSION, VALUE)), KEY, ((KEY, 2**33),)),
    "ListedExpiring, defaults": wire.ListedExpiring((), None),
    "Listed": wire.Listed(((b"k", OTHER_VERSION, None), (KEY, VERSION, VALUE)), KEY),
    "Listed, to the end": wire.Listed((), None),
    "Exported": wire.Exported(b'{"key":"k","value":1}\n', KEY),
    "Exported, to the end": wire.Exported(b"", None),
    "FetchedRange": wire.FetchedRange(((b"k", TOMBSTONE.encode()), (KEY, LIVE.encode()[:17])), KEY, 2**62 + 7, True),
    "FetchedRange, to the end": wire.FetchedRange((), None, 0, False),
    "Unheard": wire.Unheard(("a:1", "[::1]:80")),
    "Tailed": wire.Tailed(
        2**62 + 1, ((2**40, KEY, VERSION + b"\0" + VALUE), (2**40 + 3, b"k", VERSION)), 2**41, True, ("b:1",)
    ),
    "Wrote": wire.Wrote(True, CONTEXT),
    "Wrote, copies": wire.Wrote(True, CONTEXT, wire.Copies(1, 2)),
    "Wrote, defaults": wire.Wrote(False),
    "NothingDeleted": wire.NothingDeleted(CONTEXT),
    "NothingDeleted, defaults": wire.NothingDeleted(),
    "Superseded": wire.Superseded(VERSION),
    "Batched": wire.Batched(
        (
            *(
                wire.Wrote(True),
                wire.ReadResult(VALUE, None, VERSION),
                wire.ReadResultExpiring(VALUE, None, VERSION, 7),
            ),
            *(wire.Superseded(OTHER_VERSION), wire.MayBeStored(), wire.Unable()),
        )
    ),
    "Batched, empty": wire.Batched(()),
    "Stamped": wire.Stamped(VERSION),
    "Unable": wire.Unable(),
    "MayBeStored": wire.MayBeStored(),
    "MayBeStored, missing": wire.MayBeStored(("a:1", "[::1]:80")),
    "Unmet": wire.Unmet(VERSION, CONTEXT),
    "Unmet, defaults": wire.Unmet(VERSION),
    "Unmet, by nothing": wire.Unmet(None),
    "Unsatisfied": wire.Unsatisfied(),
    "Apart": wire.Apart(2**20),
    "Fetched": wire.Fetched(LIVE.encode(), 2**62 + 14, True),
    "Fetched, defaults": wire.Fetched(LIVE.encode()),
    "Fetched, none": wire.Fetched(None, 15),
    "ViewIs": wire.ViewIs(EPOCH_1.encoded),
    "ViewIs, founders": wire.ViewIs(EPOCH_0.encoded, ("10.10.0.4:13800", "b:1")),
    "Promised": wire.Promised(),
    "Promised, supports": wire.Promised(True),
    "Promised, established": wire.Promised(False, True),
    "Promised, supports and established": wire.Promised(True, True),
    "Confirmed, supports": wire.Confirmed(True, False),
    "Confirmed, established": wire.Confirmed(False, True),
    "Busy": wire.Busy(7, "d:1", "view d:1"),
    "Foreign": wire.Foreign(),
    "Health": wire.Health("4.0.1", 50, 2**33 + 1, 2, 3, 4, 5, 6),
    "Health, defaults": wire.Health("", 2000),
    "Health, disk": wire.Health("4.0.1", 50, 2**33 + 1, 2, 3, 4, 5, 6, 2**40, 2**41, 2**24),
    "Figures": wire.Figures(2**33, 8, 9, (wire.Interval(5000, 1, 2, 3, 4, 5, 6, 7),), 2**40, 2**41, 2**42),
    "Figures, defaults": wire.Figures(1, 0, 10, ()),
    "Status, settled": wire.Status(
        VIEW_ID, 8, "view a:1", 9, (wire.Owed("b:1", 10, 11), wire.Owed("c:1", 12, 2**40)), (), True, False
    ),
    "Status, full": wire.Status(VIEW_ID, 8, "", 0, (), (), False, False, "rack-2", True, True, 2**33 + 16),
    "Status, holds records": wire.Status(VIEW_ID, 0, "", 0, (), (wire.Owed("d:1", 13, 14),), False, True),
    "Status, zone": wire.Status(VIEW_ID, 0, "", 0, (), (), True, False, "rack-1"),
    "Status, may lack records": wire.Status(VIEW_ID, 0, "", 0, (), (), False, False, "rack-2", True),
    "KeyCounts": wire.KeyCounts((15, 0, 2**32)),
    "Holding": wire.Holding(pack([16, 17]), True),
    "Holding, defaults": wire.Holding(pack([16, 17])),
    "Taken": wire.Taken(),
    "Differing": wire.Differing(pack([18]), pack([19, 20]), 2**62 + 21),
    "Differing, defaults": wire.Differing(pack([18]), pack([19, 20])),
    "Wanted": wire.Wanted(pack([22, 23])),
    "HeartbeatAnswer, empty": wire.HeartbeatAnswer(2**64 - 24, True, False, False, False),
    "HeartbeatAnswer, may lack records": wire.HeartbeatAnswer(2**64 - 24, False, True, False, False),
    "HeartbeatAnswer, lease granted": wire.HeartbeatAnswer(2**64 - 24, False, False, True, False),
    "HeartbeatAnswer, owing": wire.HeartbeatAnswer(2**64 - 24, False, False, False, True),
    "HeartbeatAnswer, a longer lease": wire.HeartbeatAnswer(2**64 - 24, False, False, True, False, 8200),
    "NoRoom": wire.NoRoom(),
}

OWN = gossip.messages.MemberRecord("10.10.0.4:13800", 2**62, 1, 2**64 - 2, 3, 4, 2**64 - 5, 2**62 + 6, 2**62 + 7)
OTHER = gossip.messages.MemberRecord("[::1]:80", 8, 9, 10, 11, 12)
KEEPING = gossip.messages.MemberRecord("b:1", 1, 2, 3, 4, 5, 6, 7, 8, 2**62 + 9, 2**62 + 8)
RUMOURS = (Rumour("b:1", 13, True), Rumour("c:1", 14, False))

CASTS: dict[str, gossip.messages.Message] = {
    "Digest": Digest(VIEW_ID, OWN, RUMOURS, (Held("b:1", 15, 16), Held("c:1", 0, 0))),
    "Digest, empty": Digest(VIEW_ID, OTHER, (), ()),
    "Digest, of one that keeps records": Digest(VIEW_ID, KEEPING, (), ()),
    "Delta": Delta(VIEW_ID, OWN, RUMOURS, (OTHER, OWN), ("c:1", "d:1")),
    "PingReq": PingReq(VIEW_ID, OWN, RUMOURS, "b:1"),
    "PingAck": PingAck(VIEW_ID, OWN, RUMOURS, "b:1"),
}


def members(union: Any) -> tuple[Any, ...]:
    """The types of which messages of this kind are."""
    assert isinstance(union, types.UnionType)
    return typing.get_args(union)


class Sample(NamedTuple):
    what: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    """The reverse, as the product does it."""


def _call(id_: int, request: wire.Request | Ping) -> Call:
    return Call(id_, VIEW_ID, 450, request)


def _calls(*calls: Call, casts: tuple[gossip.messages.Message, ...] = ()) -> Sample:
    return Sample(CallFrame(CLOCKS, calls, casts), encode, decode_calls)


def _replies(*replies: Reply) -> Sample:
    return Sample(ReplyFrame(CLOCKS, replies), encode, decode_replies)


def _view(view: View) -> Sample:
    return Sample(view, lambda view: view.encoded, decode_view)


def _digest(view: View) -> Sample:
    return Sample(view.id.digest, lambda digest: digest.to_bytes(8), int.from_bytes)


def _record(record: Record) -> Sample:
    return Sample(record, Record.encode, decode_record)


SAMPLES: dict[str, Sample] = {
    **{f"call: {name}": _calls(_call(2**32 + 1, request)) for name, request in REQUESTS.items()},
    **{f"reply: {name}": _replies(Reply(2**32 + 1, answer)) for name, answer in ANSWERS.items()},
    **{f"cast: {name}": _calls(casts=(cast,)) for name, cast in CASTS.items()},
    "frame: no calls": _calls(),
    "frame: calls and casts": _calls(
        _call(1, REQUESTS["Read"]), _call(2, REQUESTS["Ping"]), casts=(CASTS["PingReq"], CASTS["Delta"])
    ),
    "frame: no replies": _replies(),
    "frame: replies": _replies(Reply(1, ANSWERS["ReadResult"]), Reply(2, ANSWERS["Taken"])),
    "view: epoch 0": _view(EPOCH_0),
    "view: epoch 0, digest": _digest(EPOCH_0),
    "view: donors": _view(EPOCH_1),
    "view: donors, digest": _digest(EPOCH_1),
    "view: zones": _view(EPOCH_2),
    "view: zones, digest": _digest(EPOCH_2),
    "view: former": _view(EPOCH_3),
    "view: former, digest": _digest(EPOCH_3),
    "view: absent and electors": _view(EPOCH_4),
    "view: absent and electors, digest": _digest(EPOCH_4),
    "record: live": _record(LIVE),
    "record: tombstone": _record(TOMBSTONE),
    "record: replaced": _record(Record(VERSION, VALUE, True)),
    "record: context": _record(Record(VERSION, VALUE, True, context.encode(CONTEXT))),
    "record: expires": _record(Record(VERSION, VALUE, True, b"", 2**41 + 3)),
    "record: expires, context": _record(Record(VERSION, VALUE, False, context.encode(CONTEXT), 2**41 + 4)),
    "record: tombstone that expired": _record(Record(VERSION, None, True, b"", 2**41 + 5)),
    "record: tombstone with context": _record(Record(VERSION, None, True, context.encode(CONTEXT))),
    "share": Sample(Share(1 << 4095 | 1, 1 << 2048 | 2, 1 << 1024 | 4), Share.encode, decode_share),
    "context: on disk": Sample(CONTEXT, context.encode, context.decode),
    "context: of a client": Sample(
        CONTEXT,
        lambda known: msgspec.json.encode(to_json(known)),
        lambda data: from_json(msgspec.json.decode(data), CLOCK_MAX),
    ),
}
