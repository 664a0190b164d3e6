"""Every message goes through the encoder and back unchanged; what is no frame raises BadFrame, never anything else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gossip.messages
from gossip.view import ViewId
from node.net import messages as wire
from node.net.frames import BadFrame, Call, CallFrame, Reply, ReplyFrame, decode_calls, decode_replies, encode
from node.timing.clock import Clocks
from node.values.condition import Condition, Versions
from node.values.context import Context, Sight
from node.values.record import KEY_BYTES_MAX
from tests.golden.samples import members

KEYS = st.binary(min_size=1, max_size=KEY_BYTES_MAX)
PARTS_OF_KEYS = st.binary(max_size=KEY_BYTES_MAX)
BYTES = st.binary(max_size=60)
COUNTS = st.integers(0, 2**63 - 1)
ADDRESSES = st.sampled_from(["10.0.0.1:80", "[fe80::1]:80", "node.example:13800"])
VIEW_IDS = st.builds(ViewId, COUNTS, st.integers(0, 2**64 - 1))
HASHES = st.integers(0, 2**64 - 1)
CLOCKS = Clocks(5, 6)
CLOCK_PAIRS = st.builds(Clocks, COUNTS, st.integers(0, 2**47 - 1))
SIGHTS = st.builds(Sight, st.binary(min_size=16, max_size=16), HASHES)
CONTEXTS = st.builds(Context, st.dictionaries(HASHES, SIGHTS, max_size=4), st.dictionaries(HASHES, HASHES, max_size=4))
CONDITIONS = st.builds(
    Condition,
    *[st.none() | st.builds(Versions, st.booleans(), st.lists(st.binary(min_size=16, max_size=16)).map(tuple))] * 2,
)
VERSIONS = st.binary(min_size=16, max_size=16)
OPERATIONS = st.builds(wire.Read, KEYS) | st.builds(wire.Write, KEYS, VERSIONS, st.none() | BYTES)
OF_BATCHES = (
    st.builds(wire.ReadResult, st.none() | BYTES, st.none(), st.none() | VERSIONS)
    | st.builds(wire.ReadResultExpiring, BYTES, st.none(), VERSIONS, COUNTS)
    | st.builds(wire.Wrote, st.booleans())
    | st.builds(wire.Superseded, VERSIONS)
    | st.sampled_from([wire.MayBeStored(), wire.Unable()])
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "operations": st.lists(OPERATIONS).map(tuple),
    "answers": st.lists(OF_BATCHES).map(tuple),
    "key": KEYS,
    "version": st.binary(min_size=16, max_size=16),
    "value": st.none() | BYTES,
    "context": st.none() | CONTEXTS,
    "condition": CONDITIONS,
    "missing": st.lists(ADDRESSES).map(tuple),
    "copies": st.none() | st.builds(wire.Copies, COUNTS, COUNTS),
    "record": st.none() | BYTES,
    "range": st.builds(wire.Range, PARTS_OF_KEYS, PARTS_OF_KEYS, COUNTS, COUNTS),
    "stretch": st.builds(wire.Stretch, st.binary(min_size=512, max_size=512), PARTS_OF_KEYS, PARTS_OF_KEYS),
    "lines": BYTES,
    "entries": st.lists(st.tuples(KEYS, st.binary(min_size=16, max_size=16), st.none() | BYTES)).map(tuple),
    "end": st.none() | KEYS,
    "expires_ms": st.integers(0, 2**48 - 1),
    "nodes": st.lists(ADDRESSES).map(tuple),
    "changes": st.lists(st.tuples(COUNTS, KEYS, BYTES)).map(tuple),
    "left_out": st.lists(ADDRESSES).map(tuple),
    "told": st.lists(ADDRESSES).map(tuple),
    "versions": st.lists(st.tuples(KEYS, st.binary(min_size=16, max_size=16))).map(tuple),
    "records": st.lists(st.tuples(KEYS, BYTES)).map(tuple),
    "counts": st.lists(COUNTS).map(tuple),
    "founders": st.lists(ADDRESSES).map(tuple),
    "old_nodes": st.lists(ADDRESSES).map(tuple),
    "handing": st.lists(st.builds(wire.Owed, ADDRESSES, COUNTS, COUNTS)).map(tuple),
    "intervals": st.lists(st.builds(wire.Interval, *8 * [COUNTS])).map(tuple),
    "zone": st.sampled_from(["", "rack-1"]),
    "waiting": st.lists(st.builds(wire.Owed, ADDRESSES, COUNTS, COUNTS)).map(tuple),
}
"""By name; all others by their type."""


def any_of(message_type: Any) -> st.SearchStrategy[Any]:
    """Messages of one type, its fields filled by their names or types."""
    by_type = {"int": COUNTS, "bytes": BYTES, "str": ADDRESSES, "Address": ADDRESSES, "bool": st.booleans()}
    by_type |= {"Unsigned": COUNTS, "Partitions": BYTES, "ViewId": VIEW_IDS, "ViewId | None": st.none() | VIEW_IDS}
    fields = message_type.__struct_fields__
    hints = {
        name: hint
        for base in reversed(message_type.__mro__)
        for name, hint in vars(base).get("__annotations__", {}).items()
    }
    by_type |= {"tuple[tuple[KeyBytes, Unsigned], ...]": st.lists(st.tuples(KEYS, COUNTS)).map(tuple)}
    return st.builds(message_type, *(FIELDS[name] if name in FIELDS else by_type[hints[name]] for name in fields))


REQUESTS, ANSWERS = members(wire.Request), members(wire.Answer)
RECORDS = st.builds(gossip.messages.MemberRecord, ADDRESSES, COUNTS.map(lambda n: n >> 2), *[COUNTS] * 5)
CASTS = st.builds(gossip.messages.Delta, VIEW_IDS, RECORDS, st.just(()), st.lists(RECORDS).map(tuple), st.just(()))

CALL_FRAMES = st.builds(
    CallFrame,
    CLOCK_PAIRS,
    st.lists(st.builds(Call, COUNTS, VIEW_IDS, COUNTS, st.one_of(*map(any_of, REQUESTS)))).map(tuple),
    st.lists(CASTS, max_size=2).map(tuple),
)
REPLY_FRAMES = st.builds(
    ReplyFrame, CLOCK_PAIRS, st.lists(st.builds(Reply, COUNTS, st.one_of(*map(any_of, ANSWERS)))).map(tuple)
)


@pytest.mark.parametrize("message_type", REQUESTS, ids=lambda message_type: message_type.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_message_request_round_trip(message_type: Any, data: st.DataObject) -> None:
    call = Call(1, ViewId(2, 3), 4, data.draw(any_of(message_type)))
    frame = CallFrame(CLOCKS, (call,), ())
    assert decode_calls(encode(frame)) == frame


@pytest.mark.parametrize("message_type", ANSWERS, ids=lambda message_type: message_type.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_message_answer_round_trip(message_type: Any, data: st.DataObject) -> None:
    frame = ReplyFrame(CLOCKS, (Reply(1, data.draw(any_of(message_type))),))
    assert decode_replies(encode(frame)) == frame


@given(CALL_FRAMES)
def test_message_call_frame_round_trip(frame: CallFrame) -> None:
    assert decode_calls(encode(frame)) == frame


def test_message_tags_differ() -> None:
    tags = {message_type.__struct_config__.tag: message_type for message_type in (*REQUESTS, *ANSWERS)}
    assert len(tags) == len(set(REQUESTS) | set(ANSWERS))


def decode_or_refuse(data: bytes) -> None:
    for decode in (decode_calls, decode_replies):
        try:
            decode(data)
        except BadFrame:
            continue


@given(st.binary())
def test_message_garbage_raises_bad_frame_only(data: bytes) -> None:
    decode_or_refuse(data)


@given(st.one_of(CALL_FRAMES, REPLY_FRAMES), st.data())
def test_message_mutated_frame_raises_bad_frame_only(frame: CallFrame | ReplyFrame, data: st.DataObject) -> None:
    encoded = bytearray(encode(frame))
    for place in data.draw(st.lists(st.integers(0, len(encoded) - 1), max_size=4)):
        encoded[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(encoded)))
    decode_or_refuse(bytes(encoded[:cut]))
    decode_or_refuse(bytes(encoded))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x91" * 5000,
        encode(CallFrame(CLOCKS, (), ())) + b"\0",
        msgspec.msgpack.encode([[0, 0], [], [], 1]),
        msgspec.msgpack.encode([[-1, 0], [], []]),
        msgspec.msgpack.encode([[0, -1], [], []]),
        msgspec.msgpack.encode([[2**64 - 1, 0], [[1, [0, 0], 0, [99]]], []]),
        msgspec.msgpack.encode([[0, 0], [[1, [0, 0], 0, [1, b""]]], []]),
        msgspec.msgpack.encode([[0, 0], [[1, [0, 0], 0, [1, b"k" * (KEY_BYTES_MAX + 1)]]], []]),
        msgspec.msgpack.encode([[0, 0], [[1, [0, 0], 0, [2, b"k", b"short", None]]], []]),
        msgspec.msgpack.encode([[0, 0], [[1, [0, 0], 0, [3, None]]], []]),
        msgspec.msgpack.encode([[0, 0], [[1, [0, 0], 0, [38, [[b"k", b"short"]]]]], []]),
        msgspec.msgpack.encode([[0, 0], [[1, [0, 0], 0, [42, [[b"", b"record"]], False]]], []]),
        msgspec.msgpack.encode([[0, 0], [[1, [0, 0], 0, [59, b"k", bytes(16), None, [[False, [b"short"]]]]]], []]),
    ],
    ids=[
        "empty",
        "deep",
        "longer",
        "more_fields",
        "negative",
        "negative_wall",
        "no_tag",
        "no_key",
        "long_key",
        "short_version",
        "answer",
        "short_version_offered",
        "no_key_replicated",
        "short_version_demanded",
    ],
)
def test_message_near_miss_bad_frame(data: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_calls(data)


def test_message_status_with_a_zone_that_is_none_is_refused() -> None:
    status = wire.Status(ViewId(0, 0), 0, "", 0, (), (), True, False, "rack-1")
    encoded = encode(ReplyFrame(CLOCKS, (Reply(1, status),)))
    assert decode_replies(encoded).replies[0].answer == status
    with pytest.raises(BadFrame):
        decode_replies(encoded.replace(b"rack-1", b"rack 1"))


def test_message_cast_with_an_address_that_is_none_is_refused() -> None:
    record = gossip.messages.MemberRecord("nowhere", 1, 0, 2, 0, 0)
    frame = CallFrame(CLOCKS, (), (gossip.messages.Delta(ViewId(0, 0), record, (), (), ()),))
    with pytest.raises(BadFrame):
        decode_calls(encode(frame))
