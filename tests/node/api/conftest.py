"""Two nodes for all the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster import Cluster, client, fresh_addresses
from tests.node.api.two_nodes import TwoNodes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoNodes]:
    nodes, cluster = fresh_addresses(2), Cluster(tmp_path_factory.mktemp("two"))
    async with client() as http:
        await cluster.start_all(nodes)
        yield TwoNodes(http, cluster, nodes)
        await cluster.close()
