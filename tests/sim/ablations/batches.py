"""Many operations at once: what holds for one of them holds for each."""

from __future__ import annotations

from node.operations.batching import Batching
from node.operations.together import Together
from node.storage.store import Store
from tests.sim.ablations.switch import Ablation, Edit

TOGETHER = "../node/operations/test_together.py::"
BATCHING = "../node/operations/test_batching_left.py::"
HERE = "../node/operations/test_batching_here.py::"

ABLATIONS = (
    Ablation(
        "no questions of a batch",
        "an owner carries a batch out without asking whom it has not synced with",
        (Edit(Together.carry_out, "(is_synced or not self._inquiry.not_synced_with(partition))", "True"),),
        TOGETHER + "test_together_leaves_what_a_donor_may_have_something_newer_of",
    ),
    Ablation(
        "no fence of a batch",
        "a batch that was queued under an earlier view is written all the same",
        (Edit(Store.write_together, "transaction.demand(fence)", "pass"),),
        TOGETHER + "test_together_is_not_written_under_a_later_view",
    ),
    Ablation(
        "no wait for the copies of a batch",
        "a batch is acknowledged once it is on one disk",
        (
            Edit(
                Together._await_copies,
                "await self._streams.await_copies(written, are_noted=are_noted)",
                "frozenset()",
            ),
        ),
    ),
    Ablation(
        "no memory of a batch that was lost",
        "a write that may have been stored with others is stamped anew, and may happen twice",
        (
            Edit(Batching._bring, "version if isinstance(answer, MayBeStored) else None", "None"),
            Edit(Batching._write_here, "version if isinstance(answer, MayBeStored) else None", "None"),
        ),
        BATCHING + "test_batch_that_may_be_stored_is_never_stamped_anew[lost]",
    ),
    Ablation(
        "no copies of a batch that took the short way",
        "a batch of keys that have co-owners is written here alone",
        (
            Edit(Together._is_alone, "self._co_owners.is_alone and", ""),
            Edit(Together._write, "self._co_owners.is_alone", "True"),
        ),
        HERE + "test_batch_of_keys_with_co_owners_or_in_a_pause_takes_the_ordinary_way",
    ),
    Ablation(
        "no questions of a batch that took the short way",
        "a batch of keys that are on their way here is written without asking who had them",
        (Edit(Together._is_alone, "and self._inquiry.is_synced", ""),),
        HERE + "test_batch_of_keys_that_are_on_their_way_takes_the_ordinary_way",
    ),
    Ablation(
        "no end of a batch in a pause",
        "an owner that was paused while it wrote acknowledges a batch",
        (
            Edit(
                Together._write,
                "if not self._readiness.enter():\n        return [MAY_BE_STORED] * len(jobs)\n    copies",
                "copies",
            ),
        ),
        TOGETHER + "test_together_in_a_pause_may_be_stored[copies]",
    ),
)
