"""`GET /kvs/node`, of real nodes."""

from __future__ import annotations

import pytest

from node.release import version
from tests.cluster import eventually
from tests.node.api.two_nodes import TwoNodes

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_node_report_says_what_it_is_and_how_it_reaches_the_others(two: TwoNodes) -> None:
    a, b = two.nodes

    async def is_in_touch() -> bool:
        (seen,) = (await two.http.ask(a, "GET", "/kvs/node")).json["peers"]
        return bool(seen["reached"] and seen["clock-offset-ms"] is not None)

    await eventually(is_in_touch, "b is reached")
    told = (await two.http.ask(a, "GET", "/kvs/node")).json
    (seen,) = told.pop("peers")
    assert (seen["address"], seen["reached"], seen["name-fault"]) == (b, True, None) and seen["took-ms"] > 0
    disk = told.pop("disk")
    assert (disk["full"], disk["hangs"]) == (False, False) and 0 < disk["free-bytes"] <= disk["bytes"]
    assert told.pop("wall-ms") > 0 and told.pop("key-count") >= 0
    view = two.cluster.nodes[a].views.view_id
    assert told == {
        "message": "Node retrieved successfully",
        "address": a,
        "release": version(),
        "epoch": view.epoch,
        "digest": f"{view.digest:016x}",
        "zone": a.rpartition(":")[0],
        "zone-in-view": a.rpartition(":")[0],
        "settled": True,
        "whole": True,
        "ready": True,
        "environment": {
            "view": [a, b],
            "repl-factor": None,
            "cluster": "kvs",
            "round-trip-ms": 50,
            "log-level": "info",
            "log-format": "text",
            "slow-request-ms": 1000,
        },
    }
