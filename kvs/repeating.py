"""Which request is repeated, at which node, when, and until when: the one place that decides it, without I/O.

A request is repeated if the node that was asked cannot have executed it, or if executing it twice has the same effect
as executing it once. So a GET is, and so is a plain PUT, which says what the value shall be, whatever it was. A DELETE
that has been sent is not: repeated, it would tell "not found" of the very key that it deleted. Nor is a conditional
write: repeated, it would be refused for the very version that it has made.

A node that gave no result is followed by the next at once. Only when all have been asked is there a pause before they
are asked again: longer each time, by chance, so that many clients do not come back together, and never shorter than a
node asked for with `Retry-After`. A call ends with its deadline, or after so many rounds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple, TypeAlias

import msgspec

from kvs.errors import KvsError, OutcomeUnknown, Unreachable

PAUSE_S, PAUSE_S_MAX = 0.05, 1.0
"""The first pause and the longest, each of a length between half of that and the whole."""
ASK_S_MIN = 0.01
"""No node is asked with less time than this left: it would only be asked in vain."""


class Effect(Enum):
    """What it does to execute a request twice."""

    NONE = "nothing, as it reads"
    SAME = "the same as to execute it once"
    ONCE = "something else than to execute it once"


class Patience(msgspec.Struct, frozen=True):
    call_s: float | None
    """For a call in all; None: for as long as it takes."""
    node_s: float
    """For one node to answer."""
    rounds: int | None
    """How often all nodes are asked; None: until the time is up."""

    def for_many(self) -> Patience:
        """With an operation that goes with others in a request, and may have to wait for them."""
        return Patience(None if self.call_s is None else 2 * self.call_s, 2 * self.node_s, self.rounds)


class Failed(Exception):
    """One node gave no result."""

    def __init__(self, reason: str, *, sent: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        """Whether the request may have been executed there."""
        self.retry_after_s = retry_after_s
        """For how long it asks not to be asked again."""


class Busy(Failed):
    """So many other requests of this client are under way that this one had no turn: no fault of the node's."""

    def __init__(self, under_way: int) -> None:
        super().__init__(f"{under_way} other requests are under way", sent=False)


class Ask(NamedTuple):
    node: str
    within_s: float | None
    """For as long may it take; None: for as long as it takes."""


class Pause(NamedTuple):
    seconds: float


class GiveUp(NamedTuple):
    fault: KvsError


Step: TypeAlias = Ask | Pause | GiveUp


class Course:
    """One call on its way. `nodes`: whom to ask in one round, anew for each. The call has `node_s` for each of them
    instead of what `patience` says, where that is given."""

    def __init__(
        self,
        nodes: Callable[[], Iterable[str]],
        effect: Effect,
        patience: Patience,
        now: float,
        chance: random.Random,
        node_s: float | None = None,
    ) -> None:
        self._nodes = nodes
        self._effect = effect
        self._node_s = patience.node_s if node_s is None else node_s
        self._rounds_left = patience.rounds
        self._until = None if patience.call_s is None else now + patience.call_s
        self._chance = chance
        self._round: Iterator[str] = iter(nodes())
        self._pause_s = PAUSE_S
        self._not_before = now
        """When the first node that asked for a pause may be asked again."""
        self._reasons: dict[str, str] = {}
        self._may_have_happened = False

    def step(self, now: float) -> Step:
        """What to do now: to be called first, after each pause, and after each failure."""
        if self._may_have_happened and self._effect is Effect.ONCE:
            return self._give_up()
        left_s = float("inf") if self._until is None else self._until - now
        if left_s < ASK_S_MIN:
            return self._give_up()
        node = next(self._round, None)
        if node is not None:
            within_s = min(left_s, self._node_s)
            return Ask(node, None if within_s == float("inf") else within_s)
        return self._next_round(now, left_s)

    def failed(self, node: str, failure: Failed, now: float) -> None:
        self._reasons[node] = failure.reason
        self._may_have_happened |= failure.sent
        self._not_before = max(self._not_before, now + failure.retry_after_s)

    def _next_round(self, now: float, left_s: float) -> Step:
        if self._rounds_left is not None:
            self._rounds_left -= 1
            if self._rounds_left <= 0:
                return self._give_up()
        chosen_s = self._pause_s * self._chance.uniform(0.5, 1.0)
        pause_s = max(chosen_s, (self._not_before - now) * self._chance.uniform(1.0, 1.25))
        if pause_s > left_s - ASK_S_MIN:
            return self._give_up()
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)
        self._round = iter(self._nodes())
        return Pause(pause_s)

    def fault(self) -> KvsError:
        """What to tell whoever asked, if the call ends now."""
        if self._may_have_happened and self._effect is not Effect.NONE:
            return OutcomeUnknown(self._reasons)
        return Unreachable(self._reasons)

    def _give_up(self) -> GiveUp:
        return GiveUp(self.fault())
