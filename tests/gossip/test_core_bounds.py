"""Messages stay small, however large the cluster is, and however much has changed in it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from gossip.core import Gossip, Output
from gossip.messages import MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN, Delta, Digest, Held, MemberRecord, Rumour, encode
from gossip.view import ViewId, parse_address
from tests.gossip.network import SETTINGS, addresses
from tests.gossip.one_node import STEP_S, VIEW_ID, gossip, record, sent


def test_messages_are_bounded_at_ten_thousand_members_and_what_changed_comes_first() -> None:
    everybody = addresses(10_000)
    node = gossip(nodes=frozenset([*everybody, "a:1"]), known="")
    sizes: list[int] = []

    def largest(output: Output) -> None:
        sizes.append(max((len(encode(message)) for _, message in output.sends), default=0))

    largest(node.start_round(STEP_S, Random(1)))
    # Everything changes at once, more than any real message can hold.
    rumours = tuple(Rumour(address, 1, dead=True) for address in everybody[5000:])
    teacher = record("b:1")
    node.receive("b:1", Delta(VIEW_ID, teacher, rumours, tuple(map(record, everybody)), ()), STEP_S)
    latest = record(everybody[17], incarnation=2)
    node.receive("b:1", Delta(VIEW_ID, teacher, (), (latest,), ()), STEP_S)
    output = node.start_round(2 * STEP_S, Random(2))
    largest(output)
    digest = next(message for _, message in output.sends if isinstance(message, Digest))
    assert digest.held[0] == Held(everybody[17], 2, 0)
    assert len(digest.held) > 300 and len(digest.rumours) > 100

    ignorant = tuple(Held(address, 0, 0) for address in everybody)
    largest(node.receive("b:1", Digest(VIEW_ID, teacher, (), ignorant), 1.0))
    ahead = tuple(Held(address, 9, 9) for address in everybody)
    largest(node.receive("b:1", Digest(VIEW_ID, teacher, (), ahead), 1.0))
    largest(node.receive("b:1", Delta(VIEW_ID, teacher, (), (), tuple(everybody)), 1.0))
    node.check()
    assert max(sizes) <= MESSAGE_BYTES_MAX
    assert min(sizes) > MESSAGE_BYTES_MAX // 4, "the room is used"


def test_digest_goes_quiet_when_nothing_has_changed_for_long() -> None:
    everybody = addresses(1000)
    node = gossip(nodes=frozenset([*everybody, "a:1"]), known="")
    node.receive("b:1", Delta(VIEW_ID, record("b:1"), (), tuple(map(record, everybody)), ()), 0.0)
    output = node.start_round(1000.0, Random(1))
    digest = next(message for _, message in output.sends if isinstance(message, Digest))
    assert len(digest.held) == SETTINGS.digest_sample


def test_smallest_bound_has_room_for_the_longest_addresses() -> None:
    long = [".".join(["x" * 61] * 4 + [f"{i:05}"]) + ":65535" for i in range(4)]
    assert all(len(parse_address(address)) == 259 for address in long)
    top = 2**62
    node = Gossip(long[0], 2**64 - 1, top, replace(SETTINGS, message_bytes_max=MESSAGE_BYTES_MIN), 0.0)
    node.set_view(ViewId(2**63 - 1, 2**64 - 1), frozenset(long))
    huge = [MemberRecord(address, top, 2**64 - 1, 2**64 - 1, 2**63, 2**63) for address in long]
    rumours = tuple(Rumour(address, top, dead=True) for address in long[1:])
    node.receive(long[1], Delta(ViewId(1, 1), huge[1], rumours, tuple(huge), ()), 0.0)
    held = (Held(long[2], 0, 0), Held("new:1", 1, 1), Held(long[3], top, 0))
    output = node.receive(long[1], Digest(ViewId(1, 1), huge[1], (), held), 0.0)
    delta = sent(output, long[1], Delta)
    assert delta.records and delta.wants and delta.rumours
    assert len(encode(delta)) <= MESSAGE_BYTES_MIN
    for _, message in node.start_round(STEP_S, Random(1)).sends:
        assert len(encode(message)) <= MESSAGE_BYTES_MIN
