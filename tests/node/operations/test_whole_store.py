"""Each question about the keys of a shard comes to the part that answers it."""

from __future__ import annotations

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
from node.operations.export_progress import Progress
from node.operations.routing import Routing
from node.operations.whole_store import WholeStore
from ring.sets import ALL, BYTES
from tests.node.parts import A, B, node_a, on_virtual_time, record


@on_virtual_time
async def test_whole_store_answers_what_is_asked() -> None:
    parts = await node_a(A)
    (key,) = parts.own_keys(1)
    await parts.keep((key, record(3)))
    config, time, views, calls = parts.config, parts.time, parts.views, parts.calls
    routing = Routing(config, time, views, parts.readiness, calls, parts.peers)
    whole = WholeStore(config, time, parts.store, views, parts.readiness, parts.co_owners, calls, routing, time.wall_ms)
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
