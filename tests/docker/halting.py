"""`python halting.py`: a node that halts at one step of a view change, at which a test then harms it.

Runs in a container in place of `python -m node`, on the code of the image, and changes nothing but what comes at that
step: there the whole process stands still until it is told to go on. It knows its step from HALT_AT; whom the message
of that step goes to or comes from, if that matters, from HALT_WITH. A test and the node talk by the files that
HALT_FILES names: the first one is made by the test, which arms the node; the second one by the node when it halts,
once in the life of a container; and the third one by the test, when the node shall go on.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from gossip.view import Address, ViewId
from node.net.messages import Answer, Request
from node.net.pool import Peers
from node.net.transport import Answering, answer_of
from node.node import Node
from node.process import main
from node.repair.handoff import Handoff
from node.storage.store import Store
from node.values.version import Version
from node.views.holder import Views

POLL_S = 0.002

armed, halted, go = map(Path, os.environ["HALT_FILES"].split(","))
step = os.environ["HALT_AT"]
peers = frozenset(filter(None, os.environ["HALT_WITH"].split(",")))


def reach(reached: str, peer: Address | None = None) -> None:
    """This step has come, in a message from or to `peer` if it is given: halt if it is the one."""
    if reached != step or (peer is not None and peers and peer not in peers):
        return
    if not armed.exists() or halted.exists():
        return
    halted.touch()
    while not go.exists():
        time.sleep(POLL_S)


def name_of(message: object) -> str:
    return type(message).__name__


def watch_calls(original: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    async def call(pool: Peers, peer: Address, request: Request, *rest: Any) -> Answer:
        reach(f"{name_of(request)} sent", peer)
        return await original(pool, peer, request, *rest)

    return call


def watch_answers(original: Callable[..., Answering]) -> Callable[..., Answering]:
    def answer(node: Node, sender: Address, view_id: ViewId, budget_s: float, request: Request) -> Answering:
        reach(f"{name_of(request)} received", sender)
        answering = original(node, sender, view_id, budget_s, request)
        return answered(answering, sender, request) if step == f"{name_of(request)} answered" else answering

    async def answered(answering: Answering, sender: Address, request: Request) -> Answer:
        answer = await answer_of(answering)
        reach(f"{name_of(request)} answered", sender)
        return answer

    return answer


def watch_adoptions(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def adopt(views: Views, heard: Any) -> Any:
        before = views.view_id
        result = await original(views, heard)
        if views.view_id != before:
            reach("adopted")
        return result

    return adopt


def watch_drops(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def drop(store: Store, fence: ViewId, versions: Sequence[tuple[int, bytes, Version]]) -> None:
        reach("dropping")
        await original(store, fence, versions)
        reach("dropped")

    return drop


def watch_settling(original: Callable[[Handoff], bool]) -> Callable[[Handoff], bool]:
    def is_settled(handoff: Handoff) -> bool:
        result = original(handoff)
        if result and handoff._views.view_id.epoch:
            reach("settled")
        return result

    return is_settled


for owner, method, watch in (
    (Peers, "call", watch_calls),
    (Node, "answer", watch_answers),
    (Views, "_adopt", watch_adoptions),
    (Store, "drop", watch_drops),
    (Handoff, "is_settled", watch_settling),
):
    setattr(owner, method, watch(getattr(owner, method)))

if __name__ == "__main__":
    sys.exit(main())
