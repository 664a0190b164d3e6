"""Where a node brings a write with a condition, and what it tells of one that nobody could decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gossip.view import Address
from node.errors import PeerLost, PeerRefused, Unavailable
from node.net.messages import Answer, MayBeStored, Superseded, Unable, Unheard, Unmet, Write, WriteIf, Wrote
from node.values.version import clock_of, make_version
from ring.hashing import partition_of
from tests.node.fakes.peers import OwnerInTurn
from tests.node.operations.asking import EXISTS, IS_NEW
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time, record


async def beside_two() -> tuple[Parts, bytes, Address, Address]:
    """A in a shard of its own with D, a key of the other shard, and its owners in the ring's order."""
    parts = await node_a(A, B, C, D, repl_factor=2)
    first, second = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(first, second)
    assert tuple(parts.views.ring.owners(partition_of(key))) == (first, second)
    return parts, key, first, second


@pytest.mark.parametrize("turn", [0, 1])
@on_virtual_time
async def test_condition_is_brought_to_the_first_owner_whosever_turn_it_is(turn: int) -> None:
    parts, key, first, second = await beside_two()
    parts.router._routing._turn = turn
    owner = parts.peers.script[first] = OwnerInTurn(Wrote(True))
    parts.peers.script[second] = OwnerInTurn()
    outcome = await parts.router.write(key, b"1", None, EXISTS)
    assert (outcome.answer, outcome.served_by) == (Wrote(True), first)
    assert parts.asked(WriteIf) == [(first, WriteIf(key, owner.versions[0], b"1", EXISTS))]
    assert outcome.version == owner.versions[0] and parts.asked(Write) == []


@on_virtual_time
async def test_condition_is_brought_to_nobody_else_if_the_first_owner_cannot() -> None:
    parts, key, first, second = await beside_two()
    parts.peers.script |= {first: OwnerInTurn(Unable()), second: OwnerInTurn(Wrote(True), Wrote(True))}
    with pytest.raises(Unavailable):
        await parts.router.write(key, b"1", None, EXISTS)
    assert [node for node, _ in parts.asked(WriteIf)] == [first]
    parts.peers.script[first] = OwnerInTurn(Unable())
    assert (await parts.router.write(key, b"1")).served_by == second


@on_virtual_time
async def test_condition_of_a_key_whose_first_owner_is_this_node_is_decided_here() -> None:
    parts = await node_a(A)
    outcome = await parts.router.write(b"k", b"1", None, IS_NEW)
    assert (outcome.answer, outcome.served_by) == (Wrote(False), None)
    held = parts.held(b"k")
    assert held is not None and held.version == outcome.version
    refused = await parts.router.write(b"k", b"2", None, IS_NEW)
    assert (refused.answer, refused.version) == (Unmet(held.version), held.version)


@on_virtual_time
async def test_condition_that_is_not_met_tells_the_version_there_is() -> None:
    parts, key, first, _ = await beside_two()
    version = record(3).version
    parts.peers.script[first] = OwnerInTurn(Unmet(version), Unmet(None))
    for expected in (version, None):
        outcome = await parts.router.write(key, b"1", None, EXISTS)
        assert (outcome.answer, outcome.version, outcome.served_by) == (Unmet(expected), expected, first)


@on_virtual_time
async def test_condition_superseded_is_stamped_anew_and_demanded_again() -> None:
    parts, key, first, _ = await beside_two()
    newer = make_version((parts.time.wall_ms() + 5000) << 16, 9)
    owner = parts.peers.script[first] = OwnerInTurn(Superseded(newer), Wrote(True))
    assert (await parts.router.write(key, None, None, EXISTS)).answer == Wrote(True)
    assert clock_of(owner.versions[0]) < clock_of(newer) < clock_of(owner.versions[1])
    assert [request.condition for _, request in parts.asked(WriteIf)] == [EXISTS, EXISTS]


@pytest.mark.parametrize("first_answer", [PeerLost("reset"), MayBeStored()], ids=["lost", "may be stored"])
@pytest.mark.parametrize("then", [Unmet(bytes(16)), Superseded(bytes(16))], ids=["unmet", "superseded"])
@on_virtual_time
async def test_condition_that_is_not_met_after_a_write_that_may_have_been_made_is_no_answer(
    first_answer: Answer | Exception, then: Answer
) -> None:
    """By that write itself, perhaps."""
    parts, key, first, _ = await beside_two()
    owner = parts.peers.script[first] = OwnerInTurn(first_answer, then)
    with pytest.raises(Unavailable):
        await parts.router.write(key, b"1", None, IS_NEW)
    assert len(owner.versions) == 2 and len(set(owner.versions)) == 1


UNREACHABLE: list[tuple[str, Answer | Exception, Mapping[str, Any]]] = [
    ("unable", Unable(), {}),
    ("refused", PeerRefused("gone"), {"unreachable": [B]}),
    ("lost", PeerLost("reset"), {"unreachable": [B]}),
    ("unheard", Unheard((D, C)), {"unreachable": [C, D]}),
    ("may be stored", MayBeStored((D,)), {"unreachable": [D]}),
]


@pytest.mark.parametrize(
    ("answer", "details"), [case[1:] for case in UNREACHABLE], ids=[case[0] for case in UNREACHABLE]
)
@on_virtual_time
async def test_condition_that_nobody_could_decide_names_who_is_unreachable(
    answer: Answer | Exception, details: Mapping[str, Any]
) -> None:
    parts = await node_a(A, B)
    key = parts.key_of(B)
    parts.peers.script[B] = OwnerInTurn(*[answer] * 1000)
    with pytest.raises(Unavailable) as caught:
        await parts.router.write(key, b"1", None, EXISTS)
    assert caught.value.details == details
    with pytest.raises(Unavailable) as caught:
        await parts.router.write(key, b"1")
    assert caught.value.details == {}, "a plain write says what it always said"


@on_virtual_time
async def test_condition_whose_first_owner_is_silent_names_it_in_time() -> None:
    parts, key, first, second = await beside_two()
    parts.peers.silent.add(first)
    parts.peers.script[second] = OwnerInTurn(Wrote(True))
    began = parts.time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await parts.router.write(key, b"1", None, EXISTS)
    assert caught.value.details == {"unreachable": [first]}
    assert caught.value.hint == f"{first} has not answered"
    assert parts.time.monotonic() - began <= parts.config.answer_s


@pytest.mark.parametrize("how", ["failing", "full"])
@on_virtual_time
async def test_condition_whose_commit_failed_may_have_been_met_and_with_no_room_was_not(how: str) -> None:
    parts = await node_a(A)
    setattr(parts.disk, how, True)
    with pytest.raises(Unavailable) as refused:
        await parts.router.write(b"k", b"1", None, IS_NEW)
    assert refused.value.has_not_happened == (how == "full")
