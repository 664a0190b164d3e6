"""What a whole node has to do with conditions: it confirms its view to others, and decides under the one in force."""

from __future__ import annotations

from msgspec.structs import replace

from gossip.view import Electors, ViewId
from node.net.messages import Answer, Confirm, Confirmed, Request, Superseded, ViewIs, WriteIf, Wrote
from node.net.transport import answer_of
from node.operations.decider import STORE_ID_MAX
from node.values.version import make_version
from tests.node.lone_owner import A, B, Lone, lone_owner
from tests.node.operations.asking import IS_NEW
from tests.node.parts import on_virtual_time
from tests.node.samples import successor


async def asked(lone: Lone, request: Request, view_id: ViewId | None = None) -> Answer:
    return await answer_of(lone.node.answer(B, view_id or lone.node.views.view_id, 1.0, request))


@on_virtual_time
async def test_node_confirms_the_view_that_it_holds_and_no_other() -> None:
    async with lone_owner() as lone:
        before = lone.node.views.current
        assert await asked(lone, Confirm()) == Confirmed(True, True)
        view = replace(successor(before, A), electors=(Electors(before.id, (A,)),))
        await lone.node.views.adopt(view, A)
        assert await asked(lone, Confirm()) == Confirmed(True, False)
        assert await asked(lone, Confirm(True)) == Confirmed(True, True)
        assert await asked(lone, Confirm(), before.id) == ViewIs(view.encoded)


@on_virtual_time
async def test_node_decides_nothing_that_was_stamped_before_it_took_the_view() -> None:
    async with lone_owner() as lone:
        node = lone.node
        node.clock.observe(heard := node.clock.reading + (9 << 16))
        early = make_version(heard, 3)
        assert await asked(lone, WriteIf(b"before", early, b"1", IS_NEW)) == Wrote(False)
        await node.views.adopt(successor(node.views.current, A), A)
        assert await asked(lone, WriteIf(b"k", early, b"1", IS_NEW)) == Superseded(make_version(heard, STORE_ID_MAX))
        assert await asked(lone, WriteIf(b"k", make_version(heard + 1, 3), b"1", IS_NEW)) == Wrote(False)
