"""What the gossip of one node says to that of another: frozen messages, checked whole once, when decoded.

All are casts: any of them may be lost, duplicated or late, so none may rely on the one before it, and none is sent
again for its own sake. Each opens with the same three things, so that a message of any kind disseminates changes and
shows its sender to be alive: the id of the view that its sender holds, the sender's own record, and rumours about who
is suspected or dead.

    Digest   ->  "this is how much I know of these nodes"; also SWIM's probe, and only that if it names none
    Delta    <-  "these records are newer, and these I lack", which a second Delta brings; also acknowledges the probe
    PingReq  ->  "I cannot reach that node: can you?", a request for an indirect probe
    PingAck  <-  "it has answered me"

An encoded message has at most MESSAGE_BYTES_MAX bytes. Longer ones, and bytes that are none of these messages, raise
BadMessage and nothing else; fields more, at the end of a message or record, are skipped, for a later release may have
sent them; they are not passed on. Addresses are checked where they can become known, in records; elsewhere, an unknown
one is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, islice, takewhile
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from gossip.view import Address, BadAddress, ViewId, parse_address

MESSAGE_BYTES_MAX = 16_384
"""Small enough to be sent to a few peers four times a second, for ever, without holding up a client's request on the
same link."""
MESSAGE_BYTES_MIN = 2_048
"""The lowest bound that leaves room for one entry of each list, with addresses as long as DNS allows."""

Count = Annotated[int, Meta(ge=0)]
INCARNATION_MAX = 2**62
Incarnation = Annotated[int, Meta(ge=0, le=INCARNATION_MAX)]
"""Bounded well below 64 bits, as a node that hears of one has to be able to go above it."""


class BadMessage(ValueError):
    """The bytes are not a message."""


class MemberRecord(Struct, frozen=True, array_like=True, order=True, gc=False):
    """What a node says of itself. Only that node writes it; of two records of one node the greater, field by field, is
    the newer."""

    address: Address
    incarnation: Incarnation
    """Persisted by the node; raised at each of its starts, and to refute a rumour."""
    version: Count
    """Counts the changes of the record within one incarnation."""
    store_id: Count
    """Drawn at each start: the same address with another store id is another process."""
    settled_epoch: Count
    """The latest view epoch for which the node has nothing left to hand over and nothing left to take."""
    key_count: Count
    """The live keys that the node owns."""
    settled_digest: Count = 0
    """The digest of the view that the node holds, if it has settled it; else 0. The fields below refer to this view."""
    stable: Count = 0
    """All that the node took as an owner up to this clock reading is on all owners; 0 if it cannot say."""
    forgettable: Count = 0
    """Deletions up to this clock reading may be forgotten, as far as this node is concerned; 0 if none may."""
    to_hand_over: Count = 0
    """The live keys that the node has and does not own."""
    kept: Count = 0
    """Those of them that wait for copies: they were brought to some of their owners, and are kept until as many have
    them as the replication factor asks for."""

    @property
    def rank(self) -> tuple[int, int]:
        """The order of the records that one node has really written."""
        return self.incarnation, self.version


class Held(Struct, frozen=True, array_like=True, gc=False):
    """Which record of a node the sender holds; incarnation and version are 0 if it knows nothing but the address."""

    address: Address
    incarnation: Incarnation
    version: Count


class Rumour(Struct, frozen=True, array_like=True, order=True, gc=False):
    """That this incarnation of this node is suspected, or dead. Of two rumours about one node the greater holds: death
    outranks suspicion."""

    address: Address
    incarnation: Incarnation
    dead: bool


class _Opening(Struct, frozen=True, array_like=True, gc=False):
    view_id: ViewId
    record: MemberRecord
    """The sender's own."""
    rumours: tuple[Rumour, ...]


class Digest(_Opening, frozen=True, tag="digest"):
    held: tuple[Held, ...]


class Delta(_Opening, frozen=True, tag="delta"):
    records: tuple[MemberRecord, ...]
    wants: tuple[Address, ...]


class PingReq(_Opening, frozen=True, tag="ping-req"):
    target: Address


class PingAck(_Opening, frozen=True, tag="ping-ack"):
    target: Address


Message: TypeAlias = Digest | Delta | PingReq | PingAck

_Entry = TypeVar("_Entry", MemberRecord, Held, Rumour, Address)
_ENTRY_BYTES_MIN = 4
"""An entry that is just an address, and the shortest one."""
ENTRY_BYTES_MAX = 360
"""A record with the longest address and the largest numbers, with room for the length of the list."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """The bytes of `message`, which must not exceed the bound: senders cut their lists with `fit`."""
    data = _encoder.encode(message)
    assert len(data) <= MESSAGE_BYTES_MAX, f"{type(message).__name__} of {len(data)} bytes"
    return data


def decode(data: bytes) -> Message:
    """The message in `data`, checked whole. Raises BadMessage."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise BadMessage(f"{len(data)} bytes are more than any message has")
    try:
        message: Message = _decoder.decode(data)
        check_addresses(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadAddress) as error:
        raise BadMessage(f"not a message: {error}") from None
    return message


def fit(entries: Iterable[_Entry], bytes_max: int) -> tuple[_Entry, ...]:
    """The longest prefix of `entries` that is at most `bytes_max` bytes long when encoded."""
    drawn = tuple(islice(entries, bytes_max // _ENTRY_BYTES_MIN))
    if len(drawn) * ENTRY_BYTES_MAX <= bytes_max or len(_encoder.encode(drawn)) <= bytes_max:
        return drawn
    ends = accumulate(len(_encoder.encode(entry)) for entry in drawn)
    return drawn[: sum(1 for _ in takewhile(lambda end: end <= bytes_max, ends))]


def check_addresses(message: Message) -> None:
    """Checks what the types of a message cannot express. Raises BadAddress."""
    records = message.records if isinstance(message, Delta) else ()
    for record in (message.record, *records):
        if parse_address(record.address) != record.address:
            raise BadAddress(f"address {record.address!r} is not canonical")
