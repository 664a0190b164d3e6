"""Writes with a condition: compared and written in one step, and told twice what was done once."""

from __future__ import annotations

import asyncio

import pytest

from node.storage.store import Store
from node.storage.transaction import News
from node.storage.writes import Absent, Newer, Unmatched, Unsure, WriteOutcome, Written
from node.values.condition import Condition, Versions
from node.values.record import Record
from node.values.version import Version, make_version
from tests.node.storage.opening import UNFENCED


def v(clock: int) -> Version:
    return make_version(clock, 1)


def live(clock: int, *, replaced: bool = False) -> Record:
    return Record(v(clock), b"1", replaced)


def tombstone(clock: int) -> Record:
    return Record(v(clock), None, True)


EXISTS, IS_NEW = Condition(one_of=Versions(True)), Condition(none_of=Versions(True))
HAS_4, HAS_NOT_4 = (Condition(one_of=Versions(False, (v(4),))), Condition(none_of=Versions(False, (v(4),))))


@pytest.mark.parametrize(
    ("held", "value", "condition", "seen", "sure", "outcome", "after"),
    [
        pytest.param(None, b"1", IS_NEW, None, True, Written(False), live(5), id="new"),
        pytest.param(live(4), b"1", IS_NEW, None, True, Unmatched(), live(4), id="not-new"),
        pytest.param(tombstone(4), b"1", IS_NEW, None, True, Written(False), live(5), id="new-after-a-deletion"),
        pytest.param(None, b"1", EXISTS, None, True, Unmatched(), None, id="exists-not"),
        pytest.param(tombstone(4), b"1", EXISTS, None, True, Unmatched(), tombstone(4), id="exists-no-more"),
        pytest.param(live(4), b"1", EXISTS, None, True, Written(True), live(5, replaced=True), id="exists"),
        pytest.param(live(4), b"1", HAS_4, None, True, Written(True), live(5, replaced=True), id="has-it"),
        pytest.param(live(3), b"1", HAS_4, None, True, Unmatched(), live(3), id="has-another"),
        pytest.param(tombstone(4), b"1", HAS_4, None, True, Unmatched(), tombstone(4), id="was-deleted-by-it"),
        pytest.param(live(4), b"1", HAS_NOT_4, None, True, Unmatched(), live(4), id="has-what-it-must-not"),
        pytest.param(live(3), b"1", HAS_NOT_4, None, True, Written(True), live(5, replaced=True), id="has-it-not"),
        pytest.param(live(4), None, HAS_4, None, True, Written(True), tombstone(5), id="delete"),
        pytest.param(live(3), None, HAS_4, None, True, Unmatched(), live(3), id="delete-another"),
        pytest.param(None, None, HAS_4, None, True, Unmatched(), None, id="delete-nothing"),
        pytest.param(None, None, IS_NEW, None, True, Absent(), None, id="delete-nothing-as-demanded"),
        pytest.param(live(4), None, IS_NEW, None, True, Unmatched(), live(4), id="delete-something-unwanted"),
        pytest.param(live(6), b"1", HAS_4, None, True, Newer(v(6)), live(6), id="under-newer"),
        pytest.param(live(6), b"1", IS_NEW, None, True, Newer(v(6)), live(6), id="under-newer-not-new"),
        pytest.param(None, b"1", HAS_4, live(4), True, Written(True), live(5, replaced=True), id="seen"),
        pytest.param(live(4), b"1", HAS_4, live(3), True, Written(True), live(5, replaced=True), id="seen-older"),
        pytest.param(live(3), b"1", HAS_4, live(4), True, Written(True), live(5, replaced=True), id="seen-newer"),
        pytest.param(None, b"1", IS_NEW, live(4), True, Unmatched(), live(4), id="seen-in-the-way"),
        pytest.param(live(4), b"1", HAS_4, tombstone(4), True, Written(True), live(5, replaced=True), id="seen-same"),
        pytest.param(live(3), b"1", EXISTS, tombstone(4), True, Unmatched(), tombstone(4), id="seen-deleted"),
        pytest.param(None, b"1", HAS_4, live(6), True, Newer(v(6)), live(6), id="under-seen"),
        pytest.param(live(5), b"1", IS_NEW, None, True, Written(False), live(5), id="twice"),
        pytest.param(tombstone(5), None, HAS_4, None, True, Written(True), tombstone(5), id="delete-twice"),
        pytest.param(None, b"1", IS_NEW, live(5), True, Written(False), live(5), id="done-elsewhere"),
        pytest.param(None, b"1", IS_NEW, None, False, Unsure(), None, id="unsure"),
        pytest.param(live(4), b"1", HAS_4, None, False, Written(True), live(5, replaced=True), id="held-is-sure"),
    ],
)
async def test_store_write_under_a_condition(
    store: Store,
    held: Record | None,
    value: bytes | None,
    condition: Condition,
    seen: Record | None,
    sure: bool,
    outcome: WriteOutcome,
    after: Record | None,
) -> None:
    if held is not None:
        await store.merge(UNFENCED, [(7, b"k", held.encode())])
    was_there = any(before is not None and before.version == v(5) for before in (held, seen))
    for is_repeated in (was_there, True):  # doing it twice is doing it once, met or not by then
        told = await store.write(UNFENCED, 7, b"k", v(5), value, seen, sure, b"", condition)
        assert told == (Written(outcome.replaced, is_repeated) if isinstance(outcome, Written) else outcome)
        assert store.get(7, b"k") == after


async def test_store_of_any_number_of_writes_under_the_same_condition_one_is_made(store: Store) -> None:
    await store.merge(UNFENCED, [(7, b"k", live(4).encode())])
    for condition, key in ((HAS_4, b"k"), (IS_NEW, b"new")):
        outcomes = await asyncio.gather(
            *(store.write(UNFENCED, 7, key, v(clock), b"%d" % clock, condition=condition) for clock in range(5, 15))
        )
        assert [type(outcome) for outcome in outcomes] == [Written, *[Unmatched] * 9]
        held = store.get(7, key)
        assert held is not None and held.value == b"5"


async def test_store_write_below_the_low_watermark_is_to_be_stamped_anew_met_or_not(store: Store) -> None:
    await store.submit(lambda transaction: transaction.raise_low_watermark(8))
    for condition in (IS_NEW, EXISTS):
        told = await store.write(UNFENCED, 7, b"k", v(5), b"1", condition=condition)
        assert isinstance(told, Newer) and told.version > v(8)
    assert store.get(7, b"k") is None


async def test_store_write_whose_condition_is_not_met_is_no_news(store: Store) -> None:
    """But what peers hold is kept, and is."""
    news: list[News] = []
    store.attach(lambda committed: news.extend(committed.news))
    assert await store.write(UNFENCED, 7, b"a", v(5), b"1", condition=EXISTS) == Unmatched()
    assert news == []
    assert await store.write(UNFENCED, 7, b"b", v(5), b"1", live(4), condition=IS_NEW) == Unmatched()
    assert [each.key for each in news] == [b"b"]
