"""What a call may raise: one tree, by what the caller can do about it.

`BadRequest`: ask for something else; `NotAllowed`, which is one: with another token. `ConditionFailed`: look again, and
decide anew. `Contended`: others were faster, so come back when there are fewer. `Locked`: wait for longer, or do
without. `LockLost`: what was done in the end was perhaps not done alone. `Unreachable`: nothing has happened, so ask
again later. `OutcomeUnknown`: it may have happened, so find out before doing it again. `Misuse`: mend the program.
`Unreachable` and `OutcomeUnknown` are apart on purpose: whoever repeats the one must not, by the same line, repeat the
other.

Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping


class KvsError(Exception):
    """The call brought no result; the message is one line for people."""


class BadRequest(KvsError):
    """The store, or the client on its behalf, refused what was asked for. Nothing has happened, and to ask for the same
    again changes nothing."""

    def __init__(self, error: str, status: int | None = None) -> None:
        super().__init__(error)
        self.status = status
        """That of the store's answer; None: it was not even sent."""


class NotAllowed(BadRequest):
    """The store wants a token, or one of a role that may do more: `status` is 401 or 403."""


class ConditionFailed(KvsError):
    """The key has another version than the write was meant for. Nothing has happened."""

    def __init__(self, key: str, version: str | None) -> None:
        there = "it does not exist" if version is None else f"its version is {version}"
        super().__init__(f"the condition on {key!r} does not hold: {there}")
        self.key = key
        self.version = version
        """The present one; None: there is no such key."""

    def __reduce__(self) -> tuple[type[ConditionFailed], tuple[str, str | None]]:
        return ConditionFailed, (self.key, self.version)


class Contended(KvsError):
    """Others were faster each time. Nothing has happened."""

    def __init__(self, key: str, tries: int) -> None:
        super().__init__(f"{key!r} was changed by others each of {tries} times")
        self.key = key
        self.tries = tries

    def __reduce__(self) -> tuple[type[Contended], tuple[str, int]]:
        return Contended, (self.key, self.tries)


class Locked(KvsError):
    """Somebody else had the lock for as long as was waited for it."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(f"the lock {name!r} is held by {holder}")
        self.name = name
        self.holder = holder
        """As it has named itself."""

    def __reduce__(self) -> tuple[type[Locked], tuple[str, str]]:
        return Locked, (self.name, self.holder)


class LockLost(KvsError):
    """The lock was lost while it was held, or may have been: somebody else may have had it meanwhile."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the lock {name!r} was lost, or may have been: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[LockLost], tuple[str, str]]:
        return LockLost, (self.name, self.reason)


class Unreachable(KvsError):
    """No node gave a result in time. Nothing has happened."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(_told(reasons))
        self.reasons = dict(reasons)
        """Why not, of each node that was asked, by its address."""

    def __reduce__(self) -> tuple[type[Unreachable], tuple[dict[str, str]]]:
        return Unreachable, (self.reasons,)


class OutcomeUnknown(KvsError):
    """No node could say in time what became of a write: it may have happened, or happen within the next seconds."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(f"{_told(reasons)}; it may have happened all the same")
        self.reasons = dict(reasons)
        """Why not, of each node that was asked, by its address."""

    def __reduce__(self) -> tuple[type[OutcomeUnknown], tuple[dict[str, str]]]:
        return OutcomeUnknown, (self.reasons,)


class Misuse(KvsError):
    """The client was used after it was closed, or outside the event loop that it belongs to."""


def _told(reasons: Mapping[str, str]) -> str:
    """Whether they said nothing, or why they cannot: nodes that have the same reason are told together."""
    nodes_of: dict[str, list[str]] = {}
    for node, reason in reasons.items():
        nodes_of.setdefault(reason, []).append(node)
    told = ", ".join(f"{', '.join(nodes)} ({reason})" for reason, nodes in nodes_of.items())
    return f"no node gave a result: {told or 'there was no time'}"
