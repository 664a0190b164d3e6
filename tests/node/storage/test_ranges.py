"""What is read of ranges of keys lies in them, and in their partitions."""

from __future__ import annotations

from node.storage.store import Store
from tests.node.parts import A, node_a, on_virtual_time, record

RECORD = record(3).encode()
HELD = [(1, b"a"), (1, b"ab"), (1, b"b"), (2, b"a"), (3, b"\xff")]


async def store_with(*held: tuple[int, bytes]) -> Store:
    parts = await node_a(A)
    await parts.store.merge(parts.views.view_id, [(*place, RECORD) for place in held])
    return parts.store


@on_virtual_time
async def test_ranges_records_of_one_partition() -> None:
    ranges = (await store_with(*HELD)).ranges
    for first, stop, keys in ((b"\0", b"", [b"a", b"ab", b"b"]), (b"a\0", b"b", [b"ab"]), (b"c", b"", [])):
        assert ranges.records(1, first, stop, 10**6) == [(key, RECORD) for key in keys]
    assert ranges.records(1, b"\0", b"", 1) == [(b"a", RECORD)]
    assert ranges.encoded(2, b"a") == RECORD and ranges.encoded(2, b"b") is None


@on_virtual_time
async def test_ranges_first_keys_of_many_partitions() -> None:
    ranges = (await store_with(*HELD)).ranges
    assert ranges.first_keys([3, 1, 0, 2], b"\0", b"", 2) == [[b"\xff"], [b"a", b"ab"], [], [b"a"]]
    assert ranges.first_keys([1, 2, 3], b"a\0", b"b", 9) == [[b"ab"], [], []]


@on_virtual_time
async def test_ranges_figures_are_others_after_each_change() -> None:
    parts = await node_a(A)
    ranges, view_id = parts.store.ranges, parts.views.view_id
    seen = [ranges.figures[1]]
    for encoded in (RECORD, record(4).encode(), None, RECORD):
        if encoded is None:
            await parts.store.drop(view_id, [(1, b"a", record(4).version)])
        else:
            await parts.store.merge(view_id, [(1, b"a", encoded)])
        seen.append(ranges.figures[1])
    assert len({id(figures) for figures in seen}) == 5
    await parts.store.merge(view_id, [(2, b"a", RECORD)])
    assert ranges.figures[1] is seen[-1]
