"""Reading a key once it is not any more as the client has it."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from node.api.waiting import BAD_WAIT, wait_s_of
from node.errors import RequestFault
from tests.cluster import Reply, eventually
from tests.node.api.two_nodes import TwoNodes, fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG, SHORT = "30", "0.2"


async def ask(two: TwoNodes, key: str, wait: str, etag: str | None = None, node: int = 0, method: str = "GET") -> Reply:
    headers = {} if etag is None else {"If-None-Match": etag}
    return await two.http.ask(two.nodes[node], method, f"/kvs/keys/{key}?wait={wait}", headers=headers)


async def waiting(two: TwoNodes, key: str, etag: str | None, node: int) -> asyncio.Task[Reply]:
    """A client that waits by now."""
    task = asyncio.ensure_future(ask(two, key, LONG, etag, node))
    hub = two.cluster.nodes[two.nodes[node]].hub

    async def is_watched() -> bool:
        return (key.encode(), True) in hub._watchers

    await eventually(is_watched)
    return task


@pytest.mark.parametrize("node", [0, 1])
async def test_another_version_is_answered_as_soon_as_it_is_there(two: TwoNodes, node: int) -> None:
    etag = (await two.http.put(two.nodes[0], "awaited", 1)).headers["ETag"]
    task = await waiting(two, "awaited", etag, node)
    written = await two.http.put(two.nodes[0], "awaited", 2)
    reply = await task
    assert (reply.status, reply.json["value"]) == (200, 2)
    assert reply.headers["ETag"] == written.headers["ETag"]


async def test_what_is_deleted_is_a_404(two: TwoNodes) -> None:
    etag = (await two.http.put(two.nodes[0], "deleted", 1)).headers["ETag"]
    task = await waiting(two, "deleted", etag, 1)
    await two.http.ask(two.nodes[0], "DELETE", "/kvs/keys/deleted")
    assert (await task).status == 404


async def test_what_expires_is_a_404(two: TwoNodes) -> None:
    path = "/kvs/keys/expired"
    etag = (await two.http.ask(two.nodes[0], "PUT", path, b'{"value":1,"ttl":0.3}')).headers["ETag"]
    assert (await ask(two, "expired", LONG, etag)).status == 404


async def test_what_does_not_exist_is_waited_for(two: TwoNodes) -> None:
    task = await waiting(two, "created", None, 1)
    await two.http.put(two.nodes[0], "created", 1)
    assert (await task).json["value"] == 1
    assert (await ask(two, "created", LONG)).status == 200  # At once.


async def test_what_does_not_exist_is_another_version(two: TwoNodes) -> None:
    assert (await ask(two, "nothing", LONG, '"ab"')).status == 404


async def test_after_the_wait_all_is_as_before(two: TwoNodes) -> None:
    etag = (await two.http.put(two.nodes[0], "same", 1)).headers["ETag"]
    for method in ("GET", "HEAD"):
        began = monotonic()
        reply = await ask(two, "same", SHORT, etag, method=method)
        assert reply.status == 304 and monotonic() - began >= float(SHORT)
    assert (await ask(two, "absent", SHORT)).status == 404


async def test_a_bad_wait_or_key_is_refused_at_once(two: TwoNodes) -> None:
    reply = await ask(two, "k", "0")
    assert (reply.status, reply.body) == (
        400,
        fault(BAD_WAIT, "GET"),
    )
    assert (await ask(two, "x" * 51, LONG)).status == 404
    assert (await ask(two, "%ff", LONG)).status == 400


@pytest.mark.parametrize("text", ["", "-1", "0", "0.0", "301", "nan", "1e3", "1e-999", "1e", "٣", "1,5", "+1"])
async def test_no_wait_is(text: str) -> None:
    with pytest.raises(RequestFault, match="Malformed wait"):
        wait_s_of(text)


async def test_a_wait_may_be_a_fraction() -> None:
    assert [wait_s_of(text) for text in ("300", "0.25", "1.0", "1e2", "5E-05")] == [300, 0.25, 1, 100, 0.00005]
