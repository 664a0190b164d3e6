"""Who is of this store, of all that this node has heard, and what is wrong with the views of the others.

An address says little about who is there: it may have been given to a node of another store since. So each node is
judged by the view that it holds, and at an address where a node of another store was found, none of this store is: it
counts as down, for leases, writes, reads and view changes alike, until one of this store is heard there.

Nodes repeat themselves several times a second: what is wrong is said when it begins, and when it is over.
"""

from __future__ import annotations

import logging
from collections.abc import Set

from gossip.view import Address

log = logging.getLogger(__name__)


class Kinship:
    """Each of the collections here has as many entries as there are nodes that were heard. `me`: this node's own
    address, which another one may have been given too."""

    def __init__(self, me: Address) -> None:
        self._me = me
        self.foreign: set[Address] = set()
        """Where nodes were heard last that are not of this store. To be changed by this class alone; a plain set, as
        each call asks it."""
        self._awaited: set[Address] = set()
        """Those of them that have nothing, and would follow this store's next view."""
        self.stores: dict[Address, int] = {}
        """Which store each node was of when its view was heard last, by the lineage of that view."""
        self._kin: set[Address] = set()
        """Where nodes were heard last that are."""
        self._complaints: dict[Address, str] = {}
        """What is wrong with the views of whom, as it was last logged."""

    def is_judged(self, peer: Address) -> bool:
        """Whether it is known if a node of this store is at the address of `peer`."""
        return peer in self._kin or peer in self.foreign

    def is_awaited(self, peer: Address) -> bool:
        """Whether the node there is not of this store, but has nothing either, so that it may be taken in."""
        return peer in self._awaited

    def note_store(self, peer: Address, lineage: int) -> None:
        """It holds a view of this lineage."""
        self.stores[peer] = lineage

    def note_kin(self, peer: Address) -> None:
        """It holds a view of this store, be it an older one."""
        self.foreign.discard(peer)
        self._awaited.discard(peer)
        self._kin.add(peer)

    def note_same_view(self, peer: Address) -> None:
        """It holds the view in force here."""
        self.note_kin(peer)
        if (what := self._complaints.pop(peer, None)) is not None:
            log.info("%s: holds the same view as this node now; before: %s", peer, what)

    def note_foreign(self, peer: Address) -> None:
        """It is of another store, as its view says, or it itself of this node's."""
        self._note_other(peer)
        self._awaited.discard(peer)
        self.complain(peer, "it is of another cluster, its views are refused")

    def note_awaited(self, peer: Address, is_member: bool) -> None:
        """It has nothing, and another environment; it is about to follow. If it is a member, it has lost its disk, and
        somebody who has started it anew has made a mistake."""
        self._note_other(peer)
        self._awaited.add(peer)
        if is_member:
            self.complain(peer, "its VIEW or REPL_FACTOR differs from the view of this store, which holds")

    def note_taken_in(self, nodes: Set[Address]) -> None:
        """These are the nodes of a view of this store that has just come into force: whoever of them was awaited is
        asked again, before it is heard of once more."""
        self.foreign -= self._awaited & nodes
        self._awaited -= nodes

    def complaint(self, peer: Address) -> str:
        """What is wrong with its view; empty if nothing is."""
        return self._complaints.get(peer, "")

    def complain(self, peer: Address, what: str) -> None:
        if self._complaints.get(peer) != what:
            self._complaints[peer] = what
            log.error("%s: %s", peer, what)

    def begin_anew(self) -> None:
        """This node is of another store now: who is not of one may be of the other."""
        self.foreign.clear()
        self._awaited.clear()
        self._kin.clear()

    def _note_other(self, peer: Address) -> None:
        if peer != self._me:
            self._kin.discard(peer)
            self.foreign.add(peer)
