"""Which request is repeated, at which node, when, and what is told of one that is given up: a table for each rule."""

from __future__ import annotations

import random

import pytest

from kvs.errors import KvsError, OutcomeUnknown, Unreachable
from kvs.repeating import PAUSE_S, PAUSE_S_MAX, Ask, Course, Effect, Failed, GiveUp, Patience, Pause, Step

NODES = ("a", "b")
NOW = 1000.0
PATIENCE = Patience(5.0, 2.5, None)
NOT_SENT, SENT = Failed("refused", sent=False), Failed("silent", sent=True)


def course(effect: Effect = Effect.NONE, patience: Patience = PATIENCE, node_s: float | None = None) -> Course:
    return Course(lambda: NODES, effect, patience, NOW, random.Random(7), node_s)


def given_up(step: Step) -> KvsError:
    assert isinstance(step, GiveUp), step
    return step.fault


@pytest.mark.parametrize(
    ("effect", "failure", "goes_on"),
    [
        (Effect.NONE, NOT_SENT, True),
        (Effect.NONE, SENT, True),
        (Effect.SAME, NOT_SENT, True),
        (Effect.SAME, SENT, True),
        (Effect.ONCE, NOT_SENT, True),
        (Effect.ONCE, SENT, False),
    ],
)
def test_course_goes_on_at_the_next_node_unless_it_may_have_happened_and_must_not_twice(
    effect: Effect, failure: Failed, goes_on: bool
) -> None:
    going = course(effect)
    assert going.step(NOW) == Ask("a", 2.5)
    going.failed("a", failure, NOW)
    step = going.step(NOW)
    assert step == Ask("b", 2.5) if goes_on else isinstance(given_up(step), OutcomeUnknown)


@pytest.mark.parametrize(
    ("effect", "failures", "fault"),
    [
        (Effect.NONE, (SENT, SENT), Unreachable),
        (Effect.SAME, (NOT_SENT, NOT_SENT), Unreachable),
        (Effect.SAME, (SENT, NOT_SENT), OutcomeUnknown),
        (Effect.ONCE, (NOT_SENT, NOT_SENT), Unreachable),
        (Effect.ONCE, (NOT_SENT, SENT), OutcomeUnknown),
    ],
)
def test_course_given_up_tells_whether_it_may_have_happened(
    effect: Effect, failures: tuple[Failed, Failed], fault: type[KvsError]
) -> None:
    going = course(effect, Patience(5.0, 2.5, 1))
    for failure in failures:
        step = going.step(NOW)
        assert isinstance(step, Ask)
        going.failed(step.node, failure, NOW)
    told = given_up(going.step(NOW))
    assert type(told) is fault
    assert vars(told) == {"reasons": {"a": failures[0].reason, "b": failures[1].reason}}


def all_fail(going: Course, now: float, failure: Failed = SENT) -> Step:
    """What comes after a round in which nobody answers."""
    step = going.step(now)
    while isinstance(step, Ask):
        going.failed(step.node, failure, now)
        step = going.step(now)
    return step


def test_course_pauses_before_all_are_asked_again_longer_each_time_up_to_a_bound() -> None:
    going = course(patience=Patience(1000.0, 2.5, None))
    bound = PAUSE_S
    for _ in range(10):
        step = all_fail(going, NOW)
        assert isinstance(step, Pause)
        assert bound / 2 <= step.seconds <= bound
        bound = min(2 * bound, PAUSE_S_MAX)


def test_course_pauses_by_chance_so_that_clients_do_not_come_back_together() -> None:
    pauses = {all_fail(Course(lambda: NODES, Effect.NONE, PATIENCE, NOW, random.Random(n)), NOW) for n in range(20)}
    assert len(pauses) == 20


def test_course_asks_nobody_again_before_the_time_that_a_node_asked_for() -> None:
    step = all_fail(course(), NOW, Failed("busy", sent=True, retry_after_s=2.0))
    assert isinstance(step, Pause) and 2.0 <= step.seconds <= 2.5


def test_course_node_that_asks_for_a_pause_does_not_hold_up_the_next_one() -> None:
    going = course()
    going.step(NOW)
    going.failed("a", Failed("busy", sent=True, retry_after_s=2.0), NOW)
    assert going.step(NOW) == Ask("b", 2.5)


def test_course_gives_up_at_once_where_a_pause_would_be_longer_than_the_time_left() -> None:
    assert isinstance(all_fail(course(), NOW, Failed("busy", sent=True, retry_after_s=60.0)), GiveUp)


@pytest.mark.parametrize(
    ("passed_s", "step"), [(0.0, Ask("a", 2.5)), (2.5, Ask("a", 2.5)), (4.0, Ask("a", 1.0)), (4.995, None), (6.0, None)]
)
def test_course_gives_a_node_no_more_time_than_is_left(passed_s: float, step: Ask | None) -> None:
    found = course().step(NOW + passed_s)
    assert found == step if step else isinstance(found, GiveUp)


def test_course_ends_after_its_rounds() -> None:
    assert isinstance(all_fail(course(patience=Patience(None, 2.5, 1)), NOW), GiveUp)
    going = course(patience=Patience(None, 2.5, 2))
    assert isinstance(all_fail(going, NOW), Pause)
    assert isinstance(all_fail(going, NOW), GiveUp)


def test_course_has_the_time_that_a_request_takes_by_itself() -> None:
    assert course(patience=Patience(None, 2.5, 1), node_s=10.0).step(NOW) == Ask("a", 10.0)
    assert course(patience=Patience(None, 2.5, 1), node_s=float("inf")).step(NOW) == Ask("a", None)
    assert course(node_s=10.0).step(NOW) == Ask("a", 5.0)


def test_course_asks_anew_whom_to_ask_in_each_round() -> None:
    rounds = iter([("a",), ("b",)])
    going = Course(lambda: next(rounds), Effect.NONE, PATIENCE, NOW, random.Random(7))
    assert isinstance(all_fail(going, NOW), Pause)
    assert going.step(NOW + 1) == Ask("b", 2.5)


def test_patience_is_greater_with_an_operation_among_many() -> None:
    assert Patience(5.0, 2.5, None).for_many() == Patience(10.0, 5.0, None)
    assert Patience(None, 2.5, 1).for_many() == Patience(None, 5.0, 1)
