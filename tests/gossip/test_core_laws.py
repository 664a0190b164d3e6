"""Laws for all messages in any order: invariants, repetition, late arrival; and that a run can be replayed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from gossip.membership import State
from gossip.messages import Delta, Digest, Held, MemberRecord, Message, PingAck, PingReq, Rumour, encode
from gossip.view import Address, ViewId
from tests.gossip.network import SETTINGS, Network, addresses
from tests.gossip.one_node import gossip

names = st.sampled_from(["a:1", "b:1", "c:1", "x:1", "y:1", "z:1"])
counts = st.integers(0, 5)
some_records = st.builds(MemberRecord, names, counts, counts, counts, counts, counts)
openings = (st.builds(ViewId, counts, counts), some_records)
some_rumours = st.lists(st.builds(Rumour, names, counts, st.booleans()), max_size=3).map(tuple)
some_held = st.lists(st.builds(Held, names, counts, counts), max_size=4).map(tuple)
several = st.lists(some_records, max_size=4).map(tuple)
messages = st.one_of(
    st.builds(Digest, *openings, some_rumours, some_held),
    st.builds(Delta, *openings, some_rumours, several, st.lists(names, max_size=3).map(tuple)),
    st.builds(PingReq, *openings, some_rumours, names),
    st.builds(PingAck, *openings, some_rumours, names),
)


@given(st.lists(messages | st.floats(0.0, 100.0), max_size=25))
def test_any_messages_and_rounds_keep_the_invariants(events: list[Message | float]) -> None:
    node = gossip(replace(SETTINGS, strangers_max=2))
    now, rng = 0.0, Random(1)
    for event in events:
        if isinstance(event, float):
            now += event
            output = node.start_round(now, rng)
        else:
            output = node.receive(event.record.address, event, now)
        node.check()
        assert all(to != "a:1" and encode(message) for to, message in output.sends)
        assert node.members["a:1"].state is State.ALIVE
        assert output.incarnation in (None, node.record.incarnation)


@given(messages)
@example(
    Delta(
        ViewId(0, 0),
        MemberRecord("b:1", 1, 0, 2, 0, 0),
        rumours=(Rumour("x:1", 1, dead=False),),
        records=(MemberRecord("x:1", 1, 0, 3, 0, 0),),
        wants=(),
    )
)
def test_any_message_again_changes_nothing(message: Message) -> None:
    node = gossip()
    sender = message.record.address
    node.receive(sender, message, 0.0)
    before = msgspec.msgpack.encode(dict(node.members))
    assert node.receive(sender, message, 0.0).incarnation is None
    assert msgspec.msgpack.encode(dict(node.members)) == before


def test_stale_messages_of_a_whole_run_change_nothing() -> None:
    net = Network(6, seed=1, loss=0.1)
    net.introduce()
    told: list[tuple[Address, Address, Message]] = []
    net.tap = told
    net.run(20)
    net.tap = None
    net.nodes[addresses(6)[0]].update(settled_epoch=1, key_count=9)
    net.run(6)
    before = {address: dict(node.members) for address, node in net.nodes.items()}
    for sender, to, message in told:
        output = net.nodes[to].receive(sender, message, net.now)
        assert (output.incarnation, output.fetch_view_from) == (None, None)
    assert {address: dict(node.members) for address, node in net.nodes.items()} == before


def test_same_seed_same_run() -> None:
    def trace(seed: int) -> list[tuple[Address, Address, Message]]:
        net = Network(8, seed, loss=0.2)
        net.tap = []
        net.run(30)
        return net.tap

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)
