"""Nodes of which an operator vouches that they are gone for good: what nobody could decide without them, goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossip.view import Address
from tests.cluster import Client, Cluster, Reply, client, fresh_addresses


async def put_new(http: Client, node: Address, key: str) -> Reply:
    return await http.ask(node, "PUT", f"/kvs/keys/{key}", b'{"value":1}', headers={"If-None-Match": "*"})


async def change(http: Client, node: Address, method: str = "PUT", **fields: object) -> Reply:
    body = json.dumps({name.replace("_", "-"): value for name, value in fields.items()}).encode()
    return await http.ask(node, method, "/kvs/view-change", body)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "once it was found out"])
async def test_admin_gone_for_good_lets_what_is_left_decide(tmp_path: Path, at_once: bool) -> None:
    """Most of the nodes are lost. Whether they are gone, or serve others beyond a cut, nobody else can tell."""
    nodes = a, b, c = fresh_addresses(3)
    cluster = Cluster(tmp_path)
    async with client() as http:
        try:
            await cluster.start_all(nodes)
            assert (await put_new(http, a, "before")).status == 201
            await cluster.stop(b)
            await cluster.stop(c)
            if not at_once:
                assert (await change(http, a, view=a)).status == 200
                unknown = await put_new(http, a, "new")
                assert unknown.status == 503 and "Retry-After" in unknown.headers
                assert unknown.json == {
                    "error": "Unable to satisfy request",
                    "message": "Error in PUT",
                    "unreachable": sorted([b, c]),
                }
                assert (await http.get(a, "new")).status == 404
                assert (await change(http, a, view=a)).status == 200, "which changes nothing"
                assert (await put_new(http, a, "new")).status == 503
            assert (await change(http, a, view=a, gone_for_good=True)).status == 200
            epoch, _, held = await http.view_of(a)
            assert (epoch, held) == (1 if at_once else 2, frozenset({a}))
            assert (await put_new(http, a, "new")).status == 201
            assert (await put_new(http, a, "new")).status == 412
            assert (await change(http, a, view=a, gone_for_good=True)).status == 200
            assert (await http.view_of(a))[0] == epoch, "there is nothing left to vouch for"
        finally:
            await cluster.close()
