"""View changes that wait, and for whom; views that are not held; copies that share a zone: tables."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import Address
from node.diagnosis import of_views
from node.diagnosis.survey import Seen
from tests.node.diagnosis.surveys import DOWN, PAIRS, ill, survey_of, up
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D

VIEW = successor(PAIRS, A, B, C, D)
E = "e:1"
STILL_MS = 15_000


@pytest.mark.parametrize(
    ("seen", "down", "awaited"),
    [
        ({}, "b", []),
        ({A: up(VIEW, waiting="b")}, "", []),
        ({A: up(VIEW, waiting="b")}, "b", [B]),
        ({A: up(VIEW, handing="b"), C: up(VIEW, handing="d")}, "bd", [B, D]),
        ({A: up(VIEW, waiting="e"), E: DOWN}, "", []),
        ({A: up(VIEW, handing="b", still_ms=STILL_MS), B: up(VIEW, full=True)}, "", [B]),
        ({A: up(VIEW, handing="b", still_ms=STILL_MS - 1), B: up(VIEW, full=True)}, "", []),
        ({A: up(VIEW, handing="b", still_ms=STILL_MS)}, "", [A]),
        ({A: up(VIEW, handing="b", still_ms=STILL_MS - 1)}, "", []),
    ],
    ids=[
        "a node is down, and nothing is to move",
        "a node has yet to say what it holds",
        "and is down",
        "two that are to get something are down",
        "a removed node holds up nothing",
        "a disk is full, and nothing moves",
        "something moved lately",
        "nothing moves, and nobody knows why",
        "something moves",
    ],
)
def test_waits_names_whom_a_change_waits_for(seen: dict[Address, Seen], down: str, awaited: list[Address]) -> None:
    problems = list(of_views.waits(survey_of(VIEW, seen, down)))
    assert [list(problem.nodes) for problem in problems] == ([awaited] if awaited else [])


def test_waits_says_for_what_and_what_to_do() -> None:
    (problem,) = of_views.waits(survey_of(VIEW, {A: up(VIEW, handing="b"), C: up(VIEW, waiting="b")}, "b"))
    assert problem.what.startswith(f"the change to epoch 1 waits for {B}, which cannot be reached: 2 partitions are")
    assert problem.keys == 4 and problem.do.startswith(
        "as for node-down; kvs view-change shows how far it is; or take "
    )
    assert problem.do.endswith(": kvs view-change --undo")


def test_waits_for_a_disk_that_hangs_is_told_at_once() -> None:
    seen = {A: up(VIEW, handing="b"), B: ill(VIEW, hung_ms=1)}
    (problem,) = of_views.waits(survey_of(VIEW, seen))
    assert problem.what == f"the change to epoch 1 stands still on {B}, whose disk hangs" and problem.nodes == (B,)
    assert problem.do.startswith("as for disk-hangs; ") and problem.do.endswith(": kvs view-change --undo")
    assert not list(of_views.waits(survey_of(VIEW, {A: up(VIEW, handing="c"), B: ill(VIEW, hung_ms=1)})))


def test_missing_donors_are_removed_nodes_that_may_alone_have_something() -> None:
    survey = survey_of(VIEW, {A: up(VIEW, waiting="e"), B: up(VIEW, waiting="e"), E: DOWN})
    (problem,) = of_views.missing_donors(survey)
    assert problem.nodes == (E,) and "may alone have keys of 1 partition:" in problem.what
    assert not list(of_views.missing_donors(survey_of(VIEW, {A: up(VIEW, waiting="e"), E: up(VIEW)})))
    given_up = msgspec.structs.replace(VIEW, absent=(E,))
    assert not list(of_views.missing_donors(survey_of(given_up, {A: up(given_up, waiting="e"), E: DOWN})))


def test_untaken_are_views_that_others_hold() -> None:
    assert not list(of_views.untaken(survey_of(VIEW, {E: up(PAIRS)}))), "it is not in the view"
    (problem,) = of_views.untaken(survey_of(VIEW, {B: up(PAIRS)}, "c"))
    assert problem.what.startswith("a:1 holds the view of epoch 1, and b:1 holds epoch 0:") and problem.nodes == (B,)


def test_crowded_are_shards_that_need_not_share_zones() -> None:
    (problem,) = of_views.crowded(survey_of(VIEW, crowded={1: ["rack-2"]}))
    assert problem.nodes == VIEW.shards[1]
    assert problem.what.startswith("shard 2: its copies share rack-2, and need not")
    assert problem.do.endswith(f"kvs view-change --to {A},{B},{C},{D}")
