"""Which of the two links to a peer a message takes, and for how long it may: what is large goes apart.

A megabyte takes most of a second over 12 Mbit/s. Whatever came behind it on the same connection, a heartbeat or a ping,
would be late by as much, and its peer would be taken for silent because of that. So a request or an answer that carries
more than `LARGE_BYTES` travels on the link for transfers. There each call is given the time that all which is on its
way takes on a slow link. What is large and no transfer says nothing about its peer: for as long as it is under way,
pings on the other link do, and if the peer falls silent there, whatever is on its way to it ends.

How large an answer is, only the peer knows. It says so instead of sending it (`Apart`), and is asked once more over the
other link: what has such answers can be asked twice. A release that knows of no `Apart` is sent them as ever: a link
says when it is dialled whether it does.

Pings may get through where large packets never do (a path whose MTU nobody is told of). Then what is large fails with
LargeLate when its time is over, and the log says to which peer, until something large gets through again.
"""

from __future__ import annotations

from typing import Protocol

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import LargeLate, PeerLate, PeerLost, PeerRefused
from node.net.messages import LARGE_BYTES, Answer, Apart, Request
from node.state_log import StateLog

APART = "apart"
"""What a link says, when it is dialled, of large answers."""


class Lane(Protocol):
    """One link to a peer, as its driver has it."""

    bytes_on_the_way: int
    """What the calls on it carry, or their answers; counted on a link for transfers only. 0 at first."""

    async def call(self, request: Request, view_id: ViewId, timeout_s: float, attempt: bool) -> Answer:
        """See `Transport.call`."""

    def watch(self) -> None:
        """Send pings until `unwatch`, to tell whether the peer is there. Raises PeerRefused if it is known not to
        be."""

    def unwatch(self) -> None: ...

    def is_down(self) -> bool:
        """See `Transport.is_down`."""


class Lanes(Protocol):
    """The links of one node."""

    def lane(self, to: Address, bulk: bool) -> Lane:
        """The one to this peer, made if there is none."""

    def note_large(self, to: Address, is_through: bool) -> None:
        """Something large has got through, or has not, in its time."""


class LargeLog:
    """Peers to which nothing large gets through, in the log: a line when that begins, and one when it ends."""

    def __init__(self) -> None:
        self._log = StateLog()

    def note(self, peer: Address, is_through: bool) -> None:
        if is_through:
            self._log.end(peer, f"what is large gets through to {peer} again")
        else:
            self._log.begin(
                peer,
                f"{peer} is there, and what is large does not get through to it in time: does the way lose large "
                "packets (MTU), or does its disk hang?",
            )


async def call(
    links: Lanes, to: Address, config: Config, request: Request, view_id: ViewId, timeout_s: float, attempt: bool
) -> Answer:
    """The answer of `to` to what is no transfer; see `Transport.call`. `timeout_s` is what it would be given if it were
    small."""
    small = links.lane(to, False)
    bytes_ = request.carried_bytes()
    is_answering = bytes_ <= LARGE_BYTES
    if is_answering:
        answer = await small.call(request, view_id, timeout_s, attempt)
        if not isinstance(answer, Apart):
            return answer
        bytes_ = answer.bytes
    small.watch()
    try:
        answer = await carry(links.lane(to, True), config, request, view_id, timeout_s, bytes_, attempt=True)
    except PeerLate as fault:
        links.note_large(to, False)
        raise LargeLate(str(fault)) from None
    except (PeerLost, PeerRefused) as fault:
        if is_answering and not small.is_down():  # It has just said that there is something.
            raise LargeLate(str(fault)) from None
        raise
    finally:
        small.unwatch()
    links.note_large(to, True)
    return answer


async def carry(
    bulk: Lane,
    config: Config,
    request: Request,
    view_id: ViewId,
    timeout_s: float,
    bytes_: int,
    attempt: bool = False,
) -> Answer:
    """The answer to a call on the link for transfers: it, or its answer, carries so much."""
    bulk.bytes_on_the_way += bytes_
    try:
        return await bulk.call(request, view_id, timeout_s + config.carry_s(bulk.bytes_on_the_way), attempt)
    finally:
        bulk.bytes_on_the_way -= bytes_


def fit(answer: Answer, is_small: bool) -> Answer:
    """What to answer over a link. `is_small`: it is one that asks for large answers apart."""
    if is_small and (bytes_ := answer.carried_bytes()) > LARGE_BYTES:
        return Apart(bytes_)
    return answer
