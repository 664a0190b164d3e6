"""A small load on a running store: clients that read and write its own keys, each the next one once the last is done.

One process asks, on one core: where the store is faster than that, it is the client that is measured.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import msgspec

from kvs.client import AsyncClient
from kvs.errors import KvsError
from kvs.operations import Delete, Operation, Put
from kvs.values import Json

PREFIX = "kvs-bench-"


class Load(msgspec.Struct, frozen=True):
    seconds: float
    clients: int
    value_bytes: int
    """Of each value, as JSON."""
    reads: float
    """The share of reads among all operations."""
    keys: int


class Measured(msgspec.Struct, frozen=True, rename="kebab"):
    """Of one kind of operation. Times are None if none was done."""

    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    errors: int


class Measurement(msgspec.Struct, frozen=True, rename="kebab"):
    seconds: float
    reads: Measured
    writes: Measured
    first_errors: dict[str, int]
    """The most frequent ones, and how often each was met."""

    @property
    def has_done_something(self) -> bool:
        return self.reads.per_second + self.writes.per_second > 0


ERRORS_NAMED_MAX = 5


class _Kind:
    def __init__(self) -> None:
        self.took_s = array("d")
        self.errors = 0

    def measured(self, seconds: float) -> Measured:
        ordered = sorted(self.took_s)
        p50, p99, p999 = (_quantile_ms(ordered, share) for share in (0.5, 0.99, 0.999))
        return Measured(len(ordered) / seconds, p50, p99, p999, self.errors)


async def measure(client: AsyncClient, load: Load, chance: random.Random, now: Callable[[], float]) -> Measurement:
    """Put the load on the store for its time, and take the keys away again. `now`: in seconds. Raises KvsError if they
    cannot be stored in the first place, or not be removed."""
    value = Json(b'"%b"' % (b"x" * (load.value_bytes - 2)) if load.value_bytes > 1 else b"1")
    reads, writes, errors = _Kind(), _Kind(), Counter[str]()
    async with _keys(client, load.keys, value, chance) as keys:

        async def ask() -> None:
            while (began := now()) < until:
                key, is_read = chance.choice(keys), chance.random() < load.reads
                kind = reads if is_read else writes
                try:
                    await (client.get(key) if is_read else client.put(key, value))
                except KvsError as fault:
                    kind.errors += 1
                    errors[str(fault)] += 1
                    await asyncio.sleep(0)
                else:
                    kind.took_s.append(now() - began)

        begin = now()
        until = begin + load.seconds
        async with asyncio.TaskGroup() as tasks:
            for _ in range(load.clients):
                tasks.create_task(ask())
        seconds = now() - begin
    return Measurement(
        seconds, reads.measured(seconds), writes.measured(seconds), dict(errors.most_common(ERRORS_NAMED_MAX))
    )


@asynccontextmanager
async def _keys(client: AsyncClient, count: int, value: Json, chance: random.Random) -> AsyncIterator[list[str]]:
    """Keys of this run alone, stored, and removed at the end, however that comes."""
    run = f"{PREFIX}{chance.getrandbits(48):012x}-"
    keys = [f"{run}{n}" for n in range(count)]
    try:
        await _all_done(client, (Put(key, value) for key in keys))
        yield keys
    finally:
        await _all_done(client, map(Delete, keys))


async def _all_done(client: AsyncClient, operations: Iterable[Operation] | Iterator[Operation]) -> None:
    """Raises KvsError."""
    fault = None
    async for result in client.batch(operations):
        if isinstance(result, KvsError):
            fault = fault or result
    if fault is not None:
        raise fault


def _quantile_ms(ordered: list[float], share: float) -> float | None:
    return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3) if ordered else None
