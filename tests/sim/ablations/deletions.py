"""What may be forgotten of deletions, and whom to believe then."""

from __future__ import annotations

from node.retention.tombstones import Tombstones
from node.storage.store import Store
from tests.sim.ablations.switch import Ablation, Edit

ABLATIONS = (
    Ablation(
        "no doubt in what comes from outside",
        "what a node brings home that was away for too long is taken, whatever was deleted since",
        (Edit(Store.may_revive, "return self.has_forgotten_beyond", "return False and self.has_forgotten_beyond"),),
        "test_purge.py::test_removed_node_that_comes_home_brings_no_deleted_key_back[long after]",
    ),
    Ablation(
        "no regard for what belongs to others",
        "a node that has yet to bring something home has missed nothing, and lets deletions be forgotten",
        (
            Edit(Tombstones.forgettable, " or self._holds_of_others()", ""),
            Edit(Tombstones._advance, " and not self._holds_of_others()", ""),
        ),
        "test_homecoming.py::test_node_that_cannot_bring_everything_home_does_not_know_what_was_deleted",
    ),
    Ablation(
        "no grace for the removed",
        "deletions are forgotten as soon as the nodes of the view may forget them",
        (Edit(Tombstones.forgettable, "now_ms < self._views.current.spare_until_ms", "False"),),
        "test_purge.py::test_old_keys_of_a_node_removed_after_a_long_outage_come_home_with_it",
    ),
)
