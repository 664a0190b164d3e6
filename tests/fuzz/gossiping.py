"""What the gossip of other nodes says: it is decoded or refused; whatever can be decoded, in whatever order, leaves the
state machine in order, and what it says itself can be decoded by others."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from gossip.messages import BadMessage, Message, decode, encode
from tests.fuzz.target import Target
from tests.golden.samples import CASTS
from tests.gossip.one_node import VIEW_ID, gossip, ping

MESSAGES_MAX = 12
ROUND_S = 0.7


def check(data: bytes) -> None:
    """`data`: a list of messages, each as it travels; or one of them."""
    node, rng, now = gossip(), Random(1), 0.0
    for message in messages_in(data):
        now += ROUND_S
        for output in (node.receive(message.record.address, message, now), node.start_round(now, rng)):
            node.check()
            for to, said in output.sends:
                assert to != "a:1"
                assert decode(encode(said)) == said
            assert output.incarnation in (None, node.record.incarnation)


def messages_in(data: bytes) -> Iterator[Message]:
    for each in (data, *_listed(data)):
        try:
            message = decode(each)
        except BadMessage:
            continue
        assert decode(encode(message)) == message
        yield message


def _listed(data: bytes) -> list[bytes]:
    try:
        listed = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
        return []
    return [msgspec.msgpack.encode(each) for each in listed[:MESSAGES_MAX]] if isinstance(listed, list) else []


GOSSIP = Target(
    "gossip",
    check,
    [
        msgspec.msgpack.encode([*CASTS.values()]),
        msgspec.msgpack.encode([ping("b:1"), ping("c:1", view_id=VIEW_ID), *CASTS.values()]),
        *map(encode, CASTS.values()),
    ],
    is_msgpack=True,
    examples=200,
)
