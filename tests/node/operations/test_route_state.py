"""Whom a client's operation is brought to next, and how that ends: each rule by name, and what holds in any case."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import PeerFault, PeerLost, PeerRefused
from node.net.messages import (
    Answer,
    Foreign,
    MayBeStored,
    NothingDeleted,
    ReadResult,
    Superseded,
    Taken,
    Unable,
    Unheard,
    Unmet,
    Unsatisfied,
    ViewIs,
    Wrote,
)
from node.operations.route_state import NOBODY, Answered, Ask, GivenUp, Greet, NextRound, RouteState, Step, in_order

A, B, C = "a:1", "b:1", "c:1"
V1, V2 = ViewId(1, 1), ViewId(2, 2)
CONFIG = Config(address=A, view=(A, B, C), data_dir=Path("/nowhere"))
NOW = 0.0
DEADLINE = NOW + CONFIG.request_s
REFUSED, LOST = PeerRefused("no connection"), PeerLost("reset")
NEWER, UNMET = Superseded(bytes(16)), Unmet(bytes(16))
RETRY = NextRound(CONFIG.retry_s)


def begun(*owners: Address, is_write: bool = True, down: Collection[Address] = ()) -> RouteState:
    """A route whose first owner has been asked."""
    route = RouteState(CONFIG, DEADLINE, is_write, down.__contains__)
    assert isinstance(route.begin(V1, owners, NOW), Ask)
    return route


def heard(route: RouteState, *answers: Answer | PeerFault) -> Step:
    """The step after these answers, which are heard at once and under the view of the round."""
    steps: list[Step] = []
    for answer in answers:
        assert not steps or isinstance(steps[-1], Ask)
        steps.append(route.hear(answer, route.view_id, NOW))
        route.check()
    return steps[-1]


# The order of the owners

ORDERS: list[tuple[str, bool, int, Collection[Address], Sequence[Address]]] = [
    ("this node first", True, 0, (), (B, C, A)),
    ("not ready, by its turn", False, 0, (), (A, B, C)),
    ("not ready, by another turn", False, 5, (), (C, A, B)),
    ("down last", True, 0, (C,), (B, A, C)),
    ("down last, by its turn", False, 2, (C, A), (B, C, A)),
    ("this node is not down", True, 0, (A, B, C), (B, C, A)),
]


@pytest.mark.parametrize(
    ("may_act", "turn", "down", "expected"), [case[1:] for case in ORDERS], ids=[case[0] for case in ORDERS]
)
def test_in_order(may_act: bool, turn: int, down: Collection[Address], expected: Sequence[Address]) -> None:
    assert list(in_order((A, B, C), B, may_act, turn, down.__contains__)) == list(expected)


def test_in_order_one_that_is_no_owner_by_its_turn() -> None:
    assert list(in_order((A, B), C, True, 3, lambda _: False)) == [B, A]


# One answer

ASK_NEXT = Ask(B, CONFIG.attempt_s, is_attempt=True)
ONE_ANSWER: list[tuple[str, Answer | PeerFault, Step]] = [
    ("found", ReadResult(b"1"), Answered(ReadResult(b"1"), A)),
    ("written", Wrote(True), Answered(Wrote(True), A)),
    ("nothing deleted", NothingDeleted(), Answered(NothingDeleted(), A)),
    ("superseded", NEWER, Answered(NEWER, A)),
    ("unmet", UNMET, Answered(UNMET, A)),
    ("unheard", Unheard((C,)), ASK_NEXT),
    ("unable", Unable(), ASK_NEXT),
    ("of another cluster", Foreign(), ASK_NEXT),
    ("no connection", REFUSED, ASK_NEXT),
    ("lost", LOST, ASK_NEXT),
    ("may be stored", MayBeStored(), ASK_NEXT),
    ("unsatisfied", Unsatisfied(), ASK_NEXT),
    ("another view", ViewIs(b""), Greet(A)),
    ("nonsense", Taken(), ASK_NEXT),
]
ids_of_one = [case[0] for case in ONE_ANSWER]


@pytest.mark.parametrize(("answer", "expected"), [case[1:] for case in ONE_ANSWER], ids=ids_of_one)
def test_hear_under_the_view_of_the_round(answer: Answer | PeerFault, expected: Step) -> None:
    assert heard(begun(A, B), answer) == expected


@pytest.mark.parametrize(("answer", "expected"), [case[1:] for case in ONE_ANSWER], ids=ids_of_one)
def test_hear_when_the_view_has_changed_begins_anew_unless_answered(answer: Answer | PeerFault, expected: Step) -> None:
    step = begun(A, B).hear(answer, V2, NOW)
    assert step == (expected if isinstance(expected, Answered) else NextRound())


# A round of two owners

ROUNDS: list[tuple[str, Sequence[Answer | PeerFault], Step]] = [
    ("all refuse", [Unable(), REFUSED], GivenUp()),
    ("all cannot hear somebody", [Unheard((C,)), Unheard((C,))], GivenUp()),
    ("refused, then unmet", [Unable(), UNMET], Answered(UNMET, B)),
    ("lost, then unmet", [LOST, UNMET], GivenUp()),
    ("may be stored, then unmet", [MayBeStored(), UNMET], GivenUp()),
    ("one refuses, one is lost", [Unable(), LOST], RETRY),
    ("one is lost, one refuses", [LOST, Foreign()], RETRY),
    ("both are lost", [LOST, LOST], RETRY),
    ("both may have it", [MayBeStored(), MayBeStored()], RETRY),
    ("both make no sense", [Taken(), Taken()], RETRY),
    ("refused, then superseded", [Unable(), NEWER], Answered(NEWER, B)),
    ("lost, then superseded", [LOST, NEWER], GivenUp()),
    ("may be stored, then superseded", [MayBeStored(), NEWER], GivenUp()),
    ("nonsense, then superseded", [Taken(), NEWER], GivenUp()),
    ("refused, then nothing deleted", [Unable(), NothingDeleted()], Answered(NothingDeleted(), B)),
    ("lost, then nothing deleted", [LOST, NothingDeleted()], Answered(NothingDeleted(), B)),
    ("unsatisfied, then superseded", [Unsatisfied(), NEWER], Answered(NEWER, B)),
    ("lost, then confirmed", [LOST, Wrote(False)], Answered(Wrote(False), B)),
    ("unsatisfied, then answered", [Unsatisfied(), ReadResult(None)], Answered(ReadResult(None), B)),
    ("unsatisfied, then refused", [Unsatisfied(), Unable()], Answered(Unsatisfied(), A)),
    ("refused, then unsatisfied", [Unable(), Unsatisfied()], Answered(Unsatisfied(), B)),
    ("both unsatisfied, the first is named", [Unsatisfied(), Unsatisfied()], Answered(Unsatisfied(), A)),
    ("unsatisfied, then lost", [Unsatisfied(), LOST], GivenUp()),
    ("lost, then unsatisfied", [LOST, Unsatisfied()], GivenUp()),
    ("refused, then another view", [Unable(), ViewIs(b"")], Greet(B)),
]


@pytest.mark.parametrize(("answers", "expected"), [case[1:] for case in ROUNDS], ids=[case[0] for case in ROUNDS])
def test_round_of_a_write(answers: Sequence[Answer | PeerFault], expected: Step) -> None:
    assert heard(begun(A, B), *answers) == expected


@pytest.mark.parametrize("answers", [[Unsatisfied(), LOST], [LOST, Unsatisfied()]], ids=["before", "after"])
def test_round_of_a_read_lost_at_one_owner_unsatisfied_at_the_other_is_so_answered(
    answers: Sequence[Answer | PeerFault],
) -> None:
    assert heard(begun(A, B, is_write=False), *answers) in (
        Answered(Unsatisfied(), A),
        Answered(Unsatisfied(), B),
    )


def test_round_unsatisfied_passes_over_whoever_is_down() -> None:
    assert heard(begun(A, B, C, down=[B]), Unsatisfied()) == Ask(C, CONFIG.attempt_s, is_attempt=True)
    assert heard(begun(A, B, down=[B]), Unsatisfied()) == Answered(Unsatisfied(), A)


def test_round_refused_does_not_pass_over_whoever_is_down() -> None:
    assert heard(begun(A, B, down=[B]), Unable()) == ASK_NEXT


# Several rounds


def test_rounds_superseded_or_unmet_after_it_was_lost_in_an_earlier_one() -> None:
    route = begun(A)
    assert heard(route, LOST) == RETRY
    for answer in (NEWER, UNMET):
        route.begin(V2, (B,), NOW)
        assert heard(route, answer) == GivenUp()


def test_rounds_superseded_after_a_refusal_in_an_earlier_one() -> None:
    route = begun(A)
    assert route.hear(Unable(), V2, NOW) == NextRound()
    route.begin(V2, (B,), NOW)
    assert heard(route, NEWER) == Answered(NEWER, B)


def test_rounds_a_refusal_or_an_unsatisfied_context_counts_for_its_own_only() -> None:
    for early in (Unable(), Unsatisfied()):
        route = begun(A, B)
        assert route.hear(early, V2, NOW) == NextRound()
        assert route.begin(V2, (A, B), NOW) == Ask(A, CONFIG.attempt_s, is_attempt=True)
        assert heard(route, Unable(), LOST) == RETRY


def test_rounds_greeting_changes_the_view() -> None:
    route = begun(A)
    assert heard(route, ViewIs(b"")) == Greet(A)
    assert route.greeted(V2, NOW) == NextRound()


def test_rounds_greeting_changes_nothing_here() -> None:
    route = begun(A, B)
    assert heard(route, Unable(), ViewIs(b"")) == Greet(B)
    assert route.greeted(V1, NOW) == RETRY


def test_rounds_greeting_after_an_unsatisfied_context() -> None:
    route = begun(A, B)
    assert heard(route, Unsatisfied(), ViewIs(b"")) == Greet(B)
    assert route.greeted(V1, NOW) == Answered(Unsatisfied(), A)


# Time


def test_time_an_only_owner_has_all_that_a_request_has() -> None:
    assert RouteState(CONFIG, DEADLINE, True, lambda _: False).begin(V1, (A,), NOW) == Ask(
        A, CONFIG.request_s, is_attempt=False
    )


def test_time_of_an_attempt_ends_with_that_of_the_request() -> None:
    route = begun(A, B)
    assert route.hear(Unable(), V1, DEADLINE - 0.25) == Ask(B, 0.25, is_attempt=True)


@pytest.mark.parametrize(
    ("left_s", "is_attempt"),
    [(CONFIG.request_s, False), (CONFIG.attempt_s + 0.001, False), (CONFIG.attempt_s, True), (0.25, True)],
)
def test_ask_an_only_owner_is_an_attempt_if_no_more_time_is_left_than_for_one(left_s: float, is_attempt: bool) -> None:
    asked = RouteState(CONFIG, left_s, True, lambda _: False).begin(V1, (A,), 0.0)
    assert asked == Ask(A, left_s, is_attempt)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([Unable()], GivenUp()), ([LOST], GivenUp()), ([Unsatisfied()], Answered(Unsatisfied(), A))],
    ids=["refused", "lost", "unsatisfied"],
)
def test_time_is_up_nobody_else_is_asked(answers: Sequence[Answer | PeerFault], expected: Step) -> None:
    assert begun(A, B).hear(answers[0], V1, DEADLINE) == expected


def test_time_is_up_no_round_is_begun() -> None:
    assert RouteState(CONFIG, NOW, True, lambda _: False).begin(V1, (A,), NOW) == GivenUp()


# Whatever the owners answer

HEARD = st.sampled_from([answer for _, answer, _ in ONE_ANSWER])
LASTS_S = st.sampled_from([0.0, 0.001, 0.1, CONFIG.attempt_s])
EVENTS = st.lists(st.tuples(HEARD, LASTS_S, st.booleans(), st.frozensets(st.sampled_from([A, B, C]))), max_size=40)


@given(EVENTS, st.permutations([A, B, C]), st.integers(1, 3), st.booleans())
def test_route_keeps_its_promises_whatever_is_heard(
    events: list[tuple[Answer | PeerFault, float, bool, frozenset[Address]]],
    addresses: list[Address],
    copies: int,
    is_write: bool,
) -> None:
    """It ends, or asks on: no owner twice in a round, nobody after the deadline. A write that may have been stored is
    never to be stamped anew, nor said to have been refused."""
    owners, now, view_id, down = addresses[:copies], NOW, V1, frozenset[Address]()
    route = RouteState(CONFIG, DEADLINE, is_write, lambda owner: owner in down)
    step, asked, may_be_stored = route.begin(view_id, owners, now), list[Address](), False
    for answer, lasts_s, view_changes, down_now in events:
        route.check()
        if isinstance(step, Answered | GivenUp):
            break
        began, down, now, view_id = now, down_now, now + lasts_s, ViewId(view_id.epoch + view_changes, 1)
        match step:
            case Ask(owner, limit_s, is_attempt):
                asked.append(owner)
                assert len(set(asked)) == len(asked) and asked[-1] in owners
                assert began < DEADLINE and 0 < limit_s <= DEADLINE - began
                assert is_attempt or len(owners) == 1, "the silence of one of several would be held against it"
                may_be_stored |= isinstance(answer, PeerLost | MayBeStored | Taken)
                step = route.hear(answer, view_id, now)
            case Greet(owner):
                assert owner == asked[-1]
                step = route.greeted(view_id, now)
            case NextRound(wait_s):
                asked, now = [], now + wait_s
                step = route.begin(view_id, owners, now)
    if isinstance(step, Answered):
        assert step.owner in asked
        assert not (isinstance(step.answer, Superseded | Unmet) and may_be_stored)
        assert not (isinstance(step.answer, Unsatisfied) and may_be_stored and is_write)


@given(st.lists(HEARD, min_size=1), st.integers(1, 3), st.floats(0.001, 0.5))
def test_route_ends_in_time_whatever_is_heard(answers: list[Answer | PeerFault], copies: int, lasts_s: float) -> None:
    """If each question takes a while, or each round its pause, then no more are asked than fit the time."""
    route, now, questions = RouteState(CONFIG, DEADLINE, True, lambda _: False), NOW, 0
    step = route.begin(V1, [A, B, C][:copies], now)
    while not isinstance(step, Answered | GivenUp):
        match step:
            case Ask():
                now += min(lasts_s, step.limit_s)
                step = route.hear(answers[questions % len(answers)], V1, now)
                questions += 1
            case Greet():
                step = route.greeted(V1, now)
            case NextRound():
                now += step.wait_s
                step = route.begin(V1, [A, B, C][:copies], now)
    assert now <= DEADLINE + CONFIG.retry_s and questions <= CONFIG.request_s / lasts_s + 2


# What people are told


def test_hint_names_the_owners_that_have_not_done_it_each_by_its_last_answer() -> None:
    route = begun(A, B, C)
    assert route.hint == ""
    heard(route, LOST, Unable(), MayBeStored())
    assert route.hint == "a:1 has not answered; b:1 cannot do it now; c:1 cannot tell whether it is done"
    route.begin(V1, (A, B, C), NOW)
    heard(route, REFUSED)
    assert route.hint == "a:1 cannot be reached; b:1 cannot do it now; c:1 cannot tell whether it is done"


def test_hint_says_nothing_of_those_that_are_no_owners_any_more() -> None:
    route = begun(A, B)
    heard(route, REFUSED)
    route.begin(V2, (B, C), NOW)
    assert route.hint == ""


AFTER_ANOTHER: list[tuple[Answer | PeerFault, Step]] = [
    (NEWER, GivenUp()),
    (UNMET, GivenUp()),
    (Wrote(False), Answered(Wrote(False), A)),
    (NothingDeleted(), Answered(NothingDeleted(), A)),
]


@pytest.mark.parametrize(("answer", "step"), AFTER_ANOTHER, ids=lambda case: type(case).__name__)
def test_round_of_a_write_that_may_have_been_stored_before_it_began(answer: Answer, step: Step) -> None:
    route = RouteState(CONFIG, DEADLINE, True, NOBODY.__contains__, may_be_stored=True)
    route.begin(V1, [A], NOW)
    assert heard(route, answer) == step
