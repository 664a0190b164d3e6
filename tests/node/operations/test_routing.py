"""Bringing an operation to one of those that may carry it out: in which order, and who was missing for it."""

from __future__ import annotations

import pytest

from node.errors import PeerLost
from node.net.messages import (
    Answer,
    Foreign,
    Listed,
    ListKeys,
    MayBeStored,
    Range,
    Read,
    Taken,
    Unable,
    Unheard,
    Write,
)
from node.operations.routing import NotBrought, Routing
from node.values.version import make_version
from tests.node.fakes.peers import OwnerInTurn
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time

ROUNDS_MAX = 1000
WRITE = Write(b"k", make_version(1, 1), b"1")
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


@pytest.mark.parametrize(
    ("answer", "has_not_happened"),
    [
        (Unable(), True),
        (Unheard(("d:1",)), True),
        (Foreign(), True),
        (MayBeStored(), False),
        (PeerLost("silent"), False),
        (Taken(), False),
    ],
    ids=lambda case: str(case) if isinstance(case, bool) else type(case).__name__,
)
@on_virtual_time
async def test_routing_is_certain_of_a_write_that_all_have_refused(
    answer: Answer | Exception, has_not_happened: bool
) -> None:
    parts = await node_a(A, B, C)
    parts.peers.script |= {B: OwnerInTurn(answer, *[Unable()] * ROUNDS_MAX), C: lambda _: Unable()}
    with pytest.raises(NotBrought) as fault:
        await routing(parts).bring(WRITE, lambda: (B, C), nobody, parts.deadline)
    assert fault.value.has_not_happened is has_not_happened


@on_virtual_time
async def test_routing_is_certain_of_no_write_that_may_have_been_stored_before() -> None:
    parts = await node_a(A, B)
    parts.peers.script[B] = lambda _: Unable()
    for operation, before in ((WRITE, True), (Read(b"k"), False)):
        with pytest.raises(NotBrought) as fault:
            await routing(parts).bring(operation, lambda: (B,), nobody, parts.deadline, may_be_stored=before)
        assert not fault.value.has_not_happened
