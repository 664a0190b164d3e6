"""What counts as up, as serving and as a whole copy; and whose word about the number of keys is taken."""

from __future__ import annotations

import pytest

from gossip.view import View
from node.diagnosis.survey import Seen
from tests.node.diagnosis.surveys import DOWN, KEYS, PAIRS, WELL, ill, status, survey_of, up
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D

LATER: View = successor(PAIRS, A, B, C, D)


@pytest.mark.parametrize(
    ("seen", "serves", "is_copy"),
    [
        (up(PAIRS), True, True),
        (up(PAIRS, None), True, True),
        (DOWN, False, False),
        (Seen(), False, False),
        (up(PAIRS, may_lack=True), True, False),
        (up(LATER), True, False),
        (up(PAIRS, full=True), True, False),
        (ill(PAIRS, full_ms=1), True, False),
        (ill(PAIRS, hung_ms=1), True, False),
        (ill(PAIRS, unstored_ms=1), False, False),
        (ill(PAIRS, refused_ms=1, ahead_s=90), True, True),
    ],
)
def test_survey_what_a_node_is_good_for(seen: Seen, serves: bool, is_copy: bool) -> None:
    survey = survey_of(PAIRS, {B: seen})
    assert (survey.serves(B), survey.is_copy(B)) == (serves, is_copy)


def test_survey_keys_are_those_that_a_live_owner_counts_and_else_what_was_last_heard() -> None:
    fresh = Seen(status(PAIRS, key_count=12), WELL, 0.0, KEYS)
    survey = survey_of(PAIRS, {A: fresh, B: DOWN._replace(keys=99), C: DOWN._replace(keys=7), D: DOWN._replace(keys=8)})
    assert (survey.keys_of((A, B)), survey.keys_of((C, D)), survey.keys_of(("e:1",))) == (12, 8, 0)


def test_survey_knows_who_is_down_and_for_how_long_at_most() -> None:
    survey = survey_of(PAIRS, {C: DOWN._replace(dead_s=70.0), D: Seen()}, "b")
    assert survey.down == [B, C, D]
    assert (survey.dead_s([B, C, D]), survey.dead_s([D]), survey.dead_s([])) == (70.0, None, None)
    assert [node for node, _ in survey.healths()] == [A]
