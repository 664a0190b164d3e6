"""A node that judges a view, and what it hears: for tables of the rules."""

from __future__ import annotations

from gossip.view import Address, View
from node.views.rules import Heard, ViewHolder
from tests.node.views.bench import A, B, environment

MINE = environment(A, B)
NOBODY: tuple[Address, ...] = ()


def holder(
    view: View = MINE,
    founders: tuple[Address, ...] = NOBODY,
    followed: Address | None = None,
    has_asked_around: bool = True,
) -> ViewHolder:
    """Node A, whose environment names A and B; it holds keys where it is a founder."""
    keys = A in founders
    return ViewHolder(A, frozenset({B}), view, frozenset(founders), keys, followed, has_asked_around)


def heard(view: View, source: Address, founders: tuple[Address, ...] = NOBODY) -> Heard:
    return Heard(view, frozenset(founders), source)
