"""Messages survive the wire; garbage raises BadMessage and nothing else; sizes are bounded."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.messages import (
    ENTRY_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    BadMessage,
    Delta,
    Digest,
    Held,
    MemberRecord,
    Message,
    PingAck,
    PingReq,
    Rumour,
    decode,
    encode,
    fit,
)
from gossip.view import ViewId, parse_address

OWN = MemberRecord("10.10.0.4:13800", incarnation=3, version=7, store_id=2**64 - 1, settled_epoch=5, key_count=1000)
OTHER = MemberRecord("[::1]:80", incarnation=1, version=0, store_id=0, settled_epoch=0, key_count=0)
RUMOUR = Rumour("b:1", 4, dead=True)
VIEW_ID = ViewId(5, 2**64 - 1)
ONE_OF_EACH: list[Message] = [
    Digest(VIEW_ID, OWN, (RUMOUR,), (Held("b:1", 4, 2), Held("c:1", 0, 0))),
    Delta(VIEW_ID, OWN, (), (OTHER,), ("c:1",)),
    PingReq(VIEW_ID, OWN, (), "b:1"),
    PingAck(VIEW_ID, OWN, (RUMOUR,), "b:1"),
]


@pytest.mark.parametrize("message", ONE_OF_EACH)
def test_message_survives_the_wire(message: Message) -> None:
    again = decode(encode(message))
    assert again == message
    assert type(again) is type(message)


@given(st.binary(max_size=300))
def test_message_garbage_raises_bad_message_only(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(data)


@given(st.sampled_from(ONE_OF_EACH), st.data())
def test_message_damaged_bytes_raise_bad_message_only(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    del encoded[data.draw(st.integers(0, len(encoded))) :]
    try:
        survivor = decode(bytes(encoded))
    except BadMessage:
        return
    assert decode(encode(survivor)) == survivor


OPENING = [[5, 1], ["a:1", 3, 7, 1, 5, 9], []]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["digest"],
        ["gossip", *OPENING, []],
        ["digest", *OPENING],
        ["digest", *OPENING, [["b:1", -1, 0]]],
        ["digest", *OPENING, [["b:1", 2**62 + 1, 0]]],
        ["digest", [5], *OPENING[1:], []],
        ["digest", [5, 1], ["a:1", 3, 7, 1, 5], [], []],
        ["digest", [5, 1], ["a:1", 3, 7, 1, 5, -9], [], []],
        ["digest", [5, 1], ["A:1", 3, 7, 1, 5, 9], [], []],
        ["digest", [5, 1], ["no address", 3, 7, 1, 5, 9], [], []],
        ["delta", *OPENING, [["b", 1, 1, 1, 1, 1]], []],
        ["delta", *OPENING, [], [1]],
        ["ping-req", *OPENING, None],
        {"digest": OPENING},
    ],
)
def test_message_wrong_shape_is_refused(fields: object) -> None:
    with pytest.raises(BadMessage):
        decode(msgspec.msgpack.encode(fields))


@pytest.mark.parametrize(
    "fields",
    [
        ["digest", *OPENING, [["b:1", 1, 0]], 1],
        ["digest", *OPENING, [["b:1", 1, 0, None]]],
        ["digest", [5, 1], ["a:1", 3, 7, 1, 5, 9, 0, 0, 0, 0, 0, "more"], [], [["b:1", 1, 0]]],
    ],
)
def test_message_field_more_of_a_later_release_is_skipped(fields: object) -> None:
    expected = Digest(ViewId(5, 1), MemberRecord("a:1", 3, 7, 1, 5, 9), (), (Held("b:1", 1, 0),))
    assert decode(msgspec.msgpack.encode(fields)) == expected


def test_message_deep_nesting_is_refused() -> None:
    with pytest.raises(BadMessage):
        decode(b"\x91" * MESSAGE_BYTES_MAX)


def test_message_bad_utf8_is_refused() -> None:
    with pytest.raises(BadMessage):
        decode(encode(PingReq(VIEW_ID, OWN, (), "b:1")).replace(b"b:1", b"\xff:1"))


def test_message_over_the_bound_is_neither_made_nor_taken() -> None:
    held = tuple(Held(f"node-{i}:13800", 1, 1) for i in range(2000))
    message = Digest(VIEW_ID, OWN, (), held)
    with pytest.raises(AssertionError, match="Digest of"):
        encode(message)
    with pytest.raises(BadMessage, match="more than any message"):
        decode(msgspec.msgpack.encode(message))


@given(
    st.lists(st.builds(Held, st.text(min_size=3), st.integers(0, 99), st.integers(0, 9999))),
    st.integers(0, 300),
)
def test_fit_takes_the_longest_prefix_within_the_bound(held: list[Held], bytes_max: int) -> None:
    def size(count: int) -> int:
        return sum(len(msgspec.msgpack.encode(entry)) for entry in held[:count])

    count = len(fit(held, bytes_max))
    assert fit(iter(held), bytes_max) == tuple(held[:count])
    assert size(count) <= bytes_max
    # The length of the list itself (1 to 5 bytes) may be counted or not: senders leave room for it.
    assert count == len(held) or size(count + 1) > bytes_max


@pytest.mark.parametrize("count", [1, 16, 100])
def test_fit_of_few_entries_needs_no_measuring(count: int) -> None:
    label = "x" * 61
    longest = parse_address(f"{label}.{label}.{label}.{'y' * 63}.{'z' * 3}:65535")
    assert len(longest) == 259
    entry = MemberRecord(longest, 2**62, *[2**64 - 1] * 5)
    assert len(msgspec.msgpack.encode((entry,) * count)) <= count * ENTRY_BYTES_MAX
