"""From what a problem follows, and where it is told what to do: tables."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import Former
from node.diagnosis.causes import after_way_out, cause_of
from node.diagnosis.survey import Seen
from tests.node.diagnosis.surveys import PAIRS, ill, survey_of, up
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D

E = "e:1"
GROWN = msgspec.structs.replace(successor(PAIRS, A, B, C, D, E), former=(Former(PAIRS.id, 2, PAIRS.shards),))


@pytest.mark.parametrize(
    ("seen", "why", "see"),
    [
        (Seen(), f"{B} being out of reach", "as for node-down"),
        (Seen(why_refused="it shows no certificate"), f"{B} being turned away", "as for turned-away"),
        (Seen(is_foreign=True), f"{B} being of another cluster", "as for foreign-node"),
        (ill(PAIRS, hung_ms=1, full_ms=1), f"{B} taking nothing, as the disk hangs", "as for disk-hangs"),
        (up(PAIRS, full=True), f"{B} taking nothing, as the disk is full", "as for disk-full"),
        (ill(PAIRS, unstored_ms=1), f"{B} serving nothing, as the view is not stored", "as for view-not-stored"),
    ],
)
def test_cause_is_what_is_wrong_with_a_node(seen: Seen, why: str, see: str) -> None:
    cause = cause_of(survey_of(PAIRS, {B: seen}), [A, B])
    assert cause is not None and (cause.why, cause.see, cause.nodes) == (why, see, frozenset([B]))


def test_cause_names_all_of_them_once() -> None:
    cause = cause_of(survey_of(PAIRS, {C: ill(PAIRS, hung_ms=1)}, "b"), [A, B, C])
    assert cause is not None and cause.nodes == {B, C}
    assert cause.why == f"{B} being out of reach, and {C} taking nothing, as the disk hangs"
    assert cause.see == "as for node-down, disk-hangs"


def test_cause_is_none_of_nodes_that_are_well_or_of_no_concern() -> None:
    assert cause_of(survey_of(PAIRS, {E: Seen()}), [A, B, E]) is None


def test_cause_is_not_called_down_as_it_may_be_cut_off() -> None:
    cause = cause_of(survey_of(PAIRS, down="cd"), [C, D])
    assert cause is not None and cause.why == f"{C}, {D} being out of reach"


def test_way_out_is_to_take_back_the_change_that_has_taken_the_node_in() -> None:
    moving = {A: up(GROWN, handing="e")}
    told = after_way_out(survey_of(GROWN, moving), [E], "mend it")
    assert told == "take the change back: kvs view-change --undo; or mend it"
    assert after_way_out(survey_of(GROWN, moving), [B], "mend it") == "mend it", "it would be needed for that"
    assert after_way_out(survey_of(GROWN), [E], "mend it") == "mend it", "that is over"
    only = survey_of(PAIRS, {A: up(PAIRS, handing="b")})
    assert after_way_out(only, [B], "mend it") == "mend it", "there is nothing to go back to"
