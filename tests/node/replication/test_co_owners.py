"""What follows from all co-owners of a node together: who must be asked, compared with, waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import patch

import pytest

from node.net.messages import Answer, Heartbeat, HeartbeatAnswer
from node.replication import outbox
from node.replication.co_owners import CATCHES_UP_S, CoOwners, LeavingOut
from node.replication.peer_state import LeaseAnswer, PeerState
from tests.node.fakes.peers import THEIR_ID
from tests.node.parts import STORE_ID, A, B, C, D, Parts, node_a, on_virtual_time
from tests.node.replication.co_owner_answers import answered, state_of
from tests.node.samples import successor

GRANTED, OWING, REFUSED = (
    HeartbeatAnswer(STORE_ID, False, False, lease_granted, owing)
    for lease_granted, owing in ((True, False), (False, True), (False, False))
)


def ask(parts: Parts) -> Answer:
    return parts.heartbeats.answer(B, Heartbeat(THEIR_ID, False))


# Catching up


@on_virtual_time
async def test_catching_up_at_first_until_nobody_who_can_be_reached_brings_anything() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    assert not parts.co_owners.is_catching_up(), "who is down brings nothing"
    parts.co_owner(B)
    assert parts.co_owners.is_catching_up(), "nobody knows before B has answered"
    answered(parts, B, LeaseAnswer.OWING)
    assert parts.co_owners.is_catching_up()
    answered(parts, B, LeaseAnswer.REFUSED)
    assert not parts.co_owners.is_catching_up()


@on_virtual_time
async def test_catching_up_later_only_if_it_takes_long_and_after_a_pause_at_once_again() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    answered(parts, B, LeaseAnswer.GRANTED)
    answered(parts, B, LeaseAnswer.OWING)
    assert not parts.co_owners.is_catching_up(), "it may merely be compared"
    await asyncio.sleep(CATCHES_UP_S)
    assert parts.co_owners.is_catching_up()
    answered(parts, B, LeaseAnswer.GRANTED)
    assert not parts.co_owners.is_catching_up()
    parts.co_owners.drop_leases()
    answered(parts, B, LeaseAnswer.OWING)
    assert parts.co_owners.is_catching_up()


# Leases


@on_virtual_time
async def test_co_owners_unleased_are_those_whose_lease_was_asked_for_too_long_ago() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    answered(parts, B, LeaseAnswer.GRANTED, ago_s=0.3)
    answered(parts, C, LeaseAnswer.GRANTED, ago_s=0.1)
    assert list(parts.co_owners.unleased()) == []
    await asyncio.sleep(0.15)
    assert list(parts.co_owners.unleased()) == [B]
    await asyncio.sleep(0.2)
    assert sorted(parts.co_owners.unleased()) == [B, C]


@on_virtual_time
async def test_co_owners_of_an_older_disk_end_that_by_a_lease() -> None:
    parts, alone = await node_a(A, B, C, repl_factor=3), await node_a(A, B)
    assert parts.co_owners.note_behind() and not alone.co_owners.note_behind()
    assert parts.co_owners.is_behind and parts.co_owners.may_lack() and not alone.co_owners.is_behind
    answered(parts, B, LeaseAnswer.GRANTED, may_lack=True)
    assert parts.co_owners.is_behind
    assert answered(parts, C, LeaseAnswer.GRANTED)
    assert not parts.co_owners.is_behind and not parts.co_owners.may_lack()


@pytest.mark.parametrize(("nodes", "is_behind"), [((A, B), True), ((A, D), False), ((A,), False)])
@on_virtual_time
async def test_co_owners_of_an_older_disk_are_waited_for_while_one_is_in_the_view(
    nodes: tuple[str, ...], is_behind: bool
) -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owners.note_behind()
    await parts.views.adopt(successor(parts.views.current, *nodes), B)
    assert parts.co_owners.is_behind is is_behind


@pytest.mark.parametrize("lease", [LeaseAnswer.OWING, LeaseAnswer.REFUSED])
@on_virtual_time
async def test_co_owners_unleased_from_the_refusal_on(lease: LeaseAnswer) -> None:
    parts = await node_a(A, B, repl_factor=2)
    answered(parts, B, LeaseAnswer.GRANTED)
    answered(parts, B, lease)
    assert list(parts.co_owners.unleased()) == [B]


@on_virtual_time
async def test_co_owners_old_leases_end_after_the_last_was_heard() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    assert parts.co_owners.old_leases_end() == pytest.approx(parts.time.monotonic() + parts.config.lease_s, abs=0.01)
    for _ in range(2):
        await asyncio.sleep(1)
        answered(parts, B, LeaseAnswer.REFUSED)
    assert parts.co_owners.old_leases_end() == parts.time.monotonic() - 1 + parts.config.lease_s


# Silence


@on_virtual_time
async def test_silence_that_is_new_puts_the_others_out_of_step() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(C)
    parts.compare(B, C)
    assert not parts.co_owners.note_silence(state_of(parts, B)), "a lease of the view before may count"
    await asyncio.sleep(1)
    assert parts.co_owners.note_silence(state_of(parts, B))
    assert parts.co_owners.in_step() == [B]
    parts.compare(C)
    assert parts.co_owners.note_silence(state_of(parts, B))
    assert parts.co_owners.in_step() == [B, C]


@on_virtual_time
async def test_left_out_only_if_down_and_when_no_lease_can_count() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(C)
    down, up = state_of(parts, B), state_of(parts, C)
    assert not parts.co_owners.may_be_left_out(down)
    await asyncio.sleep(1)
    assert parts.co_owners.may_be_left_out(down) and not parts.co_owners.may_be_left_out(up)
    now = parts.time.monotonic()
    assert parts.co_owners.leave_out(up, now) is LeavingOut.NOT_POSSIBLE
    assert parts.co_owners.leave_out(down, now + 0.1) is LeavingOut.TOO_EARLY
    assert parts.co_owners.leave_out(down, now) is LeavingOut.DONE
    parts.compare(B)
    assert parts.heartbeats.answer(B, Heartbeat(THEIR_ID, False)) == GRANTED
    assert not parts.co_owners.may_be_left_out(down)
    assert parts.co_owners.leave_out(down, now) is LeavingOut.NOT_POSSIBLE


@on_virtual_time
async def test_left_out_stuck_is_as_good_as_down_and_no_news_to_the_others() -> None:
    """It goes on telling them what it has."""
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B), parts.co_owner(C)
    parts.compare(B, C)
    stuck = state_of(parts, B)
    assert parts.heartbeats.answer(B, Heartbeat(THEIR_ID, False)) == GRANTED
    stuck.become_stuck()
    assert not parts.co_owners.may_be_left_out(stuck), "its lease may count"
    await asyncio.sleep(parts.config.lease_s + 0.001)
    assert parts.co_owners.may_be_left_out(stuck)
    assert parts.co_owners.note_silence(stuck)
    assert parts.co_owners.in_step() == [B, C]


# Who has what


@on_virtual_time
async def test_marks_are_passed_once_all_that_was_there_is_confirmed() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    await parts.change(b"k")
    marks = parts.co_owners.marks()
    await parts.change(b"l")
    assert not parts.co_owners.have_passed(marks) and not parts.co_owners.is_everywhere(b"k")
    state_of(parts, B).confirm(1)
    assert parts.co_owners.have_passed(marks) and parts.co_owners.is_everywhere(b"k")
    parts.co_owners.distrust(B)
    assert not parts.co_owners.have_passed(marks) and not parts.co_owners.is_everywhere(b"k")


@on_virtual_time
async def test_marks_of_another_view_are_never_passed() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    marks, state = parts.co_owners.marks(), state_of(parts, B)
    await parts.views.adopt(successor(parts.views.current, A, B), B)
    parts.compare(B)
    assert not parts.co_owners.have_passed(marks) and not parts.co_owners.has(state)


# Whom to compare with


@on_virtual_time
async def test_comparison_is_due_with_who_is_out_of_step_and_can_be_reached() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    assert sorted(parts.co_owners.out_of_step()) == [B, C]
    async with parts.running():
        assert parts.co_owners.to_compare() == [], "nobody has said yet which store it is, nor what it is about to send"
        await asyncio.sleep(0.01)
        assert parts.co_owners.to_compare() == [B]
        parts.co_owner(C)
        parts.compare(B)
        await asyncio.sleep(2 * parts.config.heartbeat_s)
        assert parts.co_owners.to_compare() == [C]


@on_virtual_time
async def test_comparison_waits_for_what_the_co_owner_is_about_to_send() -> None:
    parts = await node_a(A, B, repl_factor=2)
    answer = OWING
    parts.peers.script[B] = lambda _: answer
    async with parts.running():
        await asyncio.sleep(0.01)
        assert parts.co_owners.to_compare() == []
        answer = GRANTED
        await asyncio.sleep(0.1)
        assert parts.co_owners.to_compare() == [B]


@on_virtual_time
async def test_comparison_waits_for_that_of_a_co_owner_that_has_forgotten_what_this_node_missed() -> None:
    """What is listed to one that has just got it is listed in vain."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    with patch.object(outbox, "ENTRIES_MAX", 1):
        await parts.change(b"k")
        await parts.change(b"l")
    assert ask(parts) == OWING
    state = parts.streams.begin_comparison(B)
    assert state is not None and ask(parts) == OWING
    parts.streams.end_comparison(state, has_arrived=False)
    assert ask(parts) == REFUSED, "who cannot bring what it has keeps nobody else from it"


@on_virtual_time
async def test_comparison_of_one_that_has_forgotten_waits_for_nobody() -> None:
    """Until it has begun, nothing that is written can be confirmed."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    parts.peers.script[B] = lambda _: OWING
    async with parts.running(parts.heartbeats.run()):
        await asyncio.sleep(0.01)
        with patch.object(outbox, "ENTRIES_MAX", 1):
            await parts.change(b"k")
            assert parts.co_owners.to_compare() == []
            await parts.change(b"l")
        assert parts.co_owners.to_compare() == [B]


# The check


def keep_a_stranger(co_owners: CoOwners) -> None:
    co_owners._states["x:1"] = PeerState("x:1", co_owners._since, 0.4, 0.1)


def lease_behind_its_back(co_owners: CoOwners) -> None:
    co_owners._states[B].drop_lease(0.0)


def forget_the_view_before(co_owners: CoOwners) -> None:
    co_owners._states[B]._granted_at = float("-inf")


def wait_though_filled(co_owners: CoOwners) -> None:
    co_owners._filling._wait_until = 1e9


@pytest.mark.parametrize("bend", [keep_a_stranger, lease_behind_its_back, forget_the_view_before, wait_though_filled])
def test_co_owners_check_notices(bend: Callable[[CoOwners], None]) -> None:
    @on_virtual_time
    async def run() -> None:
        parts = await node_a(A, B, repl_factor=2)
        answered(parts, B, LeaseAnswer.GRANTED)
        parts.co_owners.check()
        bend(parts.co_owners)
        with pytest.raises(AssertionError):
            parts.co_owners.check()

    run()
