"""Reads and writes at the owners of a key, while views stay what they are."""

from __future__ import annotations

from gossip.membership import Membership
from node.node import Node
from node.operations.inquiry import Inquiry
from node.operations.owner import Owner
from node.operations.route_state import RouteState
from node.operations.router import Router
from node.operations.routing import Routing
from node.replication.co_owners import CoOwners
from node.replication.peer_state import PeerState
from node.replication.streams import Streams
from node.storage import writes
from node.storage.identity import identify
from node.storage.stall import StallWatch
from node.views.calls import Calls
from node.views.readiness import Readiness
from node.views.takeover import take_over
from node.watching.spreading import Spreading
from tests.sim.ablations.switch import Ablation, Edit
from tests.sim.disk import SimEngine

PUT = "../node/operations/test_put.py::"

ABLATIONS = (
    Ablation(
        "no fsync before the answer",
        "a job's future resolves before its batch is durable",
        (
            Edit(
                SimEngine._run_batch,
                "self._under_way = commit\n",
                "self._under_way = commit\n    _resolve(commit.outcomes)\n",
            ),
        ),
    ),
    Ablation(
        "no view check on nodes' requests",
        "calls are acted on whatever view their sender holds",
        (
            Edit(
                Node.answer,
                "if view_id == self.views.view_id or request.any_view:",
                "view_id = self.views.view_id\n    if True:",
            ),
        ),
    ),
    Ablation(
        "no leases",
        "an owner always answers alone",
        (Edit(CoOwners.unleased, "if now < self._leased_until:", "if True:"),),
    ),
    Ablation(
        "no write-back of reads",
        "a read tells what has come here, whether the other owners have it or not",
        (Edit(CoOwners.has_spread, "self.is_on_all(key, version) or", "True or"),),
        "test_contention.py::test_contention_every_history_is_linearizable[2-2]",
    ),
    Ablation(
        "no second way around a comparison",
        "what is waited for when a comparison begins is confirmed by its end",
        (Edit(Streams.begin_comparison, "self._give_up(state)", "pass"),),
        "../node/replication/test_streams_acknowledging.py::"
        "test_write_in_flight_when_a_comparison_begins_waits_for_its_own_key_only",
    ),
    Ablation(
        "no restamping",
        "a write below what is held is acknowledged as it is",
        (
            Edit(
                Owner._write,
                "return Superseded(version)",
                "return Wrote(True)",
            ),
        ),
    ),
    Ablation(
        "no doubt about what was not heard",
        "a write that was sent, and not answered, is said not to have happened",
        (Edit(Routing.bring, "is_write and not route.may_be_stored", "is_write"),),
        "../node/operations/test_routing.py::test_routing_is_certain_of_a_write_that_all_have_refused[PeerLost-False]",
    ),
    Ablation(
        "no doubt about a commit that failed",
        "a write whose disk failed in the midst of it is said not to have happened",
        (
            Edit(
                Owner._write,
                "except CommitFailed:\n        return MayBeStored()",
                "except CommitFailed:\n        return Unable()",
            ),
            Edit(Router.go_on, "isinstance(fault, CommitFailed) or", ""),
        ),
        PUT + "test_put_on_a_disk_that_goes_on_failing_may_have_happened",
    ),
    Ablation(
        "no end of stamping anew",
        "a write that may have been stored is stamped anew, and may happen twice",
        (
            Edit(
                RouteState.hear,
                "GivenUp() if self.may_be_stored else Answered(heard, owner)",
                "Answered(heard, owner)",
            ),
        ),
        "../node/operations/test_route_state.py::test_round_of_a_write[lost, then superseded]",
    ),
    Ablation(
        "no lowest version",
        "a write at or below what was announced to be everywhere is taken",
        (Edit(writes.write, "held_version if held_version > lowest else lowest", "held_version"),),
        "../node/retention/test_stability.py::test_low_watermark_refuses_what_comes_after_it_and_not_what_came_before",
    ),
    Ablation(
        "no check of what comes into an outbox",
        "what belongs to others by now is brought to co-owners, which refuse it, and all behind it, for ever",
        (
            Edit(Streams.await_copies, "if not all(map(self.owns, keys)):", "if False:"),
            Edit(Spreading.spread, "not self._streams.owns(change.key)", "False"),
        ),
        "../node/watching/test_spreading.py::test_what_belongs_to_others_by_now_is_brought_to_nobody",
    ),
    Ablation(
        "no relay",
        "the others are not told of who is left out",
        (Edit(Streams.await_copies, "are_told = not left_out", "are_told = True"),),
        "../node/replication/test_streams_acknowledging.py::test_write_left_out_by_one_the_other_gets_it_again_relayed",
    ),
    Ablation(
        "no second relay",
        "who has been told of one that is left out is not told of the next one",
        (Edit(Streams.await_copies, "are_told = all(have)", "are_told = True"),),
        "../node/replication/test_streams_acknowledging.py"
        "::test_write_of_which_one_more_is_left_out_while_it_is_relayed_is_relayed_anew",
    ),
    Ablation(
        "no wait for old leases",
        "a write does not wait for the leases of an earlier owner that was passed over",
        (Edit(Owner._replicate, "if is_donor_silent:", "if False:"),),
        "../node/operations/test_owner_old_owners.py"
        "::test_write_of_an_owner_left_alone_waits_for_the_end_of_the_lease_that_it_gave_itself",
    ),
    Ablation(
        "no wait before leaving out while keys move",
        "a co-owner is left out at once though it may have a lease of an earlier owner",
        (Edit(Owner._write, "if self._views.donors.of(partition) else 0.0", "* 0.0"),),
        "../node/operations/test_owner_old_owners.py"
        "::test_write_while_keys_move_leaves_nobody_out_before_an_old_lease_has_ended",
    ),
    Ablation(
        "no comparing of the others",
        "what a co-owner that died has told some of the others only is not looked for",
        (Edit(CoOwners.note_silence, "self._links.is_down(state.address) and state.become_silent()", "False"),),
        "../node/replication/test_co_owners.py::test_silence_that_is_new_puts_the_others_out_of_step",
    ),
    Ablation(
        "no sync before serving",
        "a co-owner that was never compared with is granted a lease",
        (Edit(PeerState.has_all, "self.is_in_step and", ""),),
    ),
    Ablation(
        "no leaving out of who is stuck",
        "a co-owner whose disk takes nothing is waited for as long as its node can be reached",
        (Edit(CoOwners.is_out_of_reach, "state.is_stuck or ", ""),),
        "test_stuck_owners.py::test_stuck_owners_two_of_three_leave_the_third_to_write_alone",
    ),
    Ablation(
        "no end of leases before leaving out",
        "a co-owner is left out though a lease that it has may count",
        (Edit(CoOwners.may_be_left_out, " and not state.may_be_leased(self._time.monotonic())", ""),),
        "../node/replication/test_co_owners.py::test_left_out_stuck_is_as_good_as_down_and_no_news_to_the_others",
    ),
    Ablation(
        "no refusal of leases to who is stuck",
        "a co-owner whose disk takes nothing is granted leases",
        (Edit(PeerState.has_all, "and not self._is_stuck ", ""),),
        "../node/replication/test_peer_state.py"
        "::test_peer_state_stuck_gets_no_lease_and_is_not_told_that_anything_is_to_come",
    ),
    Ablation(
        "no refusal behind a commit that hangs",
        "what queues behind a commit that hangs is kept until it ends",
        (Edit(StallWatch._look, "self._refuse_queue()", "pass"),),
        "test_disk.py::test_disk_that_hangs_refuses_what_queues_behind_its_commit",
    ),
    Ablation(
        "no limit for keeping what is read",
        "a read waits until the disk has kept what another owner told",
        (Edit(Inquiry.newest, "self._config.keep_s", "1000.0"),),
        "../node/operations/test_owner_co_owners.py::test_read_waits_for_no_disk_that_hangs",
    ),
    Ablation(
        "no word of too many calls",
        "that a call was one too many counts as its peer's silence",
        (Edit(Calls.ask_patiently, "raise too_many", "return None"),),
        "../node/operations/test_owner_co_owners.py"
        "::test_read_that_finds_too_many_calls_under_way_says_nothing_about_who_was_not_asked",
    ),
    Ablation(
        "no doubt in older disks",
        "a process takes the store id that it finds on its disk, so it has what the one before it had confirmed",
        (
            Edit(
                identify,
                "store_id = rng.getrandbits(64)",
                "store_id = int.from_bytes(store.setting(Setting.STORE_ID) or rng.randbytes(8))",
            ),
        ),
        "test_older_disks.py::test_older_disk_is_not_believed",
    ),
    Ablation(
        "no silence while only others know",
        "a node whose disk is older than what it announced answers from it while its co-owners cannot be heard",
        (
            Edit(
                Owner._attempt,
                "if self._co_owners.is_behind and not self._is_co_owner_heard(sightings):",
                "if False:",
            ),
        ),
        "test_older_disks.py::test_older_disk_says_nothing_while_only_others_know_that_it_is_older[at once]",
    ),
    Ablation(
        "no memory of what was announced",
        "who hears of a new process at an address does not tell it what the one before it had announced",
        (Edit(Membership.predecessor, "if held.stable > record.stable", "if False"),),
        "test_older_disks.py::test_older_disk_says_nothing_while_only_others_know_that_it_is_older[at once]",
    ),
    Ablation(
        "no doubt in another node's disk",
        "a node takes what is in the directory of another one for what it should have itself",
        (Edit(identify, "is_moved = former != me", "is_moved = False"),),
        "test_mixed_up_disks.py::test_swapped_disk_does_not_deny_what_is_in_the_other_one",
    ),
    Ablation(
        "no donors after a mix-up",
        "a node that was started on the directory of another one asks nobody for what it should have",
        (
            Edit(take_over, "put=shares", "put={}"),
            Edit(take_over, "return Donors(shares)", "return Donors({})"),
        ),
        "test_mixed_up_disks.py::test_swapped_disk_does_not_deny_what_is_in_the_other_one",
    ),
    Ablation(
        "no asking around",
        "a node serves as soon as it has started, or goes on after a pause",
        (
            Edit(Readiness.is_ready, "self._has_asked.is_set()", "True"),
            Edit(Readiness.enter, "self._has_asked.is_set()", "True"),
        ),
    ),
    Ablation(
        "no co-owners on the short way",
        "a put is acknowledged by its commit alone though its key has other owners by now",
        (
            Edit(Owner.wrote_here, "are_copied or self._co_owners.is_alone", "True"),
            Edit(Owner.wrote_here, " or self._views.view_id != view_id", ""),
        ),
        PUT + "test_put_whose_key_has_co_owners_by_now_is_brought_to_them",
    ),
    Ablation(
        "no end of the short way in a pause",
        "an owner that was paused while it wrote acknowledges a put by its commit alone",
        (Edit(Owner.wrote_here, " or not self._readiness.enter()", ""),),
        PUT + "test_put_in_a_pause_is_not_acknowledged_before_this_node_may_act_and_never_stamped_anew",
    ),
    Ablation(
        "no silence on the short way",
        "a put is acknowledged as copied when nobody shall wait for its copies any longer",
        (Edit(Owner.wrote_here, "are_copied or self._co_owners.is_alone", "True"),),
        PUT + "test_put_whose_co_owner_is_silent_goes_on_under_its_version",
    ),
    Ablation(
        "no view on the short way",
        "a put is acknowledged without the co-owners of the view in which it was begun",
        (Edit(Owner.wrote_here, " or self._views.view_id != view_id", ""),),
        PUT + "test_put_for_which_a_co_owner_was_removed_is_not_acknowledged_without_it[stored]",
    ),
    Ablation(
        "no memory of what was stored on the short way",
        "a put that may be stored is stamped anew, and may happen twice",
        (Edit(Router.go_on, "isinstance(put.stored.result(), Written)", "False"),),
        PUT + "test_put_in_a_pause_is_not_acknowledged_before_this_node_may_act_and_never_stamped_anew",
    ),
)
