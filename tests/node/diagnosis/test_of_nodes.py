"""Nodes that are down, of another cluster, slow, off in time, or of another release: tables."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import Address
from node.diagnosis import of_nodes
from node.diagnosis.survey import Seen, Severity
from tests.node.diagnosis.surveys import ALONE, DOWN, PAIRS, WELL, ill, survey_of, up
from tests.node.views.bench import A, B, C, D, environment

FOREIGN = Seen(is_foreign=True)


def test_down_are_the_nodes_of_the_view_that_do_not_answer() -> None:
    assert not list(of_nodes.down(survey_of(ALONE)))
    assert not list(of_nodes.down(survey_of(ALONE, {"e:1": DOWN}))), "nobody misses it"
    (problem,) = of_nodes.down(survey_of(ALONE, {C: Seen()}, "b"))
    assert (problem.nodes, problem.lasts_s, problem.severity) == ((B, C), 7.0, Severity.WARNING)
    assert problem.what == f"{B}, {C} do not answer {A}: they are down, or cut off"
    assert f"kvs view-change --replace {B} NEW --replace {C} NEW" in problem.do
    (problem,) = of_nodes.down(survey_of(ALONE, {B: Seen()}))
    assert problem.lasts_s is None, "it has only just gone"


def test_turned_away_are_the_nodes_of_the_view_that_are_there_but_will_not_speak_to_the_one_that_was_asked() -> None:
    refused = DOWN._replace(why_refused="it shows no certificate")
    survey = survey_of(ALONE, {B: refused, "e:1": refused, C: up(ALONE)._replace(why_refused="that was before")})
    (problem,) = of_nodes.turned_away(survey)
    assert (problem.nodes, problem.lasts_s, problem.severity) == ((B,), 7.0, Severity.CRITICAL)
    assert problem.what.endswith(f"turned each other away when they met last; {A} says of it: it shows no certificate")
    assert not list(of_nodes.down(survey)), "to start it again as it is would not help"
    foreign = survey_of(ALONE, {B: refused._replace(is_foreign=True)})
    assert not list(of_nodes.turned_away(foreign)) and list(of_nodes.foreign(foreign))


def test_down_offers_no_removal_of_an_only_owner_without_saying_what_that_gives_up() -> None:
    (problem,) = of_nodes.down(survey_of(ALONE, down="b"))
    assert problem.what == f"{B} does not answer {A}: it is down, or cut off"
    assert problem.do == (
        f"see whether it runs before you replace it: start {B} again, with its disk, or mend the network; if gone for "
        f"good: kvs view-change --replace {B} NEW, or kvs view-change --remove {B}; either gives up the keys that only "
        f"{B} has, and takes --force; if it runs, cut off, send no clients there: for keys of which it reaches no "
        "owner they get a 503"
    )
    (problem,) = of_nodes.down(survey_of(PAIRS, down="b"))
    assert "gives up" not in problem.do


def test_foreign_is_who_has_the_address_of_a_node_of_the_view() -> None:
    survey = survey_of(ALONE, {B: FOREIGN, "e:1": FOREIGN})
    (problem,) = of_nodes.foreign(survey)
    assert (problem.nodes, problem.severity) == ((B,), Severity.CRITICAL)
    assert not list(of_nodes.down(survey)), "it is said once"


def test_view_unstored_and_not_ready_are_told_by_the_node_itself() -> None:
    (problem,) = of_nodes.view_unstored(survey_of(ALONE, {B: ill(ALONE, unstored_ms=2500)}))
    assert (problem.nodes, problem.severity, problem.lasts_s) == ((B,), Severity.CRITICAL, 2.5)
    assert not list(of_nodes.unready(survey_of(ALONE, {B: ill(ALONE, unready_ms=4000)}))), "it may just have started"
    (problem,) = of_nodes.unready(survey_of(ALONE, {B: ill(ALONE, unready_ms=4001)}))
    assert (problem.nodes, problem.severity) == ((B,), Severity.WARNING)


def test_environments_differ_by_what_is_wrong_with_views() -> None:
    seen = {B: up(ALONE)._replace(complaint="its VIEW or REPL_FACTOR differs"), C: FOREIGN._replace(complaint="x")}
    (problem,) = of_nodes.view_differs(survey_of(ALONE, seen))
    assert problem.what == "b:1: its VIEW or REPL_FACTOR differs" and problem.nodes == (B,)


def test_environments_differ_by_the_round_trips_that_nodes_are_made_for() -> None:
    assert not list(of_nodes.round_trips_differ(survey_of(ALONE, {B: up(ALONE, None)})))
    far = {node: up(ALONE, msgspec.structs.replace(WELL, round_trip_ms=300)) for node in (B, D)}
    (problem,) = of_nodes.round_trips_differ(survey_of(ALONE, far))
    assert problem.what.startswith(f"ROUND_TRIP_MS is 50 on {A}, {C}; 300 on {B}, {D}:")
    assert "ROUND_TRIP_MS, 300 say" in problem.do


@pytest.mark.parametrize(
    ("took_s", "made_for_s", "is_told"), [(0.2, 0.05, False), (0.31, 0.05, True), (0.31, 0.3, False)]
)
def test_slow_is_who_takes_much_longer_than_the_way_to_it(took_s: float, made_for_s: float, is_told: bool) -> None:
    problems = list(of_nodes.slow(survey_of(ALONE, {B: up(ALONE, took_s=took_s)}, round_trip_s=made_for_s)))
    assert [problem.nodes for problem in problems] == [(B,)] * is_told
    assert not list(of_nodes.slow(survey_of(ALONE, {B: DOWN._replace(took_s=9.0)}))), "who is down is not slow"


def test_clock_ahead_is_told_by_the_node_whose_writes_are_refused_and_by_nobody_else() -> None:
    wrong = ill(ALONE, refused_ms=90_000, ahead_s=3600)._replace(clock_ms=3_600_000)
    survey = survey_of(ALONE, {B: wrong})
    (problem,) = of_nodes.clock_refused(survey)
    assert problem.what == (
        f"the clock of {B} is 3,600 s ahead of all others: clients that ask {B} are refused writes; through "
        "other nodes all keys are read and written"
    )
    assert (problem.severity, problem.lasts_s) == (Severity.CRITICAL, 90.0)
    assert problem.do.endswith("; until then, send clients to other nodes")
    assert not list(of_nodes.clocks_off(survey))


def clock(ms: int) -> Seen:
    return up(ALONE)._replace(clock_ms=ms)


@pytest.mark.parametrize(
    ("clocks", "off"),
    [
        ({B: 0, C: 0, D: 59_999}, []),
        ({B: 0, C: 0, D: -60_000}, [(D,)]),
        ({B: 70_000, C: 70_000, D: 70_001}, [(A,)]),
        ({B: 0, C: 70_000, D: 70_000}, [(A, B, C, D)]),
        ({B: 0, C: -3_600_000, D: 3_600_000}, [(C,), (D,)]),
        ({B: 90_000}, [(B,)]),
    ],
    ids=[
        "near",
        "one is behind",
        "it is this one",
        "two and two",
        "both ways",
        "one is ahead",
    ],
)
def test_clocks_off_are_those_far_from_most_others(clocks: dict[Address, int], off: list[tuple[Address, ...]]) -> None:
    problems = of_nodes.clocks_off(survey_of(ALONE, {node: clock(ms) for node, ms in clocks.items()}))
    assert [problem.nodes for problem in problems] == off


def test_clocks_off_of_two_are_both() -> None:
    view = environment(A, B)
    (problem,) = of_nodes.clocks_off(survey_of(view, {B: up(view)._replace(clock_ms=90_000)}))
    assert problem.nodes == (A, B) and "90 s apart: nobody can tell which are right" in problem.what


def test_clocks_off_are_not_those_of_who_is_down() -> None:
    assert not list(of_nodes.clocks_off(survey_of(ALONE, {B: DOWN._replace(clock_ms=90_000)})))


def test_older_is_who_knows_of_no_expiry() -> None:
    seen = {B: up(PAIRS, None)._replace(is_older=True), C: DOWN._replace(is_older=True)}
    (problem,) = of_nodes.older(survey_of(PAIRS, seen))
    assert problem.nodes == (B,)
