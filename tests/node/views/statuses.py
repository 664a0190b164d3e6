"""A view that was changed once, and where its nodes may stand."""

from __future__ import annotations

import msgspec

from gossip.view import Address, View
from node.net.messages import Owed, Status
from node.views.change_conditions import Target
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, environment

START = environment(A, B)
OLD = successor(START, A, B)
TARGET = Target(frozenset({B, C}), None)


def status(
    view: View = OLD, *, handing: tuple[Address, ...] = (), waiting: tuple[Address, ...] = (), holds: bool = True
) -> Status:
    owed, awaited = (tuple(Owed(peer, 1, 1) for peer in peers) for peers in (handing, waiting))
    return Status(view.id, 0, "", 0, owed, awaited, not owed and not awaited, holds)


STALL_S = 15.0
NOW_MS = 1_000_000
KEEPS_FOR_B = msgspec.structs.replace(status(handing=(B,)), settled=True)
"""A node that cannot reach B, while others can."""


def still(status: Status, *, full: bool = False, still_s: float = STALL_S) -> Status:
    return msgspec.structs.replace(status, full=full, still_ms=int(1000 * still_s))
