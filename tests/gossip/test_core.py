"""What one node does about a digest, a delta, a newer view, and a message that is not what it seems."""

from __future__ import annotations

from random import Random

import pytest

from gossip.core import Gossip, Output
from gossip.membership import State
from gossip.messages import Delta, Digest, Held, Message, PingAck, PingReq, Rumour
from gossip.view import ViewId
from tests.gossip.network import SETTINGS
from tests.gossip.one_node import NODES, STEP_S, VIEW_ID, gossip, ping, record, sent


@pytest.mark.parametrize(
    ("ours", "theirs", "fetches"),
    [
        (ViewId(0, 5), ViewId(1, 1), True),
        (ViewId(1, 1), ViewId(1, 2), True),
        (ViewId(1, 9), ViewId(2, 1), True),
        (ViewId(1, 1), ViewId(1, 1), False),
        (ViewId(1, 2), ViewId(1, 1), False),
        (ViewId(2, 1), ViewId(1, 9), False),
        (ViewId(0, 1), ViewId(0, 2), False),
        (ViewId(1, 1), ViewId(0, 2), False),
    ],
)
@pytest.mark.parametrize("kind", ["digest", "delta", "ping-req", "ping-ack"])
def test_view_is_fetched_from_whoever_has_a_newer_one(ours: ViewId, theirs: ViewId, fetches: bool, kind: str) -> None:
    node = gossip()
    node.set_view(ours, NODES)
    kinds: dict[str, Message] = {
        "digest": Digest(theirs, record("b:1"), (), ()),
        "delta": Delta(theirs, record("b:1"), (), (), ()),
        "ping-req": PingReq(theirs, record("b:1"), (), "c:1"),
        "ping-ack": PingAck(theirs, record("b:1"), (), "c:1"),
    }
    assert node.receive("b:1", kinds[kind], 0.0).fetch_view_from == ("b:1" if fetches else None)


def test_every_message_bears_the_id_of_the_view_now_held() -> None:
    node = gossip()
    node.set_view(ViewId(9, 9), NODES)
    sends = node.start_round(STEP_S, Random(1)).sends + node.receive("b:1", ping("b:1"), STEP_S).sends
    assert sends and all(message.view_id == (9, 9) for _, message in sends)


def test_digest_is_answered_with_newer_records_and_names_of_lacking_ones() -> None:
    node = gossip(known="bc")
    held = (Held("c:1", 0, 0), Held("d:1", 2, 0), Held("x:1", 1, 1), Held("b:1", 1, 0), Held("y:1", 0, 0))
    output = node.receive("b:1", Digest(VIEW_ID, record("b:1"), (), held), 0.0)
    delta = sent(output, "b:1", Delta)
    assert delta.records == (record("c:1"),)
    assert delta.wants == ("d:1", "x:1")
    assert delta.record == node.record


def test_delta_brings_records_and_is_answered_only_with_what_it_wants() -> None:
    node = gossip(known="bc")
    newer = record("d:1", incarnation=2)
    delta = Delta(VIEW_ID, record("b:1"), (), (newer,), ("c:1", "x:1"))
    answer = sent(node.receive("b:1", delta, 0.0), "b:1", Delta)
    assert node.members["d:1"] == (State.ALIVE, newer)
    assert (answer.records, answer.wants) == ((record("c:1"),), ())
    assert node.receive("b:1", Delta(VIEW_ID, record("b:1"), (), (), ()), 0.0).sends == ()


def test_update_is_in_the_next_message() -> None:
    node = gossip()
    node.update(settled_epoch=3, key_count=42)
    told = sent(node.receive("b:1", ping("b:1"), 0.0), "b:1", Delta).record
    assert (told.version, told.settled_epoch, told.key_count) == (1, 3, 42)
    node.update(settled_epoch=3, key_count=42)
    assert node.record.version == 1


def test_message_in_anothers_name_is_ignored() -> None:
    node = gossip()
    before = dict(node.members)
    message = ping("b:1", Rumour("d:1", 9, dead=True), view_id=ViewId(9, 9))
    assert node.receive("c:1", message, 0.0) == Output()
    assert dict(node.members) == before


def test_own_address_in_use_elsewhere_is_outbid_but_not_answered() -> None:
    node = gossip()
    output = node.receive("a:1", Digest(ViewId(9, 9), record("a:1", incarnation=6), (), ()), 0.0)
    assert output == Output(incarnation=7)


def test_message_from_an_unknown_node_makes_it_known() -> None:
    node = gossip()
    node.receive("x:1", ping("x:1"), 0.0)
    assert node.members["x:1"].state is State.ALIVE
    targets = {to for i in range(1, 9) for to, _ in node.start_round(i * STEP_S, Random(i)).sends}
    assert "x:1" in targets


def test_emptied_node_is_told_of_the_rival_that_it_was() -> None:
    node = gossip()
    node.receive("b:1", Digest(VIEW_ID, record("b:1", incarnation=8), (), ()), 0.0)
    emptied = Digest(VIEW_ID, record("b:1", incarnation=1, store_id=99), (), ())
    answer = sent(node.receive("b:1", emptied, 0.0), "b:1", Delta)
    assert answer.records == (record("b:1", incarnation=8),)
    reborn = Gossip("b:1", store_id=99, incarnation=1, settings=SETTINGS, now=0.0)
    assert reborn.receive("a:1", answer, 0.0).incarnation == 9
    node.receive("b:1", Digest(VIEW_ID, reborn.record, (), ()), 0.0)
    assert node.members["b:1"].record == reborn.record
