"""Whether a view of epoch 0 has become that of a store, and who was there: what no view says of itself.

A view of epoch 0 is made by each node from its own environment. As long as no key was written under it, it is worth no
more than the environment: a typing error may be in it, and nothing is lost if it gives way. Once a key was, it is that
of a store. Its *founders* are the nodes that are known to have held it; they learn of each other by greetings and
gossip, and tell that they are founders wherever they tell the view. So a copy that holds no key itself knows that it
belongs to a store, a node that lost its disk is told that it is one of them, and whoever else comes to have the address
of a founder is not taken for one.

Pure: no loop, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec

from gossip.view import Address, View
from node.storage.kept import read_kept
from node.storage.keys import Setting


class Founding(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """What a node knows of the view that it holds; kept on disk, see `Setting.FOUNDING`."""

    digest: int
    """That of the view."""
    holders: tuple[Address, ...]
    """The nodes of the view that are known to have held it, ascending."""
    has_keys: bool
    """Whether a key was ever written under it, by this node or by another one that holds it."""

    @cached_property
    def founders(self) -> frozenset[Address]:
        """None: it is of epoch 1 or later, or worth no more than the environment."""
        return self._all if self.has_keys else frozenset()

    @cached_property
    def _all(self) -> frozenset[Address]:
        return frozenset(self.holders)

    def who_held(self, view: View) -> frozenset[Address]:
        """Who may have held `view`, which is this one. One of epoch 0 may name whom nobody has ever started."""
        return view.nodes if view.epoch else self._all

    def with_holders(self, view: View, holders: Iterable[Address], has_keys: bool) -> Founding:
        """After these were found to hold `view`, which is this one."""
        new = view.nodes.intersection(holders) - self._all
        if not new and self.has_keys >= has_keys:
            return self
        return Founding(self.digest, tuple(sorted(self._all | new)), self.has_keys or has_keys)


def founding_of(view: View, holders: Iterable[Address] = (), has_keys: bool = False) -> Founding:
    """What is known of a view of epoch 0 by who has just come to hold it; nothing of a later one, which is always that
    of a store."""
    nothing = Founding(view.id.digest, (), False)
    return nothing if view.epoch else nothing.with_holders(view, holders, has_keys)


def founding_at_start(encoded: bytes | None, stored: View | None, fresh: View, me: Address) -> Founding:
    """As a node knows it that starts: as it is on the disk that `stored` is on, or that of a `fresh` view, where there
    is none. Raises StorageFault."""
    if stored is None:
        return founding_of(fresh, [me])
    return read_kept(Setting.FOUNDING, lambda kept: recall(kept, stored), encoded)


def recall(encoded: bytes | None, view: View) -> Founding:
    """What was kept on the disk that `view` is on. Where nothing was, by a release that did not know of it, all nodes
    of the view may have been there."""
    if encoded is None:
        return founding_of(view, view.nodes)
    return msgspec.msgpack.decode(encoded, type=Founding)
