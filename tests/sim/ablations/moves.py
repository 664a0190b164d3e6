"""Donors, and keys on their way to new owners."""

from __future__ import annotations

from node.node import Node
from node.operations import key_order, listing, partition_order, sightings
from node.operations.export_progress import Progress
from node.operations.exporting import Exporter, _Export
from node.operations.shard_inquiry import ShardInquiry
from node.repair import holdings
from node.repair.arrivals import Arrivals
from node.repair.transfer import Transfers
from node.replication.co_owners import CoOwners
from node.values.donors import Donors
from node.views import plan
from node.views.holder import Views
from ring import placement
from tests.sim.ablations.switch import Ablation, Edit

ABLATIONS = (
    # Who is asked
    Ablation(
        "no asking of donors",
        "a new owner answers from what it has",
        (Edit(Donors.of, "if not self._shares:", "if True:"),),
    ),
    Ablation(
        "no silent donors",
        "an earlier owner that was silent while the view was made is not named as a donor",
        (
            Edit(
                plan.plan_change,
                "if gains or source not in owners:",
                "if source in answered and (gains or source not in owners):",
            ),
        ),
        "../node/views/test_plan.py::test_plan_removed_node_that_was_silent_is_asked_all_the_same",
    ),
    Ablation(
        "no new dial to donors",
        "a donor that has just come up is passed over by who has found it down before the view came",
        (Edit(Node._view_changed, "self.transport.dial_anew(donor)", "pass"),),
        "test_moves.py::test_earlier_owner_that_has_just_come_up_is_asked_by_one_that_has_found_it_down[0.0]",
    ),
    Ablation(
        "no donors of donors",
        "what earlier owners were still waiting for is not asked for",
        (Edit(plan.plan_change, "_awaited_by(source, answered) for source in sources", "set() for _ in sources"),),
        "test_moves.py::test_what_a_dead_owner_was_still_to_get_is_asked_of_those_who_have_it",
    ),
    Ablation(
        "no donors on disk",
        "the donors that come with a view are kept in memory only",
        (Edit(Views._adopt, "transaction.change_donors(change)", "pass"),),
    ),
    # What their answers are worth
    Ablation(
        "no 503 for a silent donor",
        "a silent donor inside the view is passed over",
        (
            Edit(
                sightings._is_complete,
                "donor in silent and donor not in asker.nodes",
                "donor in silent",
            ),
        ),
        "test_onlooker.py::test_onlooker_new_owner_that_could_ask_nobody_must_not_deny_a_key[as it is]",
    ),
    Ablation(
        "no doubt in answers of emptied disks",
        "a node that may lack something is believed when it says that it holds nothing of a key",
        (Edit(sightings._tells, "(answer.record is not None or not answer.may_lack)", "True"),),
        "test_moves.py::test_answer_of_an_emptied_copy_is_not_taken_for_that_of_a_full_one",
    ),
    Ablation(
        "no doubt in what emptied disks bring",
        "a donor that may lack something covers the other copies once it has brought what it has",
        (
            Edit(Arrivals._take, "covers=covers", "covers=True"),
            Edit(holdings.change_by_holding, "covers=not may_lack", "covers=True"),
        ),
        "test_emptied_disks.py::test_emptied_copy_is_not_taken_for_a_full_one_by_new_owners_that_lack_nothing",
    ),
    Ablation(
        "no lack outside the view",
        "an emptied node outside the view does not say that it may lack something",
        (Edit(CoOwners.may_lack, "is_outside or not all", "not all"),),
        "test_emptied_disks.py::test_emptied_copy_is_not_taken_for_a_full_one_by_new_owners_that_lack_nothing",
    ),
    Ablation(
        "no waiting to be filled",
        "a node with an emptied disk says at once that what it does not find does not exist",
        (Edit(CoOwners.is_waiting_to_be_filled, "bool(self._states) and", "False and"),),
        "test_purge.py::test_owner_with_an_emptied_disk_does_not_know_what_does_not_exist[False]",
    ),
    # What may be forgotten
    Ablation(
        "delete before the owner has it",
        "a donor drops what it is about to bring",
        (
            Edit(
                Transfers._bring_chunk,
                "for place, peer in enumerate(peers):",
                "batches = list(self._batches(chunk))\n"
                "    for batch in batches if forget else ():\n"
                "        versions = [(partition_of(key), key, version_of(record)) for key, record in batch.records]\n"
                "        await self._store.drop(view_id, versions)\n"
                "    for place, peer in enumerate(peers):",
            ),
            Edit(Transfers._bring_chunk, "self._batches(read)", "batches"),
        ),
    ),
    Ablation(
        "no keeping until the factor is met",
        "a source forgets what one new owner has",
        (Edit(holdings.copies_needed, "min(len(owners), repl_factor or 1)", "1"),),
        "test_moves.py::test_sources_keep_their_copies_until_the_factor_is_met",
    ),
    # When it is over
    Ablation(
        "no waiting for donors",
        "a node that has not heard its donors has settled",
        (Edit(holdings.is_settled, "any(donor in members or not is_down(donor) for donor in donors)", "False"),),
        "test_moves.py::test_change_waits_for_an_owner_that_is_down_and_still_in_the_view",
    ),
    Ablation(
        "no zones",
        "nodes are dealt to shards as if each failed by itself",
        (
            Edit(
                placement.next_placement,
                "if crowded([zone_of[address] for address in shard] for shard in shards):",
                "if False:",
            ),
        ),
        "test_zones.py::test_host_with_two_nodes_is_lost_and_no_key",
    ),
    # Listing
    Ablation(
        "no asking before listing",
        "an owner lists what it has, whoever has yet to bring something",
        (Edit(ShardInquiry._not_synced_with, "return {", "return set() and {"),),
        "test_listing.py::test_listing_while_keys_move_tells_each_key_once[1-None]",
    ),
    Ablation(
        "no view check of what is listed",
        "what an owner lists counts for the view under which it was asked, whichever is in force by then",
        (
            Edit(
                ShardInquiry.carry_out,
                "if self._views.view_id != view_id or",
                "view_id = self._views.view_id\n        if",
            ),
        ),
        "test_listing.py::test_listing_while_donors_take_their_time_tells_each_key_once[4]",
    ),
    Ablation(
        "no view check of what donors list",
        "what a donor lists counts though it may have handed over to later owners meanwhile",
        (Edit(ShardInquiry.answer, "if self._views.view_id != view_id:", "if False:"),),
        "../node/operations/test_listing.py::test_listing_counts_for_the_view_at_its_begin[donor]",
    ),
    Ablation(
        "no end of a page with the first of its owners",
        "a page holds all that was told, though one owner may have more that comes before it",
        (Edit(listing._joined, "if end is not None", "if False"),),
        "test_listing.py::test_listing_page_that_is_full_for_one_owner_ends_there",
    ),
    Ablation(
        "no look at what has changed since it was read ahead",
        "a page believes what the page before has read of a partition, whatever came there since",
        (Edit(key_order.Merge.go_on, "is not figures[number]", "is None"),),
        "test_listing.py::test_listing_while_donors_take_their_time_tells_each_key_once[1]",
    ),
    # Export
    Ablation(
        "no asking before exporting",
        "an owner exports what it has, whoever has yet to bring something",
        (Edit(ShardInquiry._not_synced_with, "return {", "return set() and {"),),
        "test_exporting.py::test_exporting_while_keys_move_tells_each_key_once[1-None]",
    ),
    Ablation(
        "no view check of what is exported",
        "what an owner exports counts for the view under which it was asked, whichever is in force by then",
        (
            Edit(
                ShardInquiry.carry_out,
                "if self._views.view_id != view_id or",
                "view_id = self._views.view_id\n        if",
            ),
            Edit(Exporter._ask, "if self._views.view_id != view_id:", "if False:"),
        ),
        "test_exporting.py::test_exporting_while_keys_move_tells_each_key_once[1-None]",
    ),
    Ablation(
        "no view check of what donors export",
        "what a donor tells who exports counts though it may have handed over to later owners meanwhile",
        (Edit(ShardInquiry.answer, "if self._views.view_id != view_id:", "if False:"),),
        "../node/operations/test_exporting.py::test_export_counts_for_the_view_at_its_begin[donor]",
    ),
    Ablation(
        "no partitions that are told in part",
        "an export that goes on begins with the first key of each partition that was not told wholly",
        (Edit(Progress.jobs, "_bit(end), end)", "_bit(end))"),),
        "test_exporting.py::test_exporting_while_keys_move_tells_each_key_once[1-None]",
    ),
    Ablation(
        "no end of a block with the first of those who were asked",
        "a block says that all is told that its owner has told, though a donor may have more that comes before it",
        (Edit(partition_order.first_end, "min((end", "max((end"),),
        "test_exporting.py::test_exporting_while_donors_take_their_time_tells_each_key_once[1]",
    ),
    Ablation(
        "no waiting with the cursor for its lines",
        "a block that the client did not take counts for the cursors of later ones",
        (Edit(_Export.take, "if lines:", "self.progress = progress\n        if lines:"),),
        "test_exporting.py::test_exporting_while_keys_move_tells_each_key_once[1-None]",
    ),
)
