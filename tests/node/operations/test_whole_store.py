"""Each question about the keys of a shard comes to the part that answers it."""

from __future__ import annotations

from itertools import islice

import pytest

from node.net.messages import (
    Export,
    Exported,
    FetchedRange,
    FetchPartitions,
    FetchRange,
    Listed,
    ListKeys,
    Range,
    Stretch,
)
from node.operations import shard_inquiry
from node.operations.export_progress import Progress
from node.operations.routing import Routing
from node.operations.whole_store import WholeStore
from ring.hashing import partition_of
from ring.sets import ALL, BYTES
from tests.node.parts import A, B, Parts, node_a, on_virtual_time, record


def whole_store(parts: Parts) -> WholeStore:
    config, time, views, calls = parts.config, parts.time, parts.views, parts.calls
    routing = Routing(config, time, views, parts.readiness, calls, parts.peers)
    return WholeStore(config, time, parts.store, views, parts.readiness, parts.co_owners, calls, routing, time.wall_ms)


@on_virtual_time
async def test_whole_store_answers_what_is_asked() -> None:
    parts = await node_a(A)
    (key,) = parts.own_keys(1)
    await parts.keep((key, record(3)))
    whole = whole_store(parts)
    everything, range_ = Stretch(ALL.to_bytes(BYTES), b"", b""), Range(b"", b"", 10, 1000)
    line = b'{"key":"%b","value":1}\n' % key
    assert await whole.serve(Export(everything, 1000), 1.0) == Exported(line, None)
    assert isinstance(await whole.serve(ListKeys(range_, True), 1.0), Listed)
    fetched = await whole.fetch(B, FetchPartitions(everything, 1000))
    assert isinstance(fetched, FetchedRange) and fetched.records == ((key, record(3).encode()),)
    fetched = await whole.fetch(A, FetchRange(range_, True))
    assert isinstance(fetched, FetchedRange) and fetched.records == ((key, record(3).encode()),)
    assert [listed for listed, *_ in (await whole.lister.page(b"", b"", 10, True)).entries] == [key]
    told = list[bytes]()

    async def take(lines: bytes, _: Progress) -> None:
        told.append(lines)

    await whole.exporter.export(b"", Progress(), take)
    assert told == [line]


@on_virtual_time
async def test_listing_gets_past_whatever_was_deleted_each_page_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk through all of it takes longer than a request may."""
    parts = await node_a(A, B)
    monkeypatch.setattr(shard_inquiry, "PAUSE_S", 0.02)
    names = sorted(islice(parts.keys_of(A), 6000))
    last, deleted = names[-1], record(3, None).encode()
    await parts.store.merge(parts.views.view_id, [(partition_of(key), key, deleted) for key in names[:-1]])
    await parts.keep((last, record(3)))
    parts.peers.script[B] = lambda _: Listed((), None)
    lister, found, pages = whole_store(parts).lister, list[bytes](), 0
    after: bytes | None = b""
    while after is not None:
        began = parts.time.monotonic()
        page = await lister.page(b"", after, 1000, False)
        assert parts.time.monotonic() - began < parts.config.request_s
        found += [key for key, *_ in page.entries]
        after, pages = page.end, pages + 1
    assert found == [last] and 1 < pages < 10
