"""Bringing an operation to one of those that may carry it out: in which order, and who was missing for it."""

from __future__ import annotations

import pytest

from node.net.messages import Listed, ListKeys, Range, Unable, Unheard
from node.operations.routing import NotBrought, Routing
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time

REQUEST = ListKeys(Range(b"", b"", 1, 1), False)
LISTED = Listed((), None)


def routing(parts: Parts) -> Routing:
    return Routing(parts.config, parts.time, parts.views, parts.readiness, parts.calls, parts.peers)


async def nobody() -> Unable:
    raise AssertionError("it is not this node's to carry out")


@on_virtual_time
async def test_routing_begins_with_this_node_and_ends_with_those_that_are_down() -> None:
    parts = await node_a(A, B, C)
    parts.peers.script[C] = lambda _: LISTED
    assert routing(parts).in_order((C, B, A)) == [A, C, B]
    assert routing(parts).in_order((B,)) == (B,)


@on_virtual_time
async def test_routing_tells_who_has_answered_and_under_which_view() -> None:
    parts = await node_a(A, B, C)
    parts.peers.script |= {B: lambda _: Unable(), C: lambda _: LISTED}
    brought = await routing(parts).bring(REQUEST, lambda: (B, C), nobody, parts.deadline)
    assert (brought.answered.answer, brought.answered.owner) == (LISTED, C)
    assert brought.view_id == parts.views.view_id


@on_virtual_time
async def test_routing_lets_this_node_carry_it_out_itself() -> None:
    parts = await node_a(A, B)

    async def here() -> Listed:
        return LISTED

    brought = await routing(parts).bring(REQUEST, lambda: (A, B), here, parts.deadline)
    assert brought.answered.owner == A and not parts.peers.asked


@pytest.mark.parametrize("bulk", [False, True])
@on_virtual_time
async def test_routing_names_who_was_missing(bulk: bool) -> None:
    """One cannot be reached, one cannot hear two others, and that one is not able to do it says nothing of anybody."""
    parts = await node_a(A, B, C, "d:1")
    parts.peers.script |= {B: lambda _: Unheard(("e:1", "f:1")), "d:1": lambda _: Unable()}
    with pytest.raises(NotBrought) as refusal:
        await routing(parts).bring(REQUEST, lambda: (B, C, "d:1"), nobody, parts.deadline, bulk)
    assert refusal.value.unreachable == {"e:1", "f:1", C}
    assert refusal.value.hint == "b:1 cannot hear e:1, f:1; c:1 cannot be reached; d:1 cannot do it now"
