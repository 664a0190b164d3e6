"""Who is of this store, and that what is wrong with others is said once."""

from __future__ import annotations

import logging

import pytest

from node.views.kinship import Kinship
from tests.node.views.bench import A, B, C, D


@pytest.fixture
def kinship(caplog: pytest.LogCaptureFixture) -> Kinship:
    caplog.set_level(logging.INFO, "node.views.kinship")
    return Kinship(A)


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


def test_kinship_is_what_was_heard_last(kinship: Kinship) -> None:
    assert not kinship.is_judged(B)
    kinship.note_foreign(B)
    assert kinship.foreign == {B} and kinship.is_judged(B) and not kinship.is_judged(A)
    kinship.note_kin(B)
    assert not kinship.foreign and kinship.is_judged(B)


def test_kinship_of_one_that_was_awaited_and_is_in_the_view_now_is_to_be_asked_again(kinship: Kinship) -> None:
    """A message from before it followed may come late (seed 2068). One that is of another store stays foreign."""
    kinship.note_awaited(B, is_member=False)
    kinship.note_awaited(C, is_member=False)
    kinship.note_foreign(D)
    kinship.note_taken_in({A, B, D})
    assert kinship.foreign == {C, D} and not kinship.is_judged(B) and not kinship.is_awaited(B)


def test_kinship_says_once_that_an_alien_is_there_and_that_it_has_gone(
    kinship: Kinship, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        kinship.note_foreign(B)
    kinship.note_kin(B)
    for _ in range(3):
        kinship.note_same_view(B)
    assert levels(caplog) == ["ERROR", "INFO"]


@pytest.mark.parametrize(("is_member", "said"), [(True, ["ERROR", "INFO"]), (False, [])])
def test_kinship_newcomer_that_is_about_to_follow_is_worth_a_line_if_it_is_a_member(
    kinship: Kinship, caplog: pytest.LogCaptureFixture, is_member: bool, said: list[str]
) -> None:
    for _ in range(3):
        kinship.note_awaited(B, is_member)
    assert kinship.foreign == {B} and kinship.is_awaited(B)
    kinship.note_same_view(B)
    assert not kinship.foreign and not kinship.is_awaited(B) and levels(caplog) == said


def test_kinship_newcomer_that_has_joined_another_store_is_awaited_no_more(kinship: Kinship) -> None:
    kinship.note_awaited(B, is_member=False)
    kinship.note_foreign(B)
    assert not kinship.is_awaited(B)


def test_kinship_in_another_store_begins_anew(kinship: Kinship) -> None:
    kinship.note_foreign(C)
    kinship.note_kin(B)
    kinship.note_awaited(D, is_member=False)
    kinship.begin_anew()
    assert not kinship.is_awaited(D)
    assert not kinship.is_judged(C) and not kinship.is_judged(B)


def test_kinship_node_of_another_store_that_was_given_the_own_address_does_not_make_this_one_foreign(
    kinship: Kinship, caplog: pytest.LogCaptureFixture
) -> None:
    kinship.note_foreign(A)
    assert not kinship.foreign and levels(caplog) == ["ERROR"]


def test_kinship_knows_the_store_that_a_node_was_of_when_it_was_heard_last(kinship: Kinship) -> None:
    """Also of those that a node of another store would judge otherwise."""
    kinship.note_store(B, 1)
    kinship.note_store(C, 1)
    kinship.begin_anew()
    kinship.note_store(C, 2)
    assert kinship.stores == {B: 1, C: 2}
