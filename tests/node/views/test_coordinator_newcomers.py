"""Who is taken into a view brings home first what it holds from an earlier one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gossip.view import ViewId
from node.net.messages import (
    Answer,
    AskStatus,
    Hello,
    Owed,
    Promise,
    Release,
    Request,
    Status,
    ViewIs,
)
from node.state_log import StateLog
from node.views.asking import Asking
from node.views.change_conditions import Wish
from node.views.coordinator import Coordinator
from tests.node.fakes.peers import Newcomer
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time
from tests.node.samples import successor

EARLIER = ViewId(1, 5)


async def coordinator(parts: Parts) -> Coordinator:
    await parts.views.adopt(successor(parts.views.current, A, epoch=3), A)

    async def answer_here(request: Request) -> Answer:
        match request:
            case AskStatus():
                return Status(parts.views.view_id, 0, "", 0, (), (), True, False)
            case Promise():
                return await parts.views.promise(request)
            case Release(epoch, who):
                await parts.views.release(epoch, who)
        return ViewIs(parts.views.current.encoded)

    asking = Asking(parts.config, parts.time, parts.views, parts.calls, answer_here, StateLog())
    time, confirming = parts.time, parts.confirming
    return Coordinator(parts.config, time, parts.views, parts.calls, asking, confirming, time.wall_ms, dict)


def holds_keys(parts: Parts) -> Newcomer:
    return Newcomer(parts.views, EARLIER, keys=7)


def hands_over(parts: Parts) -> Newcomer:
    return Newcomer(parts.views, parts.views.view_id, 0, (Owed(A, 1, 7),))


def is_empty(parts: Parts) -> Newcomer:
    return Newcomer(parts.views, ViewId(0, 9), keys=0)


@pytest.mark.parametrize(
    ("newcomer", "told"),
    [
        (holds_keys, ["the view in force", "promise", "the view in force"]),
        (hands_over, ["promise", "the view in force"]),
        (is_empty, ["promise", "the view in force"]),
    ],
    ids=["holds keys under an earlier view", "hands over", "is empty"],
)
@on_virtual_time
async def test_newcomer_comes_home_before_it_is_taken_in(
    newcomer: Callable[[Parts], Newcomer], told: list[str]
) -> None:
    parts = await node_a(A)
    change: Callable[..., Awaitable[object]] = (await coordinator(parts)).change
    b = parts.peers.script[B] = newcomer(parts)
    await change(Wish(frozenset({A, B})))
    assert b.told == told
    assert parts.views.current.nodes == {A, B}


@on_virtual_time
async def test_newcomer_that_finds_nobody_to_take_what_it_holds_is_taken_in_with_it() -> None:
    """It is to replace the very node that it holds something for, and that is dead."""
    parts = await node_a(A)
    change: Callable[..., Awaitable[object]] = (await coordinator(parts)).change
    b = parts.peers.script[B] = Newcomer(parts.views, parts.views.view_id, 0, (Owed(C, 1, 7),))
    await change(Wish(frozenset({A, B})))
    assert b.told[-1] == "the view in force"
    assert parts.views.current.nodes == {A, B}


@pytest.mark.parametrize(("nodes", "spared"), [([A, B], False), ([B], True)], ids=["grows", "loses a node"])
@on_virtual_time
async def test_view_that_loses_a_node_spares_deletions_for_the_grace(nodes: list[str], spared: bool) -> None:
    parts = await node_a(A)
    change: Callable[..., Awaitable[object]] = (await coordinator(parts)).change
    parts.peers.script[B] = is_empty(parts)
    await change(Wish(frozenset(nodes)))
    until_ms = parts.time.wall_ms() + 1000 * parts.config.tombstone_grace_s
    assert parts.views.current.spare_until_ms == (pytest.approx(until_ms, abs=5000) if spared else 0)


@on_virtual_time
async def test_newcomer_that_has_followed_since_it_was_heard_last_is_taken_in() -> None:
    """It was started with another environment, and has not been heard since it took the view in force."""
    parts = await node_a(A)
    change: Callable[..., Awaitable[object]] = (await coordinator(parts)).change
    newcomer = is_empty(parts)
    parts.peers.script[B] = lambda request: parts.views.told() if isinstance(request, Hello) else newcomer(request)
    parts.views.kinship.note_awaited(B, is_member=False)
    await change(Wish(frozenset({A, B})))
    assert parts.views.current.nodes == {A, B}
