"""A pair of nodes for all the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster import Cluster, client, fresh_addresses
from tests.node.api.two_nodes import Pair


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    nodes, cluster = fresh_addresses(2), Cluster(tmp_path_factory.mktemp("pair"))
    async with client() as http:
        await cluster.start_all(nodes)
        yield Pair(http, cluster, nodes)
        await cluster.close()
