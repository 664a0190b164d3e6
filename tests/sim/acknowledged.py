"""Do acknowledged views stay? What an operator was told is done can only be followed, never replaced.

Each view names the one that it was built on, so whether a view follows another is told by the chain of these. A change
made on one side of a cut may lose against one of the other side: of a view that was acknowledged at such a time nothing
is demanded.
"""

from __future__ import annotations

from collections.abc import Iterator

from gossip.view import View, ViewId
from tests.sim.cluster import Cluster, Machine
from tests.sim.registers import Violation
from tests.sim.trace import view_name

CUT_S = 20.0
"""A coordinator tries for so long to bring its view in force: a cut may have shaped what it knew of at its start."""


class AcknowledgedViews:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._bases: dict[ViewId, ViewId | None] = {}
        """Of each view that was ever stored by anybody."""
        self._acknowledged: list[ViewId] = []
        cluster.view_watchers.append(self._stored)

    def acknowledge(self, view: View) -> None:
        """Somebody was told that this one is settled."""
        if not self._cluster.is_cut(CUT_S):
            self._acknowledged.append(view.id)

    def check(self, view: View) -> None:
        """`view` is the one in force everywhere. Raises Violation if one that was acknowledged is not among those that
        it follows."""
        followed = set(self._chain(view.id))
        for acknowledged in self._acknowledged:
            if acknowledged not in followed:
                raise Violation(
                    f"view {view_name(acknowledged)} was acknowledged, and {view_name(view.id)} is in force, "
                    f"which was built without it"
                )

    def _stored(self, _: Machine, view: View) -> None:
        self._bases[view.id] = view.base

    def _chain(self, view_id: ViewId | None) -> Iterator[ViewId]:
        while view_id is not None:
            yield view_id
            view_id = self._bases.get(view_id)
