"""To which of several owners a node brings a client's operation, and whose answer counts."""

from __future__ import annotations

import pytest

from gossip.view import Address
from node.errors import PeerLost, PeerRefused, Unavailable
from node.net.messages import (
    Answer,
    Foreign,
    MayBeStored,
    ReadResult,
    Superseded,
    Unable,
    Wrote,
)
from node.values.version import make_version
from tests.node.fakes.peers import OwnerInTurn
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time


def ahead(parts: Parts, ms: int = 5000) -> bytes:
    return make_version((parts.time.wall_ms() + ms) << 16, 9)


async def beside_two() -> tuple[Parts, bytes]:
    """A in a shard of its own with D, and a key of the other shard, that of B and C."""
    parts = await node_a(A, B, C, D, repl_factor=2)
    shards = {frozenset(shard) for shard in parts.views.ring.shards}
    others = next(shard for shard in shards if A not in shard)
    return parts, parts.key_of(*others)


@on_virtual_time
async def test_owners_this_node_first_if_it_may_act() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    for peer in (B, C):
        parts.peers.script[peer] = OwnerInTurn()
    key = parts.key_of(A, B, C)
    assert parts.router.owners(key)[0] == A
    parts.readiness.is_ready = False
    assert sorted(parts.router.owners(key)) == [A, B, C]


@on_virtual_time
async def test_owners_that_are_down_come_last() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    first, second = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(first, second)
    for up, down in ((first, second), (second, first)):
        parts.peers.script = {up: OwnerInTurn()}
        assert list(parts.router.owners(key)) == [up, down]


@pytest.mark.parametrize(
    "failure",
    [Unable(), Foreign(), PeerRefused("gone"), PeerLost("reset"), MayBeStored()],
    ids=lambda failure: type(failure).__name__,
)
@on_virtual_time
async def test_owner_that_cannot_the_next_one_is_asked_under_the_same_version(failure: Answer | Exception) -> None:
    parts, key = await beside_two()
    first, second = _owners(parts, key)
    one = parts.peers.script[first] = OwnerInTurn(failure)
    other = parts.peers.script[second] = OwnerInTurn(Wrote(True))
    outcome = await parts.router.write(key, b"1")
    assert (outcome.answer, outcome.served_by) == (Wrote(True), second)
    assert one.versions == other.versions


@on_virtual_time
async def test_owner_silent_the_next_one_answers_in_time() -> None:
    parts, key = await beside_two()
    first, second = _owners(parts, key)
    parts.peers.silent.add(first)
    parts.peers.script[second] = OwnerInTurn(ReadResult(b"1"))
    began = parts.time.monotonic()
    outcome = await parts.router.read(key)
    assert (outcome.answer, outcome.served_by) == (ReadResult(b"1"), second)
    assert parts.time.monotonic() - began == pytest.approx(parts.config.attempt_s)


@on_virtual_time
async def test_owner_that_may_wait_for_another_is_not_judged_by_the_time_it_takes() -> None:
    parts, key = await beside_two()
    first, second = _owners(parts, key)
    parts.peers.script |= {first: OwnerInTurn(PeerLost("too late")), second: OwnerInTurn(ReadResult(b"1"))}
    await parts.router.read(key)
    assert parts.peers.attempts == [first, second]


@on_virtual_time
async def test_owner_that_is_the_only_one_is_judged_by_the_time_it_takes() -> None:
    parts = await node_a(A, B)
    parts.peers.script[B] = OwnerInTurn(ReadResult(b"1"))
    await parts.router.read(parts.key_of(B))
    assert [to for to, _ in parts.peers.asked] == [B] and parts.peers.attempts == []


@on_virtual_time
async def test_owners_that_all_refuse_are_told_at_once() -> None:
    parts, key = await beside_two()
    first, second = _owners(parts, key)
    parts.peers.script |= {first: OwnerInTurn(Unable()), second: OwnerInTurn(Unable())}
    began = parts.time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await parts.router.write(key, b"1")
    assert parts.time.monotonic() == began
    assert caught.value.hint == f"{first} cannot do it now; {second} cannot do it now"


@on_virtual_time
async def test_owner_lost_with_the_write_the_next_ones_newer_version_ends_it() -> None:
    """It may be stored at the first one: stamped anew at the second, it could happen twice."""
    parts, key = await beside_two()
    first, second = _owners(parts, key)
    parts.peers.script[first] = OwnerInTurn(PeerLost("reset"))
    other = parts.peers.script[second] = OwnerInTurn(Superseded(ahead(parts)))
    with pytest.raises(Unavailable):
        await parts.router.write(key, b"1")
    assert len(other.versions) == 1


@on_virtual_time
async def test_owner_whose_answer_was_lost_is_asked_again_until_one_confirms() -> None:
    parts, key = await beside_two()
    first, second = _owners(parts, key)
    one = parts.peers.script[first] = OwnerInTurn(MayBeStored(), Wrote(True))
    parts.peers.script[second] = OwnerInTurn(Unable())
    assert (await parts.router.write(key, None)).answer == Wrote(True)
    assert len(one.versions) == 2 and len(set(one.versions)) == 1


@on_virtual_time
async def test_owner_that_was_not_sure_is_asked_again_before_the_time_is_spent_on_one_that_is_silent() -> None:
    """It leaves the silent one out by then."""
    parts, key = await beside_two()
    first, second = _owners(parts, key)
    one = parts.peers.script[first] = OwnerInTurn(MayBeStored(), Wrote(False))
    parts.peers.silent.add(second)
    began = parts.time.monotonic()
    outcome = await parts.router.write(key, b"1")
    assert (outcome.answer, outcome.served_by) == (Wrote(False), first)
    assert len(set(one.versions)) == 1
    assert parts.time.monotonic() - began == pytest.approx(parts.config.attempt_s + parts.config.retry_s)


def _owners(parts: Parts, key: bytes) -> tuple[Address, Address]:
    """Those of the key, in the order in which this node tries them while none of them is down."""
    before = dict(parts.peers.script)
    parts.peers.script = {peer: OwnerInTurn() for peer in (B, C, D)}
    first, second = parts.router.owners(key)
    parts.peers.script = before
    return first, second
