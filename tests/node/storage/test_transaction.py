"""What changes along with what in one transaction: records with figures, views with fences, watermarks upwards only."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gossip.view import View, ViewId
from node.errors import Fenced
from node.storage.keys import Expiring, Setting, donor_place, partition_place, record_place, setting_place
from node.storage.store import Store
from node.storage.transaction import Cause, Change, News, Stats, Transaction, digest_of, reading_in, stats_in
from node.values.donors import DonorsChange, Kind, Share
from node.values.record import Record, as_tombstone
from node.values.version import Version, make_version
from ring.hashing import PARTITIONS
from tests.node.samples import Row, rows_of, shares_of
from tests.node.storage.opening import UNFENCED, open_store

NOTHING = Stats(0, 0, 0)
VIEW = View(0, 0, None, "", None, (("a:1",),), bytes(2 * PARTITIONS), ())


class Items(dict[bytes, bytes]):
    """Stands in for the transaction of an engine."""

    put = dict.__setitem__
    delete = dict.__delitem__


def begin(items: Items, **stored: Stats) -> Transaction:
    """`stored`: the figures of partitions as last committed, as p0, p1 and so on."""
    return Transaction(items, [stored.get(f"p{partition}", NOTHING) for partition in range(3)])


def version(clock: int) -> Version:
    return make_version(clock, 1)


LIVE, LATER = Record(version(5), b"1", False), Record(version(6), b"2", True)
TOMBSTONE = Record(version(7), None, True)


# Records and figures


def figures(*records: Record) -> Stats:
    """Of a partition that holds these under the keys k0, k1 and so on."""
    digest = 0
    for number, record in enumerate(records):
        digest ^= digest_of(b"k%d" % number, record.version)
    return Stats(sum(record.has_value for record in records), len(records), digest)


@pytest.mark.parametrize(
    ("held", "put", "expected"),
    [
        (None, LIVE, figures(LIVE)),
        (None, TOMBSTONE, figures(TOMBSTONE)),
        (LIVE, LATER, figures(LATER)),
        (LIVE, TOMBSTONE, figures(TOMBSTONE)),
        (TOMBSTONE, LIVE, figures(LIVE)),
        (LIVE, None, NOTHING),
        (TOMBSTONE, None, NOTHING),
    ],
    ids=["new", "new tombstone", "again", "deleted", "revived", "dropped", "dropped tombstone"],
)
def test_transaction_figures_change_by_the_difference(held: Record | None, put: Record | None, expected: Stats) -> None:
    items = Items()
    before = NOTHING if held is None else figures(held)
    transaction = begin(items, p1=before)
    encoded = None if held is None else held.encode()
    if encoded is not None:
        items[record_place(1, b"k0")] = encoded
    assert transaction.get(1, b"k0") == encoded
    if put is not None:
        transaction.put(1, b"k0", put.encode(), encoded)
        assert transaction.get(1, b"k0") == put.encode()
    elif encoded is not None:
        transaction.delete(1, b"k0", encoded)
        assert transaction.get(1, b"k0") is None
    assert transaction.stats == {1: expected}


def test_transaction_figures_of_several_records_add_up_and_are_written_at_its_end() -> None:
    items = Items()
    transaction = begin(items)
    transaction.put(1, b"k0", LIVE.encode(), None)
    transaction.put(1, b"k1", TOMBSTONE.encode(), None)
    transaction.put(2, b"k0", LATER.encode(), None)
    assert stats_in(items, 1) == NOTHING
    transaction.finish()
    assert (stats_in(items, 1), stats_in(items, 2)) == (figures(LIVE, TOMBSTONE), figures(LATER))
    assert partition_place(0) not in items, "what has not changed is not written"


def test_transaction_same_version_of_a_key_has_the_same_digest_whatever_came_before() -> None:
    straight, around = begin(Items()), begin(Items())
    straight.put(0, b"k0", TOMBSTONE.encode(), None)
    around.put(0, b"k0", LIVE.encode(), None)
    around.put(0, b"k0", TOMBSTONE.encode(), LIVE.encode())
    assert straight.stats == around.stats


@pytest.mark.parametrize("before", [LIVE, LATER, TOMBSTONE])
@pytest.mark.parametrize("after", [LIVE, LATER, TOMBSTONE])
def test_transaction_figures_are_those_of_the_last_record_whatever_it_replaced(before: Record, after: Record) -> None:
    transaction = begin(Items())
    transaction.put(1, b"k0", before.encode(), None)
    transaction.put(1, b"k0", after.encode(), before.encode())
    assert transaction.stats[1] == figures(after)


def test_transaction_news_are_what_somebody_has_yet_to_hear() -> None:
    transaction = begin(Items())
    transaction.put(0, b"all", LIVE.encode(), None, exclude=())
    transaction.put(0, b"but b", LIVE.encode(), None, exclude=("b:1",))
    transaction.put(0, b"nobody", LIVE.encode(), None)
    assert transaction.news == [News(b"all", ()), News(b"but b", ("b:1",))]


# The fence


def test_transaction_demands_the_view_in_force_from_the_job_on_that_enters_it() -> None:
    items = Items()
    transaction = begin(items)
    transaction.demand(UNFENCED)
    transaction.enter(VIEW)
    transaction.demand(VIEW.id)
    for fence in (UNFENCED, ViewId(0, 1)):
        with pytest.raises(Fenced, match=str(VIEW.id)):
            transaction.demand(fence)
    assert items[setting_place(Setting.VIEW)] == VIEW.encoded
    begin(items).demand(VIEW.id)


# Watermarks


def test_transaction_lowest_version_is_the_first_above_the_low_watermark() -> None:
    transaction = begin(Items())
    assert transaction.lowest_version == b""
    transaction.raise_low_watermark(9)
    assert version(9) < transaction.lowest_version <= make_version(10, 0)
    transaction.raise_low_watermark(4)
    assert transaction.lowest_version == make_version(10, 0)


async def test_transaction_low_watermark_never_falls_and_is_remembered(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        assert store.low_watermark() == 0
        await store.submit(lambda transaction: transaction.raise_low_watermark(9))
        await store.submit(lambda transaction: transaction.raise_low_watermark(4))
    with closing(open_store(tmp_path)) as store:
        assert store.low_watermark() == 9


def test_transaction_purge_watermark_never_falls() -> None:
    items = Items()
    transaction = begin(items)
    assert transaction.purge_watermark == 0
    for clock in (9, 4):
        transaction.raise_purge_watermark(clock)
        assert transaction.purge_watermark == 9 and transaction.has_new_watermark
    assert begin(items).purge_watermark == 9


def test_transaction_stable_watermark_never_falls_and_says_when_it_is_new() -> None:
    items = Items()
    first = begin(items)
    first.raise_stable_watermark(9)
    assert first.has_new_watermark
    second = begin(items)
    second.raise_stable_watermark(4)
    assert not second.has_new_watermark
    assert reading_in(second, Setting.STABLE_WATERMARK) == 9


# Donors


def test_transaction_donor_that_has_finished_leaves_nothing_on_disk() -> None:
    items = Items()
    transaction = begin(items)
    transaction.change_donors(DonorsChange(put={"b:1": Share(1 << 1 | 1 << 2)}))
    assert list(items) == [donor_place("b:1")]
    transaction.change_donors(DonorsChange(remove={"b:1": 1 << 1}))
    assert list(items) == [donor_place("b:1")]
    transaction.change_donors(DonorsChange(remove={"b:1": 1 << 2, "c:1": 1 << 2}))
    assert items == {}


async def test_transaction_covers_a_donor_only_where_it_is_one(store: Store) -> None:
    await store.change_donors(UNFENCED, DonorsChange(put=shares_of(Row(1, "a:1", Kind.COPY))))
    await store.change_donors(UNFENCED, DonorsChange(cover={"a:1": 1 << 1 | 1 << 2, "b:1": 1 << 1}))
    assert rows_of(store.donors()) == [(1, "a:1", Kind.COVERED)]


# What changes


def test_transaction_tells_what_has_changed_and_why() -> None:
    transaction = begin(Items())
    expiring = Record(version(8), b"1", False, expires_ms=9)
    transaction.put(1, b"taken", LIVE.encode(), None, ())
    transaction.put(1, b"brought", LIVE.encode(), None, {"b:1"})
    transaction.put(1, b"relayed", LIVE.encode(), None, {"b:1", "c:1"})
    transaction.put(1, b"copied", expiring.encode(), None, None)
    transaction.expire(Expiring(9, 1, b"copied"))
    transaction.delete(1, b"taken", LIVE.encode())
    assert transaction.changes == [
        Change(b"taken", LIVE.encode(), Cause.TAKEN),
        Change(b"brought", LIVE.encode(), Cause.TAKEN),
        Change(b"relayed", LIVE.encode(), Cause.RELAYED),
        Change(b"copied", expiring.encode(), Cause.COPIED),
        Change(b"copied", as_tombstone(expiring.encode()), Cause.EXPIRED),
    ]
    assert [news.key for news in transaction.news] == [b"taken", b"brought", b"relayed"]
