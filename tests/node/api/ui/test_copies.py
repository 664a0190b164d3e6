"""Where each copy of a key stands, as the owners themselves say."""

from __future__ import annotations

import pytest

from gossip.view import Address
from node.api.ui.copies import key_of
from node.errors import RequestFault
from tests.cluster import Client, Cluster, eventually, fresh_addresses
from tests.node.api.two_nodes import TwoNodes


async def test_copies_are_told_by_every_owner(cluster: Cluster, http: Client) -> None:
    a, b, c = fresh_addresses(3)
    await cluster.start_all([a, b, c], repl_factor=3)

    async def etag_of_write() -> str | None:
        return (await http.put(a, "k", "word")).headers.get("ETag")

    etag = await eventually(etag_of_write, "a write")

    async def all_have_it() -> bool:
        told = (await http.ask(b, "GET", "/ui/copies?key=k")).json["copies"]
        return [(copy["address"], copy["state"], copy.get("etag")) for copy in told] == [
            (node, "value", etag) for node in (a, b, c)
        ]

    await eventually(all_have_it, "a copy on each")
    copies = (await http.ask(c, "GET", "/ui/copies?key=k")).json["copies"]
    (copy,) = [copy for copy in copies if copy["address"] == c]
    assert (copy["bytes"], copy["owner"], copy["expires-ms"]) == (len('"word"'), True, None)
    await cluster.stop(c)

    async def is_gone() -> bool:
        return (await http.ask(a, "DELETE", "/kvs/keys/k")).status == 404

    await eventually(is_gone, "nothing to delete any more")

    async def is_deleted() -> bool:
        told = (await http.ask(a, "GET", "/ui/copies?key=k")).json["copies"]
        return {copy["address"]: copy["state"] for copy in told} == {a: "deleted", b: "deleted", c: "unknown"}

    await eventually(is_deleted, "deleted where it can be")


@pytest.mark.asyncio(loop_scope="module")
async def test_copies_of_a_key_that_nobody_has(two: TwoNodes) -> None:
    for node in two.nodes:
        told = (await two.http.ask(node, "GET", "/ui/copies?key=nothing")).json
        assert told["message"] == "Copies retrieved successfully" and 0 <= told["partition"] < 4096

        async def is_nowhere(node: Address = node) -> bool:
            copies = (await two.http.ask(node, "GET", "/ui/copies?key=nothing")).json["copies"]
            return bool(copies == [{"address": two.owner("nothing"), "state": "none", "owner": True}])

        await eventually(is_nowhere, "its owner has nothing")


@pytest.mark.parametrize(
    ("query", "key"),
    [("key=a", b"a"), ("key=%C3%A9%2F", "é/".encode()), ("key=" + "x" * 50, b"x" * 50)],
)
def test_copies_key_of_a_query(query: str, key: bytes) -> None:
    assert key_of(query) == key


@pytest.mark.parametrize("query", ["", "key=", "key=" + "x" * 51, "key=a&key=b", "name=a", "key=%ff"])
def test_copies_of_what_is_no_key_are_refused(query: str) -> None:
    with pytest.raises(RequestFault):
        key_of(query)
