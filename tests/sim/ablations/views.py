"""Promises, epochs, and how a view comes in force."""

from __future__ import annotations

from node.node import Node
from node.storage.transaction import Transaction
from node.views.calls import Calls
from node.views.change_conditions import (
    demand_any_met,
    demand_epoch,
    demand_nothing_moves,
    demand_promises,
    demand_reachable,
    demand_to_be_taken_back,
    former_of_next,
    is_settled,
    returning,
)
from node.views.coordinator import Coordinator
from node.views.holder import Views
from node.views.lag import Lag
from node.views.promisee import Promisee
from node.views.readiness import Readiness
from node.views.risk import demand_safe
from node.views.rules import decide_succession, is_foreign, takes_as_guest, takes_as_member
from tests.sim.ablations.switch import Ablation, Edit

ABLATIONS = (
    # Promise
    Ablation(
        "no promise on disk",
        "a promise is kept in memory only",
        (
            Edit(
                Views._hold,
                "await self._store.set(Setting.PROMISE, promisee.encoded())",
                "pass",
            ),
        ),
        "test_views.py::test_promise_outlives_a_restart",
    ),
    Ablation(
        "no single promise",
        "a node that has promised one coordinator promises the next one too",
        (
            Edit(
                Views._promise,
                "held.is_held and held.coordinator != wanted.coordinator and request.epoch > mine.epoch",
                "False",
            ),
        ),
    ),
    Ablation(
        "no memory of void promises",
        "the epoch of a promise that is void or was given back may be used again",
        (Edit(Promisee.given_back, "Promisee(self.epoch,", "Promisee(0,"),),
        "test_views.py::test_acknowledged_view_stays_though_a_coordinator_was_paused_with_its_own[0-Step.STORED]",
    ),
    Ablation(
        "no refusal of promised epochs",
        "a node promises an epoch that it has promised before",
        (Edit(Views._promise, "max(mine.epoch, believable(held.epoch, mine.epoch))", "mine.epoch"),),
        "../node/views/test_holder_promises.py::test_promise_of_an_epoch_once_promised_is_refused",
    ),
    Ablation(
        "no epoch above the promised ones",
        "a coordinator chooses the next epoch by the views in force alone",
        (Edit(Coordinator._bring_in_force, "(status.view.epoch, status.promised)", "(status.view.epoch,)"),),
    ),
    Ablation(
        "no base of promises",
        "a node promises what builds on a view that is out of force",
        (Edit(Views._promise, "request.base is not None and mine.id.supersedes(request.base)", "False"),),
        "../node/views/test_holder_promises.py::test_promise_to_build_on_a_view_that_is_out_of_force_is_refused",
    ),
    Ablation(
        "no age of promises",
        "a coordinator stores its view however old its promises are",
        (
            Edit(
                Coordinator._bring_in_force,
                "self._time.monotonic() - began > self._config.promise_s / 2",
                "False",
            ),
        ),
        "../node/views/test_coordinator_conditions.py::test_promises_that_have_grown_old_bring_no_view_in_force",
    ),
    Ablation(
        "no end of a coordinator's work by its pause",
        "a coordinator that was paused begins anew, on top of what was acknowledged meanwhile",
        (Edit(Node._was_paused, "self.coordinator.break_off()", "pass"),),
        "test_views.py::test_acknowledged_view_stays_though_a_coordinator_was_paused_with_its_own[0-Step.PROMISES]",
    ),
    Ablation(
        "no waiting for the promised view",
        "who has promised an epoch takes views below it",
        (Edit(Views._adopt, "promisee.keeps_out(view.id)", "False"),),
        "test_views.py::test_view_below_a_promise_is_not_taken_from_a_coordinator_that_was_paused",
    ),
    Ablation(
        "no end of promises",
        "a promise to a coordinator that died is never void",
        (Edit(Views.promisee, "self._time.monotonic() - self._promised_at > self._config.promise_s", "False"),),
    ),
    Ablation(
        "no release",
        "a coordinator that fails does not give its promises back",
        (
            Edit(
                Coordinator._give_back,
                "await asyncio.gather(*(self._asking.call(node, release) for node in promised))",
                "pass",
            ),
        ),
        "test_nemesis.py::test_coordinator_with_a_full_disk_leaves_no_promise_behind",
    ),
    Ablation(
        "no arbiter",
        "all nodes are asked for their promises at once",
        (Edit(Coordinator._gather_promises, "(*alone, sorted(statuses))", "(sorted(statuses),)"),),
    ),
    Ablation(
        "no demand for promises",
        "a coordinator stores its view whoever has refused it a promise",
        (Edit(demand_promises, "for answer in replies.values():\n", "return\n    for answer in replies.values():\n"),),
    ),
    # Adopt
    Ablation(
        "no fence in the queue",
        "what was queued under an earlier view is done under the later one",
        (Edit(Transaction.demand, "if fence != self.fence:", "if False:"),),
        "test_fences.py::test_write_queued_behind_a_new_view_is_seen_by_the_new_owner_or_not_acknowledged[0]",
    ),
    Ablation(
        "no fence by asking",
        "a node that is asked under a later view answers without adopting it first",
        (
            Edit(
                Calls.reconcile,
                "if view_id.supersedes(self._views.view_id) and isinstance(await self.learn(sender), Foreign):\n"
                "        return Foreign()",
                "if view_id.supersedes(self._views.view_id):\n        return None",
            ),
        ),
    ),
    Ablation(
        "no view on disk before it is acted on",
        "a node answers that it has adopted a view before that is durable",
        (Edit(Views._adopt, "await self._store.submit(job)", "asyncio.ensure_future(self._store.submit(job))"),),
    ),
    Ablation(
        "no order of views",
        "a node takes any view of its lineage, be it lower than its own",
        (
            Edit(
                decide_succession,
                "Succession.TAKE if theirs.id.supersedes(mine.id) else Succession.KEEP",
                "Succession.TAKE",
            ),
        ),
    ),
    Ablation(
        "no silence while behind",
        "a node serves on that knows of a later view which its disk cannot take",
        (
            Edit(Readiness.is_ready, "and not self._views.lag.is_behind", ""),
            Edit(Readiness.enter, "and not self._views.lag.is_behind", ""),
        ),
        "test_views.py::test_node_whose_disk_cannot_take_the_view_serves_nothing",
    ),
    # What must hold before
    Ablation(
        "no factor of the newest view",
        "a factor that is left out is that of the view which the asked node holds",
        (
            Edit(
                Coordinator.change,
                "task = self._preparing.get(wish)",
                "wish = wish._replace(repl_factor=wish.repl_factor or self._views.current.repl_factor)\n"
                "    task = self._preparing.get(wish)",
            ),
        ),
        "test_views.py::test_factor_that_is_left_out_is_that_of_the_newest_view",
    ),
    Ablation(
        "no homecoming",
        "a removed node is taken in again with what it holds",
        (
            Edit(
                Coordinator._let_come_home,
                "if coming and not await self._asking.bring_view_to(self._asking.who_hold_another(coming)):",
                "if False:",
            ),
        ),
        "test_homecoming.py::test_removed_node_that_is_taken_in_at_once_brings_no_deleted_key_back",
    ),
    Ablation(
        "no turn for the change under way",
        "a change is interrupted though it gets on",
        (Edit(demand_nothing_moves, "raise Conflict(UNDER_WAY) if old.epoch else Again", "pass"),),
        "test_views.py::test_change_that_gets_on_is_not_interrupted",
    ),
    Ablation(
        "no giving way of what only waits",
        "a change is not interrupted, however long nothing has moved",
        (Edit(demand_nothing_moves, "can_go_on and status.still_ms < 1000 * stall_s", "can_go_on"),),
        "test_full_disks.py::test_newcomer_whose_disk_hangs_is_taken_out_again_once_nothing_has_moved_for_long",
    ),
    Ablation(
        "no giving way to disks that are full",
        "a change is not interrupted, though those that are to take something cannot",
        (Edit(demand_nothing_moves, "any(not statuses[taker].full for taker in", "any(True for _ in"),),
        "test_full_disks.py::test_newcomer_that_fills_up_in_the_middle_of_a_move_is_taken_out_again_at_once",
    ),
    Ablation(
        "no demand that it be safe",
        "a change that was asked for only if no key is lost is made all the same",
        (Edit(demand_safe, "if not risk.is_none:", "if False:"),),
        "../node/views/test_coordinator_conditions.py::test_if_safe_counts_who_falls_silent_before_it_promises",
    ),
    Ablation(
        "no demand for an epoch",
        "a change that was meant for one view is made from whatever view is in force",
        (Edit(demand_epoch, "if_epoch is not None and view.epoch != if_epoch", "False"),),
        "test_take_back.py::test_if_epoch_is_judged_by_the_newest_view_not_by_that_of_the_node_asked",
    ),
    # Taking back
    Ablation(
        "no return as one is",
        "who was to go is taken in again only once it has handed over all that it has",
        (Edit(returning, "not (takes_back and is_believed(node, status, old, now_ms))", "True"),),
        "test_take_back.py::test_take_back_of_a_removal_needs_not_wait_for_what_is_handed_over[1-0]",
    ),
    Ablation(
        "no way back beyond the last view",
        "only the last of several changes that have not settled can be taken back",
        (Edit(former_of_next, "old.former[1:]", "()"),),
        "test_take_back.py::test_take_back_of_several_goes_back_one_after_the_other",
    ),
    Ablation(
        "no end of taking back",
        "a change that has settled is taken back",
        (Edit(demand_to_be_taken_back, "if has_settled(view, statuses):", "if False:"),),
        "test_take_back.py::test_take_back_of_what_has_settled_is_refused",
    ),
    Ablation(
        "no demand to be there",
        "a change is made to nodes that cannot be reached",
        (
            Edit(demand_reachable, "if unreachable:", "if False:"),
            Edit(demand_promises, "if silent:", "if False:"),
        ),
        "test_views.py::test_change_to_a_node_that_is_not_there_is_refused",
    ),
    Ablation(
        "no meeting at the start",
        "nodes that were only named by the environment count as being there",
        (Edit(Coordinator._attempt, "if old.epoch == 0:", "if False:"),),
        "test_views.py::test_change_to_nodes_of_the_environment_that_do_not_run_is_refused",
    ),
    Ablation(
        "no meeting before all are removed",
        "a newcomer that has met nobody replaces the view that its environment names",
        (Edit(demand_any_met, "if met.isdisjoint(nodes):", "if False:"),),
        "test_newcomers.py::test_newcomer_with_an_emptied_disk_that_has_met_nobody_changes_no_view",
    ),
    Ablation(
        "no meeting by asking",
        "a newcomer knows only those that it has exchanged views with",
        (Edit(Coordinator._attempt, "met = statuses.keys() | set(", "met = {self._config.address} | set("),),
        "test_newcomers.py::test_newcomer_that_reaches_those_it_was_named_makes_a_view_before_any_gossip",
    ),
    Ablation(
        "no passing of the view built on",
        "a promise keeps out the view that it builds on",
        (Edit(Promisee.keeps_out, "return self.base is None or view_id.supersedes(self.base)", "return True"),),
        "../node/views/test_holder_promises.py::test_promise_lets_the_view_pass_that_it_builds_on_and_is_kept",
    ),
    Ablation(
        "no lag of adoptions that take long",
        "a node whose disk hangs over a later view serves on under the earlier one",
        (Edit(Lag._renew, "or bool(self._late)", ""),),
        "../node/views/test_lag.py::test_lag_of_a_node_whose_disk_hangs_over_a_later_view",
    ),
    Ablation(
        "no joining",
        "a node that has nothing and knows only itself makes a view of its own with others",
        (
            Edit(
                Coordinator._attempt,
                "if self._views.is_blank and target.nodes != old.nodes:",
                "if False:",
            ),
        ),
        "test_views.py::test_blank_node_asked_to_join_extends_the_view_of_the_others[a later view]",
    ),
    Ablation(
        "no doubt in hearsay",
        "nodes that share a view follow one that is in none of what it tells",
        (Edit(takes_as_member, "if is_hearsay and holder.shares_its_view:", "if False:"),),
        "../node/views/test_rules_one_view.py::test_succession_environment_view_that_is_shared_gives_way_to_no_hearsay"
        "[a node that is not in what it tells, and others are of one mind]",
    ),
    Ablation(
        "no following by guests",
        "a node that is not in the view it holds keeps it, though it hears of one that it is in",
        (Edit(takes_as_guest, "(is_higher or not is_hearsay)", "omits_me and is_higher"),),
        "../node/views/test_rules_one_view.py::test_nodes_without_keys_come_to_one_view_whatever_one_of_them_was_told[n3:1]",
    ),
    Ablation(
        "no foreigners",
        "a node with keys takes part in the change of a cluster that it does not know",
        (Edit(is_foreign, "return holder.view.epoch > 0 or", "return False and"),),
        "test_views.py::test_blank_node_with_keys_is_another_cluster",
    ),
    # Settle
    Ablation(
        "no settling",
        "a change is answered before all keys are where they should be",
        (Edit(is_settled, "status.view == view_id and status.settled", "True"),),
    ),
)
