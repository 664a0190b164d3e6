"""What no later read can be told anything older than."""

from __future__ import annotations

import asyncio

from gossip.view import Address
from node.replication.co_owners import SPREAD_MAX
from node.replication.peer_state import PeerState
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor


def state_of(parts: Parts, peer: Address) -> PeerState:
    state = parts.co_owners.get(peer)
    assert state is not None
    return state


V5 = record(5).version


@on_virtual_time
async def test_spread_is_what_the_only_co_owner_is_known_to_have() -> None:
    parts = await node_a(A, B, repl_factor=2)
    assert not parts.co_owners.has_spread(b"k", V5)
    parts.compare(B)
    assert parts.co_owners.has_spread(b"k", V5)
    await parts.change(b"k")
    assert not parts.co_owners.has_spread(b"k", V5) and parts.co_owners.has_spread(b"l", V5)
    state_of(parts, B).confirm(1)
    assert parts.co_owners.has_spread(b"k", V5)
    parts.co_owners.distrust(B)
    assert not parts.co_owners.has_spread(b"k", V5)
    parts.co_owners.note_spread(b"k", V5)
    assert parts.co_owners.has_spread(b"k", V5) and not parts.co_owners.has_spread(b"k", record(6).version)


@on_virtual_time
async def test_spread_with_several_co_owners_is_what_was_waited_for_or_is_old_enough() -> None:
    """What one of them has sent here may not have come to the others."""
    parts = await node_a(A, B, C, repl_factor=3)
    parts.compare(B, C)
    assert not parts.co_owners.has_spread(b"k", V5)
    parts.co_owners.note_stable((5 << 16) - 1)
    assert not parts.co_owners.has_spread(b"k", V5)
    parts.co_owners.note_stable(5 << 16)
    assert parts.co_owners.has_spread(b"k", V5) and not parts.co_owners.has_spread(b"k", record(6).version)
    await parts.change(b"k")
    assert not parts.co_owners.has_spread(b"k", V5), "one of them has yet to confirm it"


@on_virtual_time
async def test_spread_is_remembered_of_so_many_keys_only_and_under_one_view() -> None:
    parts = await node_a(A, B, repl_factor=2)
    for number in range(SPREAD_MAX + 1):
        parts.co_owners.note_spread(b"%d" % number, V5)
    assert parts.co_owners.has_spread(b"%d" % SPREAD_MAX, V5) and not parts.co_owners.has_spread(b"0", V5)
    await parts.views.adopt(successor(parts.views.current, A, B), B)
    assert not parts.co_owners.has_spread(b"%d" % SPREAD_MAX, V5)


def test_spread_of_the_only_owner_is_everything() -> None:
    parts = asyncio.run(node_a(A))
    assert parts.co_owners.has_spread(b"k", V5)


@on_virtual_time
async def test_what_this_node_was_to_bring_is_brought_once_each_co_owner_has_confirmed_it() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    assert not parts.co_owners.has_brought(b"k")
    parts.compare(B, C)
    assert parts.co_owners.has_brought(b"k")
    await parts.change(b"k")
    state_of(parts, B).confirm(1)
    assert not parts.co_owners.has_brought(b"k")
    state_of(parts, C).confirm(1)
    assert parts.co_owners.has_brought(b"k")
