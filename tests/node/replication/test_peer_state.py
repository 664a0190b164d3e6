"""One co-owner as a node sees it: where the comparison stands, who may answer alone, and who may be left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from unittest.mock import patch

import pytest

from node.replication import outbox
from node.replication.peer_state import NEVER, Comparison, LeaseAnswer, PeerState

LEASE_S, OWING_S = 0.4, 0.1
SINCE, NOW = 10.0, 100.0
ID, OTHER_ID = 7, 8

Step = Callable[[PeerState], object]


@pytest.fixture
def small() -> Iterator[None]:
    with patch.object(outbox, "ENTRIES_MAX", 2):
        yield


def hear(state: PeerState) -> None:
    state.hear(ID, False, NOW)


def hear_another(state: PeerState) -> None:
    state.hear(OTHER_ID, False, NOW)


def begin(state: PeerState) -> None:
    state.become_comparing()


def arrive(state: PeerState) -> None:
    state.end_comparison(has_arrived=True)


def fail(state: PeerState) -> None:
    state.end_comparison(has_arrived=False)


def uncompare(state: PeerState) -> None:
    state.become_uncompared()


def write(state: PeerState) -> None:
    state.append(b"key", NOW)


def overflow(state: PeerState) -> None:
    for number in range(outbox.ENTRIES_MAX + 1):
        state.append(b"%d" % number, NOW)


def confirm(state: PeerState) -> None:
    state.confirm(state.outbox.position)


def leave_out(state: PeerState) -> None:
    state.leave_out()


def after(*steps: Step) -> PeerState:
    state = PeerState("b:1", SINCE, LEASE_S, OWING_S)
    for step in steps:
        step(state)
        state.check(NOW)
    return state


def lease(state: PeerState) -> None:
    state.become_leased(NOW, LEASE_S)


IN_STEP = (hear, begin, arrive)
LEASED = (*IN_STEP, lease)


@pytest.mark.parametrize(
    ("steps", "comparison", "lease"),
    [
        ((), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((hear,), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((hear, begin), Comparison.COMPARING, LeaseAnswer.OWING),
        ((hear, begin, fail), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        (IN_STEP, Comparison.IN_STEP, LeaseAnswer.GRANTED),
        ((*IN_STEP, hear), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        ((*IN_STEP, begin), Comparison.COMPARING, LeaseAnswer.OWING),
        ((*IN_STEP, uncompare), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((*IN_STEP, uncompare, begin, arrive), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        ((hear, begin, uncompare), Comparison.COMPARING, LeaseAnswer.OWING),
        ((hear, begin, uncompare, arrive), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        # Another store has come.
        ((hear, hear_another), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((*IN_STEP, hear_another), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((hear, begin, hear_another), Comparison.IN_VAIN, LeaseAnswer.OWING),
        ((hear, begin, hear_another, hear), Comparison.IN_VAIN, LeaseAnswer.OWING),
        ((hear, begin, hear_another, arrive), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((hear, begin, hear_another, arrive, begin, arrive), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        ((*IN_STEP, write, hear_another), Comparison.UNCOMPARED, LeaseAnswer.OWING),
        ((*IN_STEP, write, hear_another, confirm), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((*IN_STEP, write, hear_another, begin, arrive), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        # More was missed than the outbox remembers.
        ((*IN_STEP, overflow), Comparison.UNCOMPARED, LeaseAnswer.OWING),
        ((hear, begin, overflow), Comparison.IN_VAIN, LeaseAnswer.OWING),
        ((hear, begin, overflow, arrive), Comparison.UNCOMPARED, LeaseAnswer.OWING),
        ((hear, begin, overflow, arrive, begin, fail), Comparison.UNCOMPARED, LeaseAnswer.REFUSED),
        ((hear, begin, overflow, arrive, begin, arrive), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        # Something was acknowledged without it.
        ((*IN_STEP, write), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        ((*IN_STEP, write, leave_out), Comparison.IN_STEP, LeaseAnswer.OWING),
        ((*IN_STEP, write, leave_out, confirm), Comparison.IN_STEP, LeaseAnswer.GRANTED),
        ((*IN_STEP, write, leave_out, begin, arrive), Comparison.IN_STEP, LeaseAnswer.GRANTED),
    ],
    ids=lambda value: "-".join(step.__name__ for step in value) if isinstance(value, tuple) else value.name,
)
def test_peer_state_transitions(
    small: None, steps: tuple[Step, ...], comparison: Comparison, lease: LeaseAnswer
) -> None:
    state = after(*steps)
    assert state._comparison is comparison
    assert state.answer_question(NOW) is lease
    assert state.grant_ends_at == (NOW if lease is LeaseAnswer.GRANTED else SINCE) + LEASE_S
    state.check(NOW)


def test_peer_state_comparison_that_never_began_does_not_end() -> None:
    with pytest.raises(AssertionError):
        after(hear, arrive)


@pytest.mark.parametrize(("waited_s", "lease"), [(0.09, LeaseAnswer.GRANTED), (0.1, LeaseAnswer.OWING)])
def test_peer_state_no_lease_for_one_that_owes_a_confirmation_for_100_ms(waited_s: float, lease: LeaseAnswer) -> None:
    state = after(*IN_STEP, lambda state: state.append(b"key", 0.0))
    assert state.answer_question(waited_s) is lease


def test_peer_state_lease_counts_from_the_question() -> None:
    state = after(hear)
    assert state.leased_until == NEVER
    state.become_leased(NOW - 0.3, LEASE_S)
    assert state.leased_until == NOW - 0.3 + LEASE_S
    state.check(NOW)


@pytest.mark.parametrize(("theirs_s", "counts_s"), [(0.2, 0.2), (8.2, LEASE_S)])
def test_peer_state_lease_counts_for_no_longer_than_either_side_goes_by_it(theirs_s: float, counts_s: float) -> None:
    """They may have been made for round trips of another length."""
    state = after(hear, lambda state: state.become_leased(NOW, theirs_s))
    assert state.leased_until == NOW + counts_s


@pytest.mark.parametrize(
    "end",
    [lambda state: state.drop_lease(NOW), lambda state: state.become_unleased(False, NOW)],
    ids=["pause", "refusal"],
)
def test_peer_state_lease_ends_at_a_pause_and_with_a_refusal(end: Step) -> None:
    assert after(hear, lambda state: state.become_leased(NOW, LEASE_S), end).leased_until == NEVER


def test_peer_state_lease_that_was_given_may_count_until_it_has_ended() -> None:
    state = after(*IN_STEP)
    assert not state.may_be_leased(NOW)
    assert state.answer_question(NOW) is LeaseAnswer.GRANTED
    assert state.may_be_leased(NOW + LEASE_S) and not state.may_be_leased(NOW + LEASE_S + 0.001)


def test_peer_state_leases_of_the_view_before_may_count_until_they_have_ended() -> None:
    assert after().may_be_leased(SINCE + LEASE_S) and not after().may_be_leased(SINCE + LEASE_S + 0.001)


def test_peer_state_brings_from_when_it_first_said_so_until_it_says_otherwise() -> None:
    state = after(hear)
    assert state.bringing_s(NOW) == NOW - SINCE, "nobody knows before it has answered"
    state.become_leased(NOW, LEASE_S)
    assert state.bringing_s(NOW) == NEVER
    state.become_unleased(True, NOW)
    state.become_unleased(True, NOW + 1)
    assert state.bringing_s(NOW + 3) == 3
    state.become_unleased(False, NOW + 3)
    assert state.bringing_s(NOW + 3) == NEVER


def test_peer_state_silence_is_news_once() -> None:
    state = after(hear)
    assert [state.become_silent(), state.become_silent()] == [True, False]
    state.become_audible()
    assert state.become_silent()
    state.become_unleased(False, NOW)
    assert state.become_silent()


@pytest.mark.parametrize(
    ("steps", "is_due"),
    [
        ((), False),
        ((hear,), False),
        ((hear, lambda state: state.become_unleased(True, NOW)), False),
        ((hear, lambda state: state.become_unleased(False, NOW)), True),
        ((hear, lambda state: state.become_leased(NOW, LEASE_S)), True),
        ((hear, overflow), True),
        ((overflow,), False),
        (IN_STEP, False),
        ((*LEASED, write, hear_another), False),
        ((*LEASED, write, hear_another, confirm), True),
        ((*LEASED, write, hear_another, confirm, write), True),
        ((*LEASED, write, hear_another, overflow), True),
    ],
    ids=[
        "silent",
        "owing not known",
        "owed",
        "refused",
        "leased",
        "overflowed",
        "overflowed, store not known",
        "done",
        "started anew, and lacks what the stream brings",
        "started anew, and brought that",
        "started anew, and brought that, while more is written",
        "started anew, and lacks more than is remembered",
    ],
)
def test_peer_state_comparison_is_due(small: None, steps: tuple[Step, ...], is_due: bool) -> None:
    assert after(*steps).is_due is is_due


def test_peer_state_stuck_until_it_takes_something() -> None:
    stuck = (hear, PeerState.become_stuck)
    assert after(*stuck).is_stuck and after(*stuck, begin).is_stuck
    assert not after(*stuck, confirm).is_stuck
    for has_arrived in (False, True):
        state = after(*stuck, begin)
        state.end_comparison(has_arrived)
        assert state.is_stuck is not has_arrived


def test_peer_state_stuck_gets_no_lease_and_is_not_told_that_anything_is_to_come() -> None:
    """Told so, it would wait with what it has to bring itself."""
    assert after(*IN_STEP).answer_question(NOW) is LeaseAnswer.GRANTED
    assert after(*IN_STEP, PeerState.become_stuck).answer_question(NOW) is LeaseAnswer.REFUSED


def test_peer_state_first_heard_stays() -> None:
    state = after(hear, hear_another)
    state.hear(ID, True, NOW + 1)
    assert state.heard_at == NOW and state.is_empty


def test_peer_state_position_for_several_keys_is_that_of_the_last() -> None:
    state = after(*IN_STEP)
    first, second = state.append(b"a", NOW), state.append(b"b", NOW)
    assert state.position_for([b"b", b"a"], NOW) == second > first
    assert state.position_for([b"a", b"c"], NOW) == second + 1


# The check


def forget_what_is_compared(state: PeerState) -> None:
    overflow(state)
    state._comparison = Comparison.IN_STEP


def count_what_was_forgotten(state: PeerState) -> None:
    overflow(state)
    state._comparison = Comparison.COMPARING


def leave_out_what_is_to_come(state: PeerState) -> None:
    state._left_out_up_to = 1


def stream_first_what_is_to_come(state: PeerState) -> None:
    state._streamed_first = 1


def lease_from_a_stranger(state: PeerState) -> None:
    state._store_id, state._heard_at = None, NEVER
    state.become_leased(NOW, LEASE_S)


def grant_in_time_to_come(state: PeerState) -> None:
    state._granted_at = NOW + 1


@pytest.mark.parametrize(
    "bend",
    [
        forget_what_is_compared,
        count_what_was_forgotten,
        leave_out_what_is_to_come,
        stream_first_what_is_to_come,
        lease_from_a_stranger,
        grant_in_time_to_come,
    ],
)
def test_peer_state_check_notices(small: None, bend: Step) -> None:
    state = after(*IN_STEP)
    bend(state)
    with pytest.raises(AssertionError):
        state.check(NOW)
