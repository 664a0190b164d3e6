"""Keys that expire: when they are gone, and that they stay so."""

from __future__ import annotations

from node.operations.listing import OwnerListing
from node.retention.expiry import Expiry
from node.retention.tombstones import Tombstones
from node.storage import writes
from node.storage.expiries import Expiries
from node.storage.transaction import Transaction
from node.timing.clock import HybridClock
from node.timing.expiry_clock import ExpiryClock
from node.values.record import Record, is_forgotten
from tests.sim.ablations.switch import Ablation, Edit

OWNER = "../node/operations/test_owner_expiry.py::"
FOR_GOOD = "test_expired_for_good.py::"

ABLATIONS = (
    Ablation(
        "no expiry in writes",
        "what has expired, and was not swept, counts as live where something is put or deleted",
        (Edit(writes.write, "now_ms() if expires(held) else 0", "0"),),
        OWNER + "test_write_finds_nothing_where_a_donor_has_what_has_expired[put]",
    ),
    Ablation(
        "no expiry in reads",
        "a key that has expired is told until it is swept",
        (Edit(Record.is_live, " and (self.expires_ms is None or now_ms < self.expires_ms)", ""),),
        OWNER + "test_read_tells_how_long_there_is_something_to_read_and_then_nothing",
    ),
    Ablation(
        "no expiry in listings",
        "a key that has expired is listed until it is swept",
        (Edit(OwnerListing._merged, "is_live(record[1], now_ms)", "is_live(record[1], 0)"),),
        "../node/operations/test_listing.py::test_listing_tells_of_what_expires_while_it_is_there_and_how_long_that_is",
    ),
    Ablation(
        "no expiry of what others tell",
        "what is kept of another owner's record is kept without its time of expiry",
        (Edit(Record.encode, "self.expires_ms", "None"),),
        OWNER + "test_write_of_a_donor_takes_its_expiry_along",
    ),
    Ablation(
        "no second look before a sweep",
        "what was overwritten since a sweep found it is turned into a tombstone all the same",
        (Edit(Transaction.expire, " and due_of(held) == due_ms", ""),),
        "../node/storage/test_expiries.py::test_expiries_do_not_turn_what_was_overwritten_meanwhile[later0]",
    ),
    Ablation(
        "no forgetting of what was not swept",
        "what has expired is taken from others until a sweep has turned it, though it is forgotten here",
        (Edit(is_forgotten, "flags & (_TOMBSTONE | _EXPIRES)", "flags & _TOMBSTONE"),),
        "../node/storage/test_store.py::test_store_merge_takes_nothing_that_has_expired_and_is_to_be_forgotten",
    ),
    Ablation(
        "no regard for when it expired",
        "what expires is forgotten as soon as its version may be, be its time to come or not",
        (Edit(is_forgotten, "(not flags & _EXPIRES or reading_at(_expiry(encoded)) <= purge_watermark)", "True"),),
        "../node/storage/test_store.py::test_store_merge_takes_nothing_that_has_expired_and_is_to_be_forgotten",
    ),
    Ablation(
        "no wait for the sweep",
        "all is said to be forgotten though something that has expired was not turned into a tombstone",
        (Edit(Tombstones._sweep, "reading_at(next_ms) <= purge_watermark", "False"),),
        FOR_GOOD + "test_copy_that_has_yet_to_turn_what_has_expired_forgets_it_with_the_others",
    ),
    Ablation(
        "no second clock for keys",
        "keys expire by the fastest clock that is followed, be it that of one node alone",
        (Edit(HybridClock.agreed_ms, "not self._witnesses.has_heard", "True"),),
        "../node/timing/test_expiry_clock.py::test_one_wrong_clock_makes_no_key_vanish[one ahead by what is believed]",
    ),
    Ablation(
        "no standing still of the time for keys",
        "where the time is set back, a key that had expired, and was not swept, is there again",
        (Edit(ExpiryClock.now_ms, "return self._told_ms", "return now_ms"),),
        FOR_GOOD + "test_clock_that_is_set_back_brings_nothing_back_and_keeps_nothing_for_longer",
    ),
    Ablation(
        "no going on of the time for keys",
        "where the time was set back, keys do not expire until it has come again",
        (Edit(Expiry.sweep, "self._clock.note_turned(now_ms)", "pass"),),
        FOR_GOOD + "test_clock_that_is_set_back_brings_nothing_back_and_keeps_nothing_for_longer",
    ),
    Ablation(
        "no doubt in a clock that nobody confirms",
        "a node that has heard nobody since its machine was started throws away what has expired by its own clock",
        (Edit(ExpiryClock.is_sure, "self._clock.is_grounded or self._is_alone()", "True"),),
        FOR_GOOD + "test_node_that_boots_alone_a_year_ahead_throws_nothing_away",
    ),
    Ablation(
        "no sweep",
        "what has expired stays on disk, and is counted",
        (Edit(Expiries.due, "for place, _ in found", "for place, _ in []"),),
        "../node/retention/test_expiry.py::test_expired_key_is_turned_counted_no_more_and_told_to_nobody",
    ),
)
