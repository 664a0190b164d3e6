"""What every engine must do: the contract of node.storage.transaction.Engine as one suite, for the real engine and the
simulated one alike.

Inherit `EngineContract` in a test module and give the fixtures `storage`: a function that opens an engine on
one and the same storage, empty at first, each time it is called; and `disk_of`: what its disk can be made to be. A test
closes what it opened before it opens it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Protocol, TypeAlias

import pytest

from node.errors import StorageFault
from node.storage.transaction import Engine, EngineFactory, EngineTransaction, Transaction

Storage: TypeAlias = Callable[[], EngineFactory]


PATIENCE_S = 20.0


class DiskOf(Protocol):
    """The disk under the storage."""

    def fill(self) -> None:
        """Nothing else finds room on it any more."""

    def exhaust(self) -> None:
        """Nothing at all can be written."""

    def relieve(self) -> None:
        """It has room again."""


class PlainBatch(Transaction):
    """Jobs of these tests write keys as they are."""

    def __init__(self, transaction: EngineTransaction) -> None:
        super().__init__(transaction, ())
        self.transaction = transaction
        self.finished = 0

    def finish(self) -> None:
        self.finished += 1


def plain(transaction: Transaction) -> EngineTransaction:
    assert isinstance(transaction, PlainBatch)
    return transaction.transaction


def put(key: bytes, value: bytes) -> Callable[[Transaction], None]:
    def job(transaction: Transaction) -> None:
        plain(transaction).put(key, value)

    return job


@contextmanager
def opened(storage: Storage, committed: Callable[[Transaction], None] = lambda _batch: None) -> Iterator[Engine]:
    engine = storage()(PlainBatch, committed)
    try:
        yield engine
    finally:
        engine.close()


async def until_full(engine: Engine) -> None:
    """An engine notices at a commit that its disk is full, or when it asks again."""
    async with asyncio.timeout(PATIENCE_S):
        for n in count():
            if engine.is_full:
                return
            with suppress(StorageFault):
                await engine.submit(put(b"filling %d" % n, b"v" * 4000), grows=True)


class EngineContract:
    async def test_engine_empty_storage_holds_nothing(self, storage: Storage) -> None:
        with opened(storage) as engine:
            assert engine.get(b"k") is None
            assert engine.scan(b"a", b"z", 100) == []

    async def test_engine_write_is_read_once_it_resolved(self, storage: Storage) -> None:
        with opened(storage) as engine:
            future = engine.submit(put(b"k", b"v"))
            assert engine.get(b"k") is None
            await future
            assert engine.get(b"k") == b"v"

    async def test_engine_empty_value_is_a_value(self, storage: Storage) -> None:
        with opened(storage) as engine:
            await engine.submit(put(b"k", b""))
            assert engine.get(b"k") == b""

    async def test_engine_delete_of_a_missing_key_is_nothing(self, storage: Storage) -> None:
        with opened(storage) as engine:
            await engine.submit(put(b"k", b"v"))
            await engine.submit(lambda transaction: plain(transaction).delete(b"j"))
            await engine.submit(lambda transaction: plain(transaction).delete(b"k"))
            assert engine.get(b"k") is None

    async def test_engine_jobs_run_in_order_and_see_earlier_writes(self, storage: Storage) -> None:
        def append(letter: bytes) -> Callable[[Transaction], bytes]:
            def job(transaction: Transaction) -> bytes:
                text = (plain(transaction).get(b"k") or b"") + letter
                plain(transaction).put(b"k", text)
                return text

            return job

        with opened(storage) as engine:
            texts = await asyncio.gather(*[engine.submit(append(letter)) for letter in (b"a", b"b", b"c")])
            assert texts == [b"a", b"ab", b"abc"]
            assert engine.get(b"k") == b"abc"

    async def test_engine_job_that_raises_harms_no_other(self, storage: Storage) -> None:
        def raises(transaction: Transaction) -> None:
            raise LookupError("mine")

        with opened(storage) as engine:
            before, bad, after = (
                engine.submit(put(b"a", b"1")),
                engine.submit(raises),
                engine.submit(put(b"b", b"2")),
            )
            await before
            with pytest.raises(LookupError, match="mine"):
                await bad
            await after
            assert (engine.get(b"a"), engine.get(b"b")) == (b"1", b"2")

    async def test_engine_job_that_nobody_waits_for_any_more_is_not_run(self, storage: Storage) -> None:
        """A disk may hang for long: what was given up meanwhile must not happen after all that came since."""
        with opened(storage) as engine:
            under_way = engine.submit(put(b"a", b"1"))
            await asyncio.sleep(0)
            queued = [asyncio.ensure_future(engine.submit(put(key, b"1"))) for key in (b"b", b"c", b"d")]
            queued[0].cancel()
            queued[2].cancel()
            await asyncio.gather(under_way, queued[1])
            await engine.submit(put(b"e", b"1"))
            assert [engine.get(key) for key in (b"a", b"b", b"c", b"d")] == [b"1", None, b"1", None]

    async def test_engine_committed_is_told_finished_batches_before_their_futures(self, storage: Storage) -> None:
        told: list[Transaction] = []
        pending: list[bool] = []
        futures: list[asyncio.Future[Transaction]] = []

        def committed(transaction: Transaction) -> None:
            assert isinstance(transaction, PlainBatch) and transaction.finished == 1
            assert engine.get(b"k") == b"v"
            told.append(transaction)
            pending.extend(not future.done() for future in futures)

        def job(transaction: Transaction) -> Transaction:
            plain(transaction).put(b"k", b"v")
            return transaction

        with opened(storage, committed) as engine:
            futures = [asyncio.ensure_future(engine.submit(job)) for _ in range(3)]
            batches = await asyncio.gather(*futures)
        assert set(batches) == set(told)
        assert pending and all(pending[:3])

    @pytest.mark.parametrize(
        ("start", "stop", "bytes_max", "keys"),
        [
            (b"b", b"d", 100, [b"b", b"c"]),
            (b"bb", b"z", 100, [b"c", b"d"]),
            (b"a", b"z", 8, [b"a", b"b"]),
            (b"a", b"z", 11, [b"a", b"b"]),
            (b"a", b"z", 0, [b"a"]),
            (b"e", b"z", 100, []),
            (b"c", b"c", 100, []),
        ],
    )
    async def test_engine_scan(
        self, storage: Storage, start: bytes, stop: bytes, bytes_max: int, keys: list[bytes]
    ) -> None:
        with opened(storage) as engine:
            await asyncio.gather(*[engine.submit(put(key, b"123")) for key in (b"d", b"b", b"a", b"c")])
            assert engine.scan(start, stop, bytes_max) == [(key, b"123") for key in keys]

    @pytest.mark.parametrize(
        ("ranges", "count", "keys"),
        [
            ([(b"a", b"z")], 9, [[b"a", b"b", b"c", b"d"]]),
            ([(b"a", b"z")], 2, [[b"a", b"b"]]),
            ([(b"b", b"d"), (b"a", b"b"), (b"bb", b"bc")], 9, [[b"b", b"c"], [b"a"], []]),
            ([(b"e", b"z"), (b"d", b"e"), (b"c", b"c")], 9, [[], [b"d"], []]),
            ([], 9, []),
        ],
    )
    async def test_engine_first_keys(
        self, storage: Storage, ranges: list[tuple[bytes, bytes]], count: int, keys: list[list[bytes]]
    ) -> None:
        with opened(storage) as engine:
            await asyncio.gather(*[engine.submit(put(key, b"123")) for key in (b"d", b"b", b"a", b"c")])
            assert engine.first_keys(ranges, count) == keys

    async def test_engine_close_commits_what_was_submitted(self, storage: Storage) -> None:
        with opened(storage) as engine:
            futures = [engine.submit(put(b"%d" % n, b"v")) for n in range(10)]
        await asyncio.gather(*futures)
        with opened(storage) as engine:
            assert len(engine.scan(b"0", b"a", 10**6)) == 10

    async def test_engine_counts_commits_their_jobs_and_what_waits_for_the_next(self, storage: Storage) -> None:
        with opened(storage) as engine:
            jobs = [engine.submit(put(b"k%d" % n, b"v")) for n in range(3)]
            assert engine.queued == 3
            await asyncio.gather(*jobs)
            await engine.submit(put(b"k", b"v"))
            figures = engine.figures
            assert sum(figures.commit_s.counts) == sum(figures.commit_jobs.counts) >= 2
            assert (figures.commit_jobs.total, figures.refused, engine.queued) == (4, 0, 0)
            assert figures.commit_s.total > 0 and engine.space().store > 0
            assert not any(engine.condition)

    async def test_engine_full_disk_refuses_what_grows_and_takes_the_rest(
        self, storage: Storage, disk_of: DiskOf
    ) -> None:
        with opened(storage) as engine:
            await engine.submit(put(b"k", b"old"), grows=True)
            assert not engine.is_full
            disk_of.fill()
            await until_full(engine)
            with pytest.raises(StorageFault):
                await engine.submit(put(b"k", b"new"), grows=True)
            assert engine.get(b"k") == b"old"
            for n in range(20):
                await engine.submit(put(b"setting", b"%d" % n * 1000))
            await engine.submit(lambda transaction: plain(transaction).delete(b"k"))
            assert (engine.get(b"k"), engine.get(b"setting")) == (None, b"19" * 1000)
            assert engine.condition.has_no_room and not engine.condition.hangs

    async def test_engine_full_disk_opens_and_says_so(self, storage: Storage, disk_of: DiskOf) -> None:
        with opened(storage) as engine:
            await engine.submit(put(b"k", b"v"), grows=True)
            disk_of.fill()
            await until_full(engine)
        with opened(storage) as engine:
            assert engine.is_full and engine.get(b"k") == b"v"
            await engine.submit(put(b"setting", b"v"))
            assert engine.is_full

    async def test_engine_full_disk_takes_what_grows_once_it_has_room(self, storage: Storage, disk_of: DiskOf) -> None:
        with opened(storage) as engine:
            disk_of.fill()
            await until_full(engine)
            disk_of.relieve()
            async with asyncio.timeout(PATIENCE_S):
                while engine.is_full:
                    await asyncio.sleep(0.01)
            await engine.submit(put(b"k", b"v"), grows=True)
            assert engine.get(b"k") == b"v"

    async def test_engine_exhausted_disk_takes_nothing_and_recovers(self, storage: Storage, disk_of: DiskOf) -> None:
        with opened(storage) as engine:
            await engine.submit(put(b"k", b"old"))
            disk_of.exhaust()
            for _ in range(3):
                jobs = [engine.submit(put(b"k", b"new"), grows=n % 2 == 0) for n in range(4)]
                outcomes = await asyncio.gather(*jobs, return_exceptions=True)
                assert all(isinstance(outcome, StorageFault) for outcome in outcomes)
                assert engine.is_full and engine.get(b"k") == b"old"
            assert engine.figures.refused >= 3 and (engine.condition.fails or engine.condition.has_no_room)
            disk_of.relieve()
            await engine.submit(put(b"k", b"new"))
            assert engine.get(b"k") == b"new" and not engine.is_full

    async def test_engine_closing_twice_is_closing_once(self, storage: Storage) -> None:
        with opened(storage) as engine:
            engine.close()
