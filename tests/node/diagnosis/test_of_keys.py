"""Keys without a live owner, with too few copies, and on which nobody can decide: tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from gossip.view import Address, Electors, Former, View
from node.diagnosis import of_keys
from node.diagnosis.survey import Problem, Seen, Severity, Survey
from node.diagnosis.wording import UNDO
from tests.node.diagnosis.surveys import ALONE, DOWN, KEYS, PAIRS, ill, status, survey_of, up
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D, environment

Rule = Callable[[Survey], Iterator[Problem]]
LATER = successor(PAIRS, A, B, C, D)
E = "e:1"


@pytest.mark.parametrize(
    ("view", "down", "lost"),
    [
        (ALONE, "", ()),
        (ALONE, "b", (B,)),
        (ALONE, "bcd", (B, C, D)),
        (PAIRS, "b", ()),
        (PAIRS, "bd", ()),
        (PAIRS, "cd", (C, D)),
        (PAIRS, "bcd", (C, D)),
    ],
)
def test_without_owner_are_keys_of_shards_all_of_whose_nodes_are_down(
    view: View, down: str, lost: tuple[Address, ...]
) -> None:
    problems = list(of_keys.without_owner(survey_of(view, down=down)))
    assert [problem.nodes for problem in problems] == ([lost] if lost else [])


def test_without_owner_tells_how_many_keys_of_which_shards_and_what_to_do() -> None:
    (problem,) = of_keys.without_owner(survey_of(ALONE, down="b"))
    assert problem == Problem(
        "keys-without-owner",
        Severity.CRITICAL,
        f"25% of the key space (shard 2) has no live owner: {B} is the only owner of these keys (10 when it was last "
        "heard, perhaps more by now); requests for them get a 503, and so does whatever goes over all keys: listings, "
        f"exports, backups; this follows from {B} being out of reach",
        "as for node-down",
        (B,),
        KEYS,
        7.0,
    )
    (problem,) = of_keys.without_owner(survey_of(PAIRS, down="cd"))
    assert problem.what.startswith(
        f"50% of the key space (shard 2) has no owner that {A} reaches: {C}, {D} are the only owners of these keys (10 "
        "when they were last heard, perhaps more by now)"
    )


def test_without_owner_sends_nobody_to_start_a_node_that_runs_and_is_turned_away() -> None:
    refused = DOWN._replace(why_refused="it shows no certificate")
    (problem,) = of_keys.without_owner(survey_of(ALONE, {B: refused}, "c"))
    assert problem.do == "as for turned-away, node-down"


def test_without_owner_never_takes_none_heard_for_none_there() -> None:
    (problem,) = of_keys.without_owner(survey_of(ALONE, {B: DOWN._replace(keys=0)}))
    assert f"{B} is the only owner of these keys (how many is not known);" in problem.what and problem.keys == 0


def test_without_owner_is_what_belongs_to_a_node_that_serves_nothing() -> None:
    (problem,) = of_keys.without_owner(survey_of(ALONE, {B: ill(ALONE, unstored_ms=5)}))
    assert problem.nodes == (B,) and problem.do == "as for view-not-stored"
    assert f"{B} is the only owner of these 10 keys;" in problem.what


def test_without_owner_is_to_be_mended_as_what_is_wrong_with_each_of_these_nodes() -> None:
    (problem,) = of_keys.without_owner(survey_of(ALONE, {B: ill(ALONE, unstored_ms=5), C: Seen(is_foreign=True)}, "d"))
    assert problem.nodes == (B, C, D) and problem.do == "as for view-not-stored, foreign-node, node-down"


def test_without_owner_because_of_who_was_just_taken_in_ends_with_taking_the_change_back() -> None:
    grown = msgspec.structs.replace(successor(ALONE, A, B, C, D, E), former=(Former(ALONE.id, None, ALONE.shards),))
    seen = {A: up(grown, handing="e"), E: DOWN}
    (problem,) = of_keys.without_owner(survey_of(grown, seen))
    assert problem.nodes == (E,) and problem.do == f"{UNDO}; or as for node-down"


@pytest.mark.parametrize(
    ("view", "seen", "down", "lacking"),
    [
        (PAIRS, {}, "", ()),
        (ALONE, {}, "b", ()),
        (ALONE, {B: up(ALONE, full=True)}, "", ()),
        (PAIRS, {}, "b", (B,)),
        (PAIRS, {}, "bd", (B, D)),
        (PAIRS, {}, "cd", ()),
        (PAIRS, {B: up(PAIRS, may_lack=True)}, "", (B,)),
        (PAIRS, {B: up(PAIRS, full=True)}, "", (B,)),
        (PAIRS, {B: ill(PAIRS, full_ms=1)}, "", (B,)),
        (PAIRS, {B: ill(PAIRS, hung_ms=1)}, "", (B,)),
        (PAIRS, {B: ill(PAIRS, unstored_ms=1)}, "", (B,)),
        (PAIRS, {B: up(LATER)}, "", (B,)),
        (environment(A, B, C, repl_factor=2), {}, "c", ()),
        (environment(A, B, C, repl_factor=2), {}, "bc", (B, C)),
    ],
    ids=[
        "all are there",
        "one copy is all there are",
        "and it takes nothing",
        "one is down",
        "of each shard one is down",
        "nobody is left",
        "one is being filled",
        "one is full",
        "one says that it is full",
        "one hangs",
        "one serves nothing",
        "one holds another view",
        "a spare copy is down",
        "two of three are down",
    ],
)
def test_fewer_copies_than_asked(
    view: View, seen: dict[Address, Seen], down: str, lacking: tuple[Address, ...]
) -> None:
    problems = list(of_keys.with_fewer_copies(survey_of(view, seen, down)))
    assert [problem.nodes for problem in problems] == ([lacking] if lacking else [])


@pytest.mark.parametrize(
    ("seen", "down", "do"),
    [
        ({}, "b", "as for node-down"),
        ({B: up(PAIRS, full=True)}, "", "as for disk-full"),
        ({B: ill(PAIRS, hung_ms=1)}, "", "as for disk-hangs"),
        ({B: up(PAIRS, may_lack=True)}, "", "wait until they have caught up"),
    ],
)
def test_fewer_copies_says_what_to_do_about_it(seen: dict[Address, Seen], down: str, do: str) -> None:
    (problem,) = of_keys.with_fewer_copies(survey_of(PAIRS, seen, down))
    assert problem.what.startswith("10 keys (shard 1) have 1 of 2 copies that are whole") and problem.keys == KEYS
    assert problem.do.startswith(do) and problem.severity is Severity.WARNING


def test_fewer_copies_say_from_what_they_follow_and_what_that_is_to_clients() -> None:
    (problem,) = of_keys.with_fewer_copies(survey_of(PAIRS, {D: up(PAIRS, may_lack=True)}, "b"))
    assert problem.what.endswith(
        f": this follows from {B} being out of reach, and {D} lacks what was written; through every node that "
        "answers clients read and write them all the same; a node out of reach that runs takes plain writes of them "
        "too: each side reads its own, and the newer write holds once they meet"
    )
    assert problem.do == "as for node-down"


@pytest.mark.parametrize("seen", [ill(PAIRS, hung_ms=1), up(PAIRS, may_lack=True), Seen(is_foreign=True)])
def test_fewer_copies_are_written_apart_by_nobody_where_no_node_of_the_store_is_out_of_reach(seen: Seen) -> None:
    (problem,) = of_keys.with_fewer_copies(survey_of(PAIRS, {B: seen}))
    assert problem.what.endswith("; through every node that answers clients read and write them all the same")


def test_keys_of_a_copy_that_is_being_filled_are_at_least_so_many() -> None:
    (problem,) = of_keys.with_fewer_copies(survey_of(PAIRS, {A: up(PAIRS, may_lack=True)}, "b"))
    assert problem.what.startswith("at least 10 keys (shard 1)")


def test_keys_of_a_shard_to_which_more_are_on_their_way_are_at_least_so_many() -> None:
    (problem,) = of_keys.with_fewer_copies(survey_of(PAIRS, {C: up(PAIRS, handing="a")}, "b"))
    assert problem.what.startswith("at least 10 keys (shard 1)")


def test_fewer_copies_may_be_none() -> None:
    both = {node: up(PAIRS, full=True) for node in (A, B)}
    (problem,) = of_keys.with_fewer_copies(survey_of(PAIRS, both))
    assert "have none of 2 copies" in problem.what and "clients" not in problem.what


def test_waiting_for_copies_are_keys_that_earlier_owners_keep() -> None:
    assert not list(of_keys.waiting_for_copies(survey_of(PAIRS)))
    kept = {C: up(PAIRS)._replace(kept=5), D: up(PAIRS)._replace(kept=1)}
    (problem,) = of_keys.waiting_for_copies(survey_of(PAIRS, kept, "b"))
    assert (problem.nodes, problem.keys, problem.do) == ((C, D), 6, "as for node-down")
    assert problem.what.endswith(f"a copy: this stands still, which follows from {B} being out of reach")
    (problem,) = of_keys.waiting_for_copies(survey_of(PAIRS, kept | {B: ill(PAIRS, hung_ms=1)}))
    assert problem.what.endswith(f"{B} taking nothing, as the disk hangs") and problem.do == "as for disk-hangs"
    (problem,) = of_keys.waiting_for_copies(survey_of(PAIRS, kept))
    assert problem.do == "wait: copies are made"


@pytest.mark.parametrize(
    ("view", "seen", "down", "undecided", "missing", "keys"),
    [
        (PAIRS, {}, "", (), (), 0),
        (ALONE, {}, "b", (), (), 0),
        (ALONE, {}, "cd", (), (), 0),
        (ALONE, {}, "bcd", (), (B, C, D), KEYS),
        (PAIRS, {}, "b", (), (B,), KEYS),
        (PAIRS, {B: up(PAIRS, full=True)}, "", (), (B,), KEYS),
        (PAIRS, {}, "cd", (), (), 0),
        (PAIRS, {}, "", ("e:1",), ("e:1",), 2 * KEYS),
        (PAIRS, {A: up(PAIRS, waiting="e")}, "", (), ("e:1",), KEYS),
        (PAIRS, {A: up(PAIRS, waiting="e"), "e:1": up(PAIRS)}, "", (), (), 0),
        (PAIRS, {B: up(LATER), C: up(LATER), D: up(LATER)}, "", (), (B, C, D), 2 * KEYS),
    ],
    ids=[
        "all are there",
        "half of two, and the lowest, are most",
        "one copy each, and most are there",
        "one of four",
        "a co-owner is down",
        "a co-owner takes nothing",
        "nobody is left who could decide anything",
        "the view is not established",
        "an earlier owner cannot be heard",
        "an earlier owner can be",
        "most hold another view",
    ],
)
def test_undecided_are_conditions_of_keys_somebody_of_whom_is_missing(
    view: View,
    seen: dict[Address, Seen],
    down: str,
    undecided: tuple[Address, ...],
    missing: tuple[Address, ...],
    keys: int,
) -> None:
    problems = list(of_keys.undecided(survey_of(view, seen, down, undecided=undecided)))
    assert [(problem.nodes, problem.keys) for problem in problems] == ([(missing, keys)] if missing else [])


def test_undecided_is_nothing_because_of_those_that_were_given_up() -> None:
    view = msgspec.structs.replace(LATER, absent=("e:1",), electors=(Electors(PAIRS.id, (A, B, C, D)),))
    assert not list(of_keys.undecided(survey_of(view, {A: up(view, waiting="e")})))


VOUCH = "if nobody is served under another view than this, and never will be: kvs view-change --gone-for-good"


@pytest.mark.parametrize(
    ("seen", "down", "undecided", "do"),
    [
        ({}, "b", (), "as for node-down"),
        ({}, "", ("e:1",), f"start e:1 again, with its disk; or, {VOUCH}"),
        ({A: up(PAIRS, waiting="e")}, "", (), f"start e:1 again, with its disk; or, {VOUCH}"),
        ({}, "", (A,), VOUCH),
        ({B: up(PAIRS, full=True)}, "", (), "as for disk-full"),
        (
            {node: up(LATER) for node in (B, C, D)},
            "",
            (),
            f"see what else is wrong with {B}, {C}, {D}; or take them out",
        ),
    ],
    ids=[
        "an owner is down",
        "an elector is",
        "a donor is",
        "nobody can establish the view",
        "a disk takes nothing",
        "most hold another view",
    ],
)
def test_undecided_says_what_to_do_about_it(
    seen: dict[Address, Seen], down: str, undecided: tuple[Address, ...], do: str
) -> None:
    (problem,) = of_keys.undecided(survey_of(PAIRS, seen, down, undecided=undecided))
    assert problem.do.startswith(do)


def test_undecided_says_from_what_it_follows_and_that_all_else_goes_on() -> None:
    (problem,) = of_keys.undecided(survey_of(PAIRS, {B: ill(PAIRS, hung_ms=1)}))
    assert problem.what == (
        "conditions (If-Match, If-None-Match, locks) on 10 keys are decided by nobody, and get a 503: this follows "
        f"from {B} taking nothing, as the disk hangs; without conditions, clients read and write them all the same"
    )
    both = {node: up(PAIRS, full=True) for node in (A, B)}
    (problem,) = of_keys.undecided(survey_of(PAIRS, both))
    assert "clients" not in problem.what, "they cannot write"


@pytest.mark.parametrize(
    ("view", "down", "is_told"),
    [
        (ALONE, "b", False),
        (ALONE, "bc", True),
        (ALONE, "bcd", True),
        (environment(A, B), "b", False),
        (environment(A, B, C), "b", False),
        (environment(A, B, C), "bc", True),
    ],
)
def test_minority_is_who_reaches_no_more_than_half(view: View, down: str, is_told: bool) -> None:
    problems = list(of_keys.minority(survey_of(view, down=down)))
    assert bool(problems) == is_told
    if problems:
        assert f"a:1 reaches {len(view.nodes) - len(down)} of the {len(view.nodes)} nodes" in problems[0].what
        assert "kvs -e b:1 status; change nothing from a:1" in problems[0].do
        assert "Its clients get a 503 for keys of which it reaches no owner; what it has a copy of" in problems[0].what
        assert problems[0].do.endswith("; send its clients to them if they do")
        assert problems[0].severity is Severity.CRITICAL


def test_rules_count_the_keys_of_a_shard_once() -> None:
    more = Seen(status(PAIRS, key_count=12), None, 0.0, 12)
    (problem,) = of_keys.with_fewer_copies(survey_of(PAIRS, {A: more}, "b"))
    assert problem.keys == 12
