"""By whom a write with a condition is decided, and who must be heard for it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from gossip.view import Electors
from node.net.messages import (
    Confirm,
    Copies,
    Fetch,
    MayBeStored,
    Unheard,
    Unmet,
    ViewIs,
    Wrote,
)
from tests.node.operations.asking import EXISTS, IS_NEW, V5, has_version, write, write_if
from tests.node.operations.deciding import KEY, SOON_S, V9, holding, of_three, with_two_beside
from tests.node.parts import A, B, C, node_a, on_virtual_time, record
from tests.node.samples import successor

# Who decides


@on_virtual_time
async def test_decide_is_left_to_the_first_owner() -> None:
    parts = await node_a("0:1", A, repl_factor=2)
    parts.co_owner("0:1")
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write_if(parts, KEY, IS_NEW) == ViewIs(parts.views.current.encoded)
        assert parts.held(KEY) is None
        assert await write(parts, KEY) == Wrote(False), "any owner carries out what has no condition"


@on_virtual_time
async def test_decide_asks_the_co_owners_of_whom_it_has_no_lease_and_whether_the_view_still_holds() -> None:
    parts, _, c = await of_three()
    c.lease_granted = False
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)
        assert {node for node, _ in parts.asked(Fetch)} == {C}
        c.lease_granted = True
        await asyncio.sleep(SOON_S)
        parts.peers.asked.clear()
        assert await write_if(parts, KEY, EXISTS, version=V9) == Wrote(True)
        assert parts.asked(Fetch) == [] and parts.asked(Confirm)


# Who must be heard


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "no connection"])
@on_virtual_time
async def test_decide_without_a_co_owner_is_refused_and_names_it(is_silent: bool) -> None:
    parts, *_ = await of_three()
    del parts.peers.script[C]
    if is_silent:
        parts.peers.silent.add(C)
    async with parts.running():
        await asyncio.sleep(parts.config.silence_s + 1.0)
        assert await write_if(parts, KEY, IS_NEW) == Unheard((C,))
        assert parts.held(KEY) is None
        assert await write(parts, KEY) == Wrote(False, copies=Copies(2, 3)), "without a condition it is left out"


@on_virtual_time
async def test_decide_without_a_co_owner_that_was_just_lost_is_refused_though_its_lease_still_counts() -> None:
    parts, *_ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        del parts.peers.script[C]
        assert not parts.co_owners.unleased()
        assert await write_if(parts, KEY, IS_NEW) == Unheard((C,))
        assert parts.held(KEY) is None


@on_virtual_time
async def test_decide_without_a_donor_is_refused_and_names_it() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(C, key)
    assert await write_if(parts, key, IS_NEW) == Unheard((C,))
    assert parts.held(key) is None
    assert await write(parts, key) == Wrote(False), "without a condition it is passed over"


@on_virtual_time
async def test_decide_goes_by_what_a_donor_has() -> None:
    parts = await node_a(A)
    parts.wait_for(C, KEY)
    parts.co_owner(C, (KEY, record(3)))
    assert await write_if(parts, KEY, IS_NEW) == Unmet(record(3).version)
    assert await write_if(parts, KEY, has_version(record(3).version)) == Wrote(True)


@pytest.mark.parametrize("is_absent", [True, False])
@on_virtual_time
async def test_decide_passes_over_a_donor_that_was_given_up_when_the_view_was_made(is_absent: bool) -> None:
    """But it may answer alone until the leases end that it may have."""
    parts = await node_a(A)
    await parts.views.adopt(replace(successor(parts.views.current, A), absent=(C,) if is_absent else ()), A)
    parts.wait_for(C, KEY)
    adopted_at = parts.time.monotonic()
    assert await write_if(parts, KEY, IS_NEW) == (Wrote(False) if is_absent else Unheard((C,)))
    assert (parts.time.monotonic() >= adopted_at + parts.config.lease_s) is is_absent


@on_virtual_time
async def test_decide_without_a_co_owner_that_is_stuck_is_refused_and_names_it() -> None:
    """It answers, but nothing comes to it."""
    parts, b, _ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        b.has_room = False
        assert await write(parts, b"other") == Wrote(False, copies=Copies(2, 3))
        assert await write_if(parts, KEY, IS_NEW) == Unheard((B,))
        assert parts.held(KEY) is None


@on_virtual_time
async def test_decide_without_a_quorum_is_refused_and_names_who_is_missing() -> None:
    parts, key = await with_two_beside()
    assert await write_if(parts, key, IS_NEW) == Unheard((B, C))
    assert parts.held(key) is None
    assert await write(parts, key) == Wrote(False)


@on_virtual_time
async def test_decide_when_the_quorum_is_lost_meanwhile_may_have_written() -> None:
    parts, key = await with_two_beside()
    holding(parts, 1)
    assert await write_if(parts, key, IS_NEW) == MayBeStored((B, C))
    held = parts.held(key)
    assert held is not None and held.version == V5
    assert len(parts.asked(Confirm)) == 3


@on_virtual_time
async def test_decide_with_a_quorum_before_and_after_is_acknowledged() -> None:
    parts, key = await with_two_beside()
    holding(parts, 2)
    assert await write_if(parts, key, IS_NEW) == Wrote(False)


@on_virtual_time
async def test_decide_with_those_that_have_it_for_a_quorum_asks_nobody_for_another() -> None:
    """But for the one before."""
    parts, *_ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)
        assert [node for node, _ in parts.asked(Confirm)] == [B]


@on_virtual_time
async def test_decide_under_a_view_that_is_not_established_is_refused_and_names_its_electors() -> None:
    parts, *_ = await of_three()
    old = parts.views.current
    electors = (Electors(old.id, (A, "x:1", "y:1")),)
    await parts.views.adopt(replace(successor(old, A, B, C), electors=electors), A)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write_if(parts, KEY, IS_NEW) == Unheard(("x:1", "y:1"))
        assert parts.held(KEY) is None
        await parts.views.standing.note_established(parts.views.current)
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)
