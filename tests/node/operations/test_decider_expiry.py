"""Conditions on what expires, and conditional writes of it."""

from __future__ import annotations

import asyncio

from node.net.messages import (
    Unable,
    Unmet,
    WriteIf,
    Wrote,
)
from tests.node.operations.asking import EXISTS, IS_NEW, V5, write_if
from tests.node.operations.deciding import KEY, SOON_S, of_three
from tests.node.parts import A, B, node_a, on_virtual_time, record

# Under which version


@on_virtual_time
async def test_value_that_has_expired_is_none_to_a_condition() -> None:
    parts = await node_a(A)
    await parts.keep((KEY, record(3)._replace(expires_ms=parts.time.wall_ms() + 1000)))
    assert await write_if(parts, KEY, IS_NEW) == Unmet(record(3).version)
    await asyncio.sleep(1.0)
    assert await write_if(parts, KEY, EXISTS) == Unmet(None)
    assert await write_if(parts, KEY, EXISTS, None) == Unmet(None)
    assert await write_if(parts, KEY, IS_NEW) == Wrote(False)


@on_virtual_time
async def test_conditional_put_expires_when_it_says() -> None:
    parts = await node_a(A)
    at = parts.time.wall_ms() + 1000
    request = WriteIf(KEY, V5, b"1", IS_NEW, None, at)
    assert await parts.owner.carry_out(request, parts.deadline) == Wrote(False)
    held = parts.held(KEY)
    assert held is not None and held.expires_ms == at


@on_virtual_time
async def test_conditional_put_of_what_expires_is_refused_while_a_co_owner_knows_of_no_expiry() -> None:
    parts, b, _ = await of_three()
    parts.peers.older = {B}
    async with parts.running():
        await asyncio.sleep(SOON_S)
        request = WriteIf(KEY, V5, b"1", IS_NEW, None, parts.time.wall_ms() + 1000)
        assert await parts.owner.carry_out(request, parts.deadline) == Unable()
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)
    assert b.held[KEY].value == b"1"
