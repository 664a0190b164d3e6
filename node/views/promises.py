"""The promises that one attempt at a view change has gathered so far: who waits for the view that is being made, and
what they say of the one that it is built on."""

from __future__ import annotations

from collections.abc import Mapping

from gossip.view import Address, Electors, View
from node.net.messages import Answer, Foreign, Promised
from node.views.quorum import electors_of_next, have_quorums


class Promises:
    def __init__(self) -> None:
        self.promised: set[Address] = set()
        self.foreign: set[Address] = set()
        """Who was found to be of another cluster."""
        self.silent: set[Address] = set()
        self._supporters: set[Address] = set()
        """Who holds the view that is built on, and has held no rival of it."""
        self._is_established = False
        """Whether one of them knows that it is."""

    def add(self, replies: Mapping[Address, Answer | None]) -> None:
        """What these nodes have answered; None: they cannot be reached."""
        for node, answer in replies.items():
            if isinstance(answer, Promised):
                self.promised.add(node)
                if answer.supports:
                    self._supporters.add(node)
                self._is_established |= answer.is_established
            elif isinstance(answer, Foreign):
                self.foreign.add(node)
            elif answer is None:
                self.silent.add(node)

    def electors_of_next(self, old: View) -> tuple[Electors, ...]:
        """Those of the view that is built on `old`, as far as these nodes can tell whether that is established."""
        return electors_of_next(old, self._is_established or have_quorums(old.electors, self._supporters))
