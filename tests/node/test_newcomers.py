"""Who is taken into a view brings home first what it holds from an earlier one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gossip.view import Stamp
from node.coordinator import Coordinator
from node.wire import Adopt, Answer, AskStatus, Owed, Promise, Promised, Release, Request, Status, Unable, ViewIs
from tests.node.fakes import successor
from tests.node.parts import A, B, Parts, node_a, on_virtual_time

EARLIER = Stamp(1, 5)


class Newcomer:
    """Node B, outside the view: what it is asked, and what it then has."""

    def __init__(self, parts: Parts, view: Stamp, keys: int, handing: tuple[Owed, ...] = ()) -> None:
        self.parts = parts
        self.view = view
        self.keys = keys
        self.handing = handing
        self.told: list[str] = []

    def __call__(self, request: Request) -> Answer:
        match request:
            case AskStatus():
                status = Status(self.view, 0, "", self.keys, self.handing, (), not self.handing)
                self.handing = ()  # It has brought home what it holds by the time that it is asked again.
                return status
            case Adopt(view):
                self.told.append("the view in force" if view == self.parts.views.current.encoded else "a new view")
                if self.view != self.parts.views.stamp:
                    self.view, self.handing = self.parts.views.stamp, (Owed(A, 1, self.keys),)
                self.keys = 0
                return ViewIs(view)
            case Promise():
                self.told.append("promise" if not self.keys and not self.handing else "promise, before it was home")
                return Promised()
        return Unable()


async def coordinator(parts: Parts) -> Coordinator:
    await parts.views.adopt(successor(parts.views.current, A, epoch=3), A)

    async def answer_here(request: Request) -> Answer:
        match request:
            case AskStatus():
                return Status(parts.views.stamp, 0, "", 0, (), (), True)
            case Promise():
                return await parts.views.promise(request)
            case Release(epoch, who):
                await parts.views.release(epoch, who)
        return ViewIs(parts.views.current.encoded)

    return Coordinator(parts.config, parts.time, parts.views, parts.peers, answer_here)


def holds_keys(parts: Parts) -> Newcomer:
    return Newcomer(parts, EARLIER, keys=7)


def hands_over(parts: Parts) -> Newcomer:
    return Newcomer(parts, parts.views.stamp, 0, (Owed(A, 1, 7),))


def is_empty(parts: Parts) -> Newcomer:
    return Newcomer(parts, Stamp(0, 9), keys=0)


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
    await change([A, B], None)
    assert b.told == told
    assert parts.views.current.nodes == {A, B}
