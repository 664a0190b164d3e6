"""To whom a node has promised to wait for a view that is being made, and what that keeps out; see `holder`."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from gossip.view import Address, ViewId
from node.net.messages import Busy


class Promisee(NamedTuple):
    """Who has this node's promise, for which epoch and change."""

    epoch: int
    """The highest that was ever promised, whatever has become of the promise; 0: none."""
    coordinator: Address
    """Empty: nobody has one."""
    target: str
    base: ViewId | None = None
    """The view that the coordinator builds on; None: nobody knows. Not kept on disk: a promise that was made before a
    restart keeps out the more."""

    @property
    def is_held(self) -> bool:
        return bool(self.coordinator)

    def keeps_out(self, view_id: ViewId) -> bool:
        """Whether the view of that id may not be adopted while this is held: it could follow the one built on, and
        would be undone by the next. What comes no later than that changes nothing for the coordinator, who holds it."""
        if not self.is_held or view_id.epoch >= self.epoch:
            return False
        return self.base is None or view_id.supersedes(self.base)

    def encoded(self) -> bytes:
        """As it is kept on disk."""
        return msgspec.msgpack.encode((self.epoch, self.coordinator, self.target))

    @classmethod
    def decoded(cls, kept: bytes) -> Promisee:
        """The reverse. Raises MsgspecError."""
        return msgspec.msgpack.decode(kept, type=cls)

    @property
    def as_busy(self) -> Busy:
        """The answer that this is in the way."""
        return Busy(self.epoch, self.coordinator, self.target)

    def given_back(self) -> Promisee:
        return Promisee(self.epoch, "", "")


NOBODY = Promisee(0, "", "")
