"""Writes on a condition, and which views may decide them."""

from __future__ import annotations

from node.operations.decider import Decider
from node.operations.inquiry import Inquiry
from node.operations.owner import Owner
from node.operations.router import Router
from node.views.quorum import electors_of_next, supports
from tests.sim.ablations.switch import Ablation, Edit

ABLATIONS = (
    Ablation(
        "no single decider",
        "a condition is decided by any owner",
        (
            Edit(Owner._who_may, "owners[:1] if isinstance(operation, WriteIf) else owners", "owners"),
            Edit(Router._decider, "[:1]", ""),
        ),
    ),
    Ablation(
        "no doubt where an owner is silent",
        "a condition is decided without the owners that cannot be heard",
        (
            Edit(
                Decider._obstacle, "{*out_of_reach, *sightings.unheard}.difference(self._views.current.absent)", "set()"
            ),
            Edit(Decider._replicate, "{*lacking, *", "{*"),
        ),
    ),
    Ablation(
        "no question to earlier owners",
        "a condition is decided by what the owners of the view have",
        (
            Edit(
                Owner._attempt,
                "self._whom_to_ask(partition, demand)",
                "self._whom_to_ask(partition, demand) - (set(self._views.donors.of(partition)) "
                "if isinstance(operation, WriteIf) else NO_PEERS)",
            ),
            Edit(Inquiry.find_out, "or not self.not_synced_with(partition) <= peers", ""),
        ),
    ),
    Ablation(
        "no wait for who was removed",
        "a condition is decided without any removed node that is silent, be it that it could be reached at that time",
        (Edit(Decider._obstacle, ".difference(self._views.current.absent)", "& self._views.current.nodes"),),
        "../node/operations/test_decider.py::test_decide_passes_over_a_donor_that_was_given_up_when_the_view_was_made"
        "[False]",
    ),
    Ablation(
        "no electors",
        "conditions are decided under each of two rival views",
        (Edit(electors_of_next, "return electors if", "return () if"),),
    ),
    Ablation(
        "no straying",
        "a node may support two rival views",
        (Edit(supports, "return strayed is None or", "return True or strayed is None or"),),
        "../node/views/test_confirming.py::test_answer_of_a_node_that_has_held_a_rival_does_not_support_the_view",
    ),
    Ablation(
        "no quorum after the write",
        "a conditional write is acknowledged by who may have been replaced",
        (Edit(Decider._replicate, "*await self._confirming.missing(have_it)", ""),),
        "../node/operations/test_decider.py::test_decide_when_the_quorum_is_lost_meanwhile_may_have_written",
    ),
    Ablation(
        "no quorum before the write",
        "a conditional write is stored by who may have been replaced",
        (Edit(Decider._obstacle, "if not unheard:", "if False:"),),
        "../node/operations/test_decider.py::test_decide_without_a_quorum_is_refused_and_names_who_is_missing",
    ),
    Ablation(
        "no stamps above what was heard",
        "a conditional write may be stamped below what was stamped before the view",
        (Edit(Decider._obstacle, "clock_of(write.version) <= self._above", "False"),),
        "../node/operations/test_decider_outcomes.py::test_decide_takes_no_stamp_that_was_heard_of_before_the_view",
    ),
    Ablation(
        "no doubt in what an owner lacks",
        "that a condition is not met is told though a silent owner has not heard of what is in the way",
        (Edit(Decider._refuse, "{*lacking, *", "{*"),),
        "../node/operations/test_decider_outcomes.py::test_unmet_is_not_told_of_what_one_of_the_owners_lacks",
    ),
    Ablation(
        "no quorum before a refusal",
        "that a condition is not met is told by who may have been replaced",
        (Edit(Decider._refuse, "{*lacking, *await self._confirming.missing(())}", "lacking"),),
        "../node/operations/test_decider_outcomes.py::test_unmet_is_not_told_once_the_quorum_is_lost",
    ),
)
