"""Whom to ask next with a client's operation, and when to give up: a state machine, fed with what the owners answer.

An operation is brought to the owners of its key in rounds: each owner at most once a round, until one answers. `begin`
starts a round under the view in force, `hear` takes what came of a question; both return the next step, which `router`
takes. The rules, each decided in one place below:

- A write may get a new version only while no attempt at it can have been stored. Otherwise it could happen twice, with
  another write in between, so then nobody can tell what became of it. For the same reason, that its condition was not
  met is an answer only while no attempt can have been stored: it may have been met before, and by that write itself.
- An owner that cannot satisfy the client's context is no reason not to ask the next one; that answer is given if none
  fares better.
- If all owners refuse under one view, another round would end the same way: the client learns at once.
- A round belongs to one view. When that changes, the owners may be others, so the round begins anew.

Pure: no loop, no I/O; the time and the view in force are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import PeerFault, PeerRefused, TooManyCalls
from node.net.messages import (
    Answer,
    Exported,
    Foreign,
    Listed,
    MayBeStored,
    NothingDeleted,
    ReadResult,
    Superseded,
    Unable,
    Unheard,
    Unmet,
    Unsatisfied,
    ViewIs,
    Wrote,
)
from ring.placement import Shard

NOBODY: frozenset[Address] = frozenset()


class Ask(msgspec.Struct, frozen=True, gc=False):
    """Bring the operation to this owner, under the view of the round; if that is another node, wait for so long."""

    owner: Address
    limit_s: float
    is_attempt: bool
    """Whether the limit is so short that an owner which needs longer may be well: it may be waiting for a silent peer
    of its own. See `Transport.call`."""


class Greet(msgspec.Struct, frozen=True, gc=False):
    """Exchange views with this owner, which holds another one and has none that this node could follow."""

    owner: Address


class NextRound(msgspec.Struct, frozen=True, gc=False):
    """Begin another round, after a wait: the owners may be others by then, or fare better."""

    wait_s: float = 0.0


class Answered(msgspec.Struct, frozen=True, gc=False):
    """This is the answer, and who gave it. Superseded: the write may be stamped anew."""

    answer: Answer
    owner: Address


class GivenUp(msgspec.Struct, frozen=True, gc=False):
    """Nobody can answer in time. A write may have been stored."""


Step: TypeAlias = Ask | Greet | NextRound | Answered | GivenUp


def in_order(
    owners: Shard, me: Address, may_act: bool, turn: int, is_down: Callable[[Address], bool]
) -> Sequence[Address]:
    """The owners of a key in the order in which this node, `me`, asks them: itself first if it `may_act` as one, else
    beginning with another one at each node, as its `turn` says; those known to be down come last."""
    first = owners.index(me) if may_act and me in owners else turn % len(owners)
    turns = owners[first:] + owners[:first]
    down = [owner for owner in turns if owner != me and is_down(owner)]
    return [*(owner for owner in turns if owner not in down), *down] if down else turns


class RouteState:
    """The way of one operation, under one version; there is one for each request. `deadline`: nobody is asked after it
    (monotonic). `may_be_stored`: it is a write, and an attempt before this may have been stored. `begin`, `hear` and
    `greeted` are its events: each takes what has happened, and returns what comes next."""

    __slots__ = (
        "_config",
        "_deadline",
        "_failed",
        "_is_down",
        "_is_write",
        "_owners",
        "_position",
        "_refusals",
        "_unsatisfied",
        "may_be_stored",
        "unreachable",
        "view_id",
    )

    def __init__(
        self,
        config: Config,
        deadline: float,
        is_write: bool,
        is_down: Callable[[Address], bool],
        may_be_stored: bool = False,
    ) -> None:
        self._config = config
        self._deadline = deadline
        self._is_write = is_write
        self._is_down = is_down
        self._failed: Mapping[Address, str] = {}
        """Who has been asked in vain, and how that ended the last time."""
        self.unreachable: frozenset[Address] = NOBODY
        """Who was missing for it, as far as that is known."""
        self.may_be_stored = may_be_stored
        """Whether an attempt, of this round or an earlier one, may have been stored."""

    def begin(self, view_id: ViewId, owners: Sequence[Address], now: float) -> Step:
        """Start a round under this view: `owners` are those of the key, in the order in which to ask them."""
        self.view_id = view_id
        self._owners = owners
        self._position = 0
        """How many owners have had their turn in this round."""
        self._refusals = 0
        """How many of them would not do it now."""
        self._unsatisfied: Answered | None = None
        """The first answer of this round that the context cannot be satisfied."""
        return self._ask_next(now)

    def hear(self, heard: Answer | PeerFault, view_id: ViewId, now: float) -> Step:
        """Take what came of the last question; `view_id` is that of the view in force by now."""
        owner = self._owners[self._position - 1]
        match heard:
            case ReadResult() | Wrote() | NothingDeleted() | Listed() | Exported():
                return Answered(heard, owner)
            case Superseded() | Unmet():
                return GivenUp() if self.may_be_stored else Answered(heard, owner)
            case ViewIs():
                return Greet(owner) if view_id == self.view_id else NextRound()
            case Unsatisfied():
                self._unsatisfied = self._unsatisfied or Answered(heard, owner)
            case PeerRefused() | TooManyCalls() | Unable() | Unheard() | Foreign():
                self._refusals += 1
                self._note_failure(owner, heard)
            case _:  # It was lost, may be stored, or the answer makes no sense: nobody can tell whether it was done.
                self.may_be_stored = True
                self._note_failure(owner, heard)
        return self._ask_next(now) if view_id == self.view_id else NextRound()

    def _note_failure(self, owner: Address, heard: Answer | PeerFault) -> None:
        self.unreachable = self.unreachable - {owner}
        match heard:
            case Unheard():
                how = f"cannot hear {', '.join(heard.nodes)}"
                self.unreachable = self.unreachable.union(heard.nodes)
            case PeerRefused():
                how = "cannot be reached"
                self.unreachable = self.unreachable | {owner}
            case TooManyCalls():
                how = "has too many calls of this node to answer"
            case PeerFault():
                how = "has not answered"
                self.unreachable = self.unreachable | {owner}
            case MayBeStored():
                how = "cannot tell whether it is done"
                self.unreachable = self.unreachable.union(heard.missing)
            case _:
                how = "cannot do it now"
        self._failed = {**self._failed, owner: how}

    @property
    def hint(self) -> str:
        """Which owners have not done it, for people."""
        return "; ".join(f"{owner} {self._failed[owner]}" for owner in self._owners if owner in self._failed)

    def greeted(self, view_id: ViewId, now: float) -> Step:
        """Views have been exchanged, as far as that was possible."""
        return self._end_round(now) if view_id == self.view_id else NextRound()

    def _ask_next(self, now: float) -> Step:
        owners, left_s = self._owners, self._deadline - now
        while left_s > 0 and self._position < len(owners):
            owner = owners[self._position]
            self._position += 1
            if self._unsatisfied is not None and self._is_down(owner):
                continue  # Whoever could not satisfy the context has just tried to reach it.
            limit_s = min(self._config.attempt_s if len(owners) > 1 else self._config.request_s, left_s)
            return Ask(owner, limit_s, is_attempt=limit_s <= self._config.attempt_s)
        return self._end_round(now)

    def _end_round(self, now: float) -> Step:
        """Nobody has done it."""
        if self._unsatisfied is not None:
            return GivenUp() if self._is_write and self.may_be_stored else self._unsatisfied
        if self._refusals == len(self._owners) or now >= self._deadline:
            return GivenUp()
        return NextRound(self._config.retry_s)

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold; once a round has begun."""
        assert len(set(self._owners)) == len(self._owners), "an owner would be asked twice in a round"
        assert self._refusals + (self._unsatisfied is not None) <= self._position <= len(self._owners)
