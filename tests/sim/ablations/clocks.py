"""What time is possible, and whether a process was away."""

from __future__ import annotations

from node.operations.router import Router
from node.timing.clock import HybridClock
from node.timing.pause_detector import PauseDetector
from node.timing.running import RunningTime
from node.timing.witnesses import Witnesses
from tests.sim.ablations.switch import Ablation, Edit

ABLATIONS = (
    Ablation(
        "no reach of the own clock",
        "a node stamps by a wall clock that is ahead of all others",
        (Edit(HybridClock._advance, "if wall_ms - monotonic_ms > witnesses.limit_ms:", "if False:"),),
        "test_clocks.py::test_clock_ahead_for_seconds_stamps_nothing_and_leaves_nothing_behind[31536000]",
    ),
    Ablation(
        "no reach of another clock",
        "the fastest wall clock is followed though no other one confirms it",
        (Edit(Witnesses.judge, "fastest_ms if is_within_reach else second_ms", "fastest_ms"),),
        "test_clocks.py::test_clock_ahead_for_seconds_stamps_nothing_and_leaves_nothing_behind[31536000]",
    ),
    Ablation(
        "no reach of readings",
        "every reading that is heard is taken over",
        (Edit(HybridClock.observe, "self._is_possible(reading)", "True"),),
        "test_clocks.py::test_clock_that_begins_ahead_takes_no_other_along",
    ),
    Ablation(
        "no time that was confirmed before",
        "a node that is alone believes its wall clock",
        (Edit(HybridClock._advance, "wall_ms = monotonic_ms + witnesses.confirmed_ms", "pass"),),
        "test_clocks.py::test_clock_ahead_in_a_cut_stamps_by_what_was_confirmed_before",
    ),
    Ablation(
        "no ceiling",
        "a stamp is given before anything is durable that a later life begins above",
        (
            Edit(HybridClock._next, "if stamp >= self._memory.ceiling:", "if False:"),
            Edit(HybridClock.stamp_here, "if stamp < self._memory.ceiling else None", ""),
        ),
        "../node/timing/test_clock.py::test_clock_restart_with_wall_set_back_stamps_above",
    ),
    Ablation(
        "no anchor",
        "a process that is started again knows nothing of the time that was confirmed before",
        (Edit(HybridClock._call_witnesses, 'self._boot_id == anchor.boot_id != ""', "False"),),
        "test_clocks.py::test_clock_started_again_wrong_and_alone_stamps_by_what_was_confirmed_before",
    ),
    Ablation(
        "no stamp above the context",
        "a write may have a lower version than what its client has seen of the key",
        (Edit(Router._write, "(seen := context.floor(hash_of(key))) >= version", '(seen := b"")'),),
        "test_clocks.py::test_clock_what_a_client_saw_stamped_ahead_is_passed_by_what_it_writes_later",
    ),
    Ablation(
        "no running time",
        "a peer is silent whose answer arrived while this process stood still for a moment",
        (Edit(RunningTime.now, "(now if now < self._due else self._due) - self._stood_s", "now"),),
        "test_network.py::test_network_answer_that_arrives_during_a_pause_of_its_asker_is_looked_at",
    ),
    Ablation(
        "no jump of the wall clock",
        "no pause is noticed by the wall clock, and the monotonic one may have stood still",
        (
            Edit(PauseDetector.note_running, "gap_s > self._limit_s or gap_s < 0", "False"),
            Edit(PauseDetector.compare, "jumped_s > self._limit_s", "False"),
        ),
        "test_clocks.py::test_suspended_machine_reads_nothing_stale_when_it_goes_on[stands still]",
    ),
)
