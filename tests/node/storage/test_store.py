"""The rules of the store, each by a table or a case of its own. Its laws: `test_store_laws`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import xxhash

from gossip.view import View, ViewId
from node.errors import Fenced
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import News, Stats
from node.storage.writes import Absent, Newer, Unsure, WriteOutcome, Written
from node.values.donors import DonorsChange, Kind
from node.values.record import Record
from node.values.version import Version, clock_of, make_version
from ring.hashing import PARTITIONS
from tests.node.samples import Row, rows_of, shares_of
from tests.node.storage.opening import UNFENCED, open_store

ALONE = Kind.ALONE

VIEW = View(
    lineage=0,
    epoch=0,
    base=None,
    coordinator="",
    repl_factor=None,
    shards=(("10.0.0.1:80",),),
    table=bytes(2 * PARTITIONS),
    donors=(),
)


def v(clock: int, store_id: int = 1) -> Version:
    return make_version(clock, store_id)


def live(clock: int, value: bytes = b"1", *, replaced: bool = False) -> Record:
    return Record(v(clock), value, replaced)


def tombstone(clock: int) -> Record:
    return Record(v(clock), None, True)


# Writes


@pytest.mark.parametrize(
    ("held", "value", "seen", "sure", "outcome", "after"),
    [
        pytest.param(None, b"1", None, True, Written(False), live(5), id="put-new"),
        pytest.param(live(4), b"1", None, True, Written(True), live(5, replaced=True), id="put-over-live"),
        pytest.param(tombstone(4), b"1", None, True, Written(False), live(5), id="put-over-tombstone"),
        pytest.param(live(6), b"1", None, True, Newer(v(6)), live(6), id="put-under-newer"),
        pytest.param(tombstone(6), b"1", None, True, Newer(v(6)), tombstone(6), id="put-under-newer-tombstone"),
        pytest.param(live(5), b"1", None, True, Written(False), live(5), id="put-twice"),
        pytest.param(
            live(5, replaced=True),
            b"1",
            None,
            True,
            Written(True),
            live(5, replaced=True),
            id="put-twice-over",
        ),
        pytest.param(None, None, None, True, Absent(), None, id="delete-nothing"),
        pytest.param(live(4), None, None, True, Written(True), tombstone(5), id="delete-live"),
        pytest.param(tombstone(4), None, None, True, Absent(), tombstone(4), id="delete-deleted"),
        pytest.param(tombstone(6), None, None, True, Newer(v(6)), tombstone(6), id="delete-deleted-later"),
        pytest.param(live(6), None, None, True, Newer(v(6)), live(6), id="delete-under-newer"),
        pytest.param(tombstone(5), None, None, True, Written(True), tombstone(5), id="delete-twice"),
        pytest.param(None, b"1", live(4), True, Written(True), live(5, replaced=True), id="put-over-seen"),
        pytest.param(None, b"1", tombstone(4), True, Written(False), live(5), id="put-over-seen-tombstone"),
        pytest.param(live(3), None, tombstone(4), True, Absent(), tombstone(4), id="delete-seen-deleted"),
        pytest.param(None, b"1", live(6), True, Newer(v(6)), live(6), id="put-under-seen"),
        pytest.param(live(4), None, live(3), True, Written(True), tombstone(5), id="delete-seen-older"),
        pytest.param(None, b"1", live(5), True, Written(False), live(5), id="put-seen-already"),
        pytest.param(None, b"1", None, False, Unsure(), None, id="put-unsure"),
        pytest.param(None, None, None, False, Unsure(), None, id="delete-unsure"),
        pytest.param(live(4), b"1", None, False, Written(True), live(5, replaced=True), id="put-held-is-sure"),
        pytest.param(None, b"1", live(4), False, Written(True), live(5, replaced=True), id="put-seen-is-sure"),
    ],
)
async def test_store_write(
    store: Store,
    held: Record | None,
    value: bytes | None,
    seen: Record | None,
    sure: bool,
    outcome: WriteOutcome,
    after: Record | None,
) -> None:
    if held is not None:
        await store.merge(UNFENCED, [(7, b"k", held.encode())])
    is_there = [before is not None and before.version == v(5) for before in (held, seen)]
    for is_repeated in (any(is_there), True):  # doing it twice is doing it once
        told = await store.write(UNFENCED, 7, b"k", v(5), value, seen, sure)
        assert told == (Written(outcome.replaced, is_repeated) if isinstance(outcome, Written) else outcome)
        assert store.get(7, b"k") == after


def until(clock: int, expires_ms: int, value: bytes | None = b"0") -> Record:
    return Record(v(clock), value, False, b"", expires_ms)


@pytest.mark.parametrize("seen", [False, True], ids=["held", "seen"])
@pytest.mark.parametrize(
    ("before", "value", "outcome", "after"),
    [
        (until(4, 100), b"1", Written(False), until(5, 900, b"1")),
        (until(4, 101), b"1", Written(True), until(5, 900, b"1")._replace(replaced=True)),
        (until(4, 100), None, Absent(), until(4, 100)),
        (until(4, 101), None, Written(True), Record(v(5), None, True)),
        (until(4, 101, None), None, Absent(), until(4, 101, None)),
        (until(6, 100), None, Newer(v(6)), until(6, 100)),
        (until(6, 100), b"1", Newer(v(6)), until(6, 100)),
        (until(5, 100), b"1", Written(False), until(5, 100)),
    ],
    ids=[
        "put over what has expired",
        "put over what is about to",
        "delete what has expired",
        "delete what is about to",
        "delete what was turned",
        "delete below what has expired",
        "put below what has expired",
        "put again what has expired since",
    ],
)
async def test_store_write_takes_what_has_expired_for_a_deletion(
    store: Store, before: Record, value: bytes | None, outcome: WriteOutcome, after: Record, seen: bool
) -> None:
    if not seen:
        await store.merge(UNFENCED, [(7, b"k", before.encode())])
    newest, expires_ms = before if seen else None, None if value is None else 900
    told = await store.write(UNFENCED, 7, b"k", v(5), value, newest, True, expires_ms=expires_ms, now_ms=lambda: 100)
    is_repeated = before.version == v(5)
    assert told == (Written(outcome.replaced, is_repeated) if isinstance(outcome, Written) else outcome)
    assert store.get(7, b"k") == after
    store.check()


async def test_store_merge_takes_nothing_that_has_expired_and_is_to_be_forgotten(store: Store) -> None:
    """Whether a sweep has turned it where it comes from, or not; what has yet to expire is taken, however old it is."""
    await store.submit(lambda transaction: transaction.raise_purge_watermark(200 << 16))
    old = {b"turned": until(4, 150, None), b"not turned": until(4, 150), b"to come": until(4, 300)}
    taken = await store.merge(UNFENCED, [(7, key, record.encode()) for key, record in old.items()])
    assert taken == [b"to come"]


async def test_store_same_key_in_two_partitions_is_two_keys(store: Store) -> None:
    await store.write(UNFENCED, 1, b"k", v(1), b"1")
    assert store.get(2, b"k") is None
    assert [key for key, _ in store.scan(1, None, 10**6)] == [b"k"]
    assert store.scan(0, None, 10**6) == store.scan(2, None, 10**6) == []


async def test_store_scan_goes_on_after_the_last_key(store: Store) -> None:
    keys = [b"a", b"a\0", b"b", b"c" * 200]
    await store.merge(UNFENCED, [(PARTITIONS - 1, key, live(1).encode()) for key in keys])
    found: list[bytes] = []
    while page := store.scan(PARTITIONS - 1, found[-1] if found else None, 1):
        found += [key for key, _ in page]
    assert found == keys


async def test_store_scan_above_a_clock_tells_how_far_it_has_looked(store: Store) -> None:
    await store.merge(UNFENCED, [(5, b"%d" % number, live(number).encode()) for number in range(6)])
    found: list[bytes] = []
    after: bytes | None = b""
    pages = 0
    while after is not None:
        above, after = store.scan_above(5, after, 1, clock_of(v(2)))
        found += [key for key, _ in above]
        pages += 1
    assert (found, pages) == ([b"3", b"4", b"5"], 7)
    assert store.scan_above(6, None, 10**6, 0) == ([], None)


# The fence


def jobs(store: Store, fence: ViewId) -> dict[str, Callable[[], Any]]:
    return {
        "write": lambda: store.write(fence, 0, b"k", v(9), b"9"),
        "merge": lambda: store.merge(fence, [(0, b"k", live(9).encode())], change=DonorsChange({"a:1": 1 << 0})),
        "drop": lambda: store.drop(fence, [(0, b"k", v(1))]),
        "change_donors": lambda: store.change_donors(
            fence, DonorsChange({"a:1": 1 << 0}, put=shares_of(Row(1, "b:1", ALONE)))
        ),
    }


@pytest.mark.parametrize("name", list(jobs(None, UNFENCED)))  # type: ignore[arg-type]
async def test_store_job_of_a_left_view_is_fenced_and_writes_nothing(store: Store, name: str) -> None:
    await store.write(UNFENCED, 0, b"k", v(1), b"1")
    await store.change_donors(UNFENCED, DonorsChange(put=shares_of(Row(0, "a:1", Kind.COPY))))
    entered = store.submit(lambda transaction: transaction.enter(VIEW))
    late = jobs(store, UNFENCED)[name]()  # queued while the view is not yet on the disk
    await entered
    for attempt in (late, jobs(store, UNFENCED)[name](), jobs(store, ViewId(0, 1))[name]()):
        with pytest.raises(Fenced, match="0/"):
            await attempt
    assert store.get(0, b"k") == live(1)
    assert rows_of(store.donors()) == [(0, "a:1", Kind.COPY)]
    await jobs(store, VIEW.id)[name]()


async def test_store_remembers_view_fence_settings_donors_and_stats(tmp_path: Path) -> None:
    donors = [Row(3, "[::1]:80", Kind.ALONE), Row(4095, "b:1", Kind.COPY), Row(4095, "c:1", Kind.COVERED)]
    with closing(open_store(tmp_path)) as store:
        assert (store.view(), store.setting(Setting.PROMISE)) == (None, None)
        await store.set(Setting.PROMISE, b"me")
        await store.submit(lambda transaction: transaction.enter(VIEW))
        await store.write(VIEW.id, 3, b"k", v(1), b"1")
        await store.change_donors(VIEW.id, DonorsChange(put=shares_of(*donors)))
        stats = store.stats(3)
    with closing(open_store(tmp_path)) as store:
        assert (store.view(), store.setting(Setting.PROMISE)) == (VIEW, b"me")
        assert store.stats(3) == stats == Stats(1, 1, xxhash.xxh3_64_intdigest(b"k" + v(1)))
        assert rows_of(store.donors()) == donors
        assert await store.submit(lambda transaction: transaction.setting(Setting.PROMISE)) == b"me"
        with pytest.raises(Fenced):
            await store.write(UNFENCED, 3, b"k", v(2), b"2")


async def test_store_sweep_watermark_follows_the_purge_watermark_and_passes_neither_it_nor_itself(store: Store) -> None:
    await store.submit(lambda transaction: transaction.raise_purge_watermark(9))
    assert store.sweep_watermark == 0
    store.note_swept(9)
    assert store.sweep_watermark == 9
    for clock in (8, 10):
        with pytest.raises(AssertionError):
            store.note_swept(clock)


@pytest.mark.parametrize(
    ("clock", "stable_watermark", "expected"), [(9, 8, True), (10, 8, False), (9, 9, False), (1, 0, True)]
)
async def test_store_may_revive_what_is_purged_here_from_who_has_not_seen_as_much(
    store: Store, clock: int, stable_watermark: int, expected: bool
) -> None:
    await store.submit(lambda transaction: transaction.raise_purge_watermark(9))
    assert store.may_revive(v(clock), stable_watermark) is expected
    assert store.has_forgotten_beyond(stable_watermark) is (stable_watermark < 9)


async def test_store_merge_that_finishes_a_donor_forgets_it(store: Store) -> None:
    rows = Row(1, "a:1", ALONE), Row(1, "b:1", ALONE), Row(2, "a:1", ALONE)
    await store.change_donors(UNFENCED, DonorsChange(put=shares_of(*rows)))
    await store.merge(UNFENCED, [], change=DonorsChange({"a:1": 1 << 1}))
    assert rows_of(store.donors()) == [(1, "b:1", ALONE), (2, "a:1", ALONE)]


# What co-owners have yet to hear


async def test_store_news_of_each_change_once_it_can_be_seen(store: Store) -> None:
    news: list[tuple[bytes, Collection[str], Record | None]] = []
    store.attach(
        lambda committed: news.extend((each.key, each.exclude, store.get(7, each.key)) for each in committed.news)
    )
    await store.write(UNFENCED, 7, b"a", v(5), b"1")
    await store.write(UNFENCED, 7, b"b", v(5), b"1", peers_newest=live(6))
    await store.merge(UNFENCED, [(7, b"c", live(3).encode())], {"b:1"})
    assert news == [(b"a", (), live(5)), (b"b", (), live(6)), (b"c", {"b:1"}, live(3))]


async def test_store_news_of_what_changed_nothing_none(store: Store) -> None:
    """A repetition, a refusal, a miss, an older version; and what all co-owners have been told by somebody else."""
    await store.merge(UNFENCED, [(7, b"a", live(5).encode())])
    news: list[News] = []
    store.attach(lambda committed: news.extend(committed.news))
    await store.write(UNFENCED, 7, b"a", v(5), b"1")
    await store.write(UNFENCED, 7, b"a", v(4), b"1")
    await store.write(UNFENCED, 7, b"b", v(4), None)
    assert await store.merge(UNFENCED, [(7, b"a", live(5).encode()), (7, b"a", live(4).encode())]) == []
    assert await store.merge(UNFENCED, [(7, b"d", live(5).encode())], None) == [b"d"]
    assert news == []
