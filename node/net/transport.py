"""The seam between what nodes say and what carries it: real links (`pool`) or a simulated network.

A transport promises: a call's request reaches the other node's handler at most once; its answer, if any, comes from
that very execution; `PeerRefused` means that it was not executed. It promises nothing about order, and casts may be
lost.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Protocol, TypeAlias

import gossip.messages
from gossip.view import Address, ViewId
from node.net.messages import Answer, Request
from node.timing.clock import HybridClock

Answering: TypeAlias = Answer | Awaitable[Answer]
"""An answer at once where it needs no waiting: the common case costs no task."""


async def answer_of(answering: Answering) -> Answer:
    """Wait for it where it needs that."""
    return await answering if inspect.isawaitable(answering) else answering


class Handler(Protocol):
    """What a transport delivers to."""

    def answer(self, sender: Address, view_id: ViewId, budget_s: float, request: Request) -> Answering:
        """The answer to a call of `sender`, which holds the view `view_id` and waits `budget_s` seconds."""

    def hear(self, sender: Address, message: gossip.messages.Message) -> None:
        """Take a cast."""


class Transport(Protocol):
    """What a node speaks through."""

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        """Say who answers, and which clock goes along with every message; before anything else is asked of the
        transport."""

    async def call(
        self,
        to: Address,
        request: Request,
        view_id: ViewId,
        timeout_s: float,
        bulk: bool = False,
        attempt: bool = False,
    ) -> Answer:
        """The answer of `to`. Raises PeerRefused (also if `timeout_s` leaves no time), PeerLost or TooManyCalls.

        `bulk`: a transfer, which must not delay other calls. `attempt`: `to` is an owner that may need longer than
        this, since it may be waiting for others or its disk; that it does not answer in time (PeerLate) says nothing
        about it, and pings tell whether it is there."""

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        """Send and forget."""

    def is_down(self, to: Address) -> bool:
        """Whether the last thing known of `to` is that it could not be reached; it is tried again as long as it is
        wanted."""

    def dial_anew(self, to: Address) -> None:
        """If `to` is down, it may have come up since: dial it now, and let who asks it wait for that."""

    def is_stranger(self, to: Address) -> bool:
        """Whether, when `to` was dialled last, a node of a cluster with another name was found there."""

    def why_refused(self, to: Address) -> str:
        """Why this node and `to` turned each other away when they met last, for people; empty: they did not."""

    def is_older(self, to: Address) -> bool:
        """Whether the node that was found at `to` last is of a release that knows of no expiry."""

    def silence_s(self, to: Address) -> float:
        """For how long `to` must say nothing to be silent: longer than is made for where it is farther away."""

    def round_trip_s(self, to: Address) -> float | None:
        """What a message to `to` and its answer took lately, at least; None: nobody knows."""

    def running(self) -> float:
        """By this time (seconds) others are called silent: see `RunningTime`."""

    def reset(self) -> None:
        """Drop every link, and what has arrived but was not executed yet. New calls make new links."""

    async def close(self) -> None: ...
