"""What is told first, and for how long: the latest changes, and the rumours told least often."""

from __future__ import annotations

from gossip.dissemination import Dissemination
from gossip.messages import Rumour

B, C, D = Rumour("b:1", 1, dead=False), Rumour("c:1", 1, dead=True), Rumour("d:1", 1, dead=True)


def noting(*rumours: Rumour) -> Dissemination:
    """Each noted a second after the one before, from second 0 on."""
    dissemination = Dissemination()
    for now, rumour in enumerate(rumours):
        dissemination.note(rumour.address, rumour, float(now))
    return dissemination


def test_dissemination_the_latest_change_comes_first_and_each_node_once() -> None:
    dissemination = noting(B, C, D)
    dissemination.note("b:1", None, 3.0)
    assert list(dissemination.recent()) == ["b:1", "d:1", "c:1"]


def test_dissemination_changes_before_the_given_time_expire() -> None:
    dissemination = noting(B, C, D)
    dissemination.expire(1.0)
    assert list(dissemination.recent()) == ["d:1", "c:1"]
    dissemination.expire(9.0)
    assert list(dissemination.recent()) == []
    assert dissemination.has_rumours(), "a rumour is told so many times, however long that takes"


def test_dissemination_rumours_told_least_often_come_first() -> None:
    dissemination = noting(B, C, D)
    dissemination.count_telling([B, C], tellings_max=9)
    dissemination.count_telling([C], tellings_max=9)
    assert dissemination.rumours() == [D, B, C]


def test_dissemination_rumour_has_its_last_telling_and_is_told_anew_only_if_it_is_another() -> None:
    dissemination = noting(B)
    for _ in range(2):
        assert dissemination.rumours() == [B]
        dissemination.count_telling([B], tellings_max=2)
    assert not dissemination.has_rumours()
    dead = Rumour("b:1", 1, dead=True)
    dissemination.note("b:1", dead, 1.0)
    assert dissemination.rumours() == [dead]


def test_dissemination_rumour_noted_again_while_it_is_told_begins_nothing_anew() -> None:
    dissemination = noting(B)
    dissemination.count_telling([B], tellings_max=2)
    dissemination.note("b:1", B, 1.0)
    dissemination.count_telling([B], tellings_max=2)
    assert not dissemination.has_rumours()


def test_dissemination_node_that_is_well_again_has_its_rumour_told_no_more() -> None:
    dissemination = noting(B, C)
    dissemination.note("b:1", None, 2.0)
    assert dissemination.rumours() == [C]


def test_dissemination_telling_of_a_rumour_that_another_one_replaced_is_not_counted() -> None:
    dissemination = noting(B)
    dead = Rumour("b:1", 1, dead=True)
    dissemination.note("b:1", dead, 1.0)
    dissemination.count_telling([B], tellings_max=1)
    assert dissemination.rumours() == [dead]
