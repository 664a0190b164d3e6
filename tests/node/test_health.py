"""A node is asked for its health where it listens, which need not be 127.0.0.1."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gossip.view import Address, host_of, port_of
from node.environment import read_environment
from node.health import where
from tests.cluster import ROOT, Cluster, clean_environment, fresh_addresses
from tests.commands import run
from tests.node.tokens import tokens_file

IN_DOCKER = "10.10.0.4:13800"


@pytest.mark.parametrize(
    ("address", "bind", "expected"),
    [
        (IN_DOCKER, "", ("127.0.0.1", 13800)),
        (IN_DOCKER, "0.0.0.0", ("127.0.0.1", 13800)),
        (IN_DOCKER, "10.10.0.4", ("10.10.0.4", 13800)),
        (IN_DOCKER, "::", ("::1", 13800)),
        (IN_DOCKER, "[fd00::4]", ("fd00::4", 13800)),
        ("127.0.0.7:80", "", ("127.0.0.7", 80)),
        ("127.0.0.7:80", "127.0.0.9", ("127.0.0.9", 80)),
        ("[::1]:80", "", ("::1", 80)),
        ("node1:80", "", ("127.0.0.1", 80)),
    ],
)
def test_health_is_asked_where_the_node_listens(address: Address, bind: str, expected: tuple[str, int]) -> None:
    environment = {"ADDRESS": address, "VIEW": address, "BIND": bind}
    assert where(read_environment(environment)) == expected


async def test_health_of_a_node_by_its_environment_while_it_is_up_and_down(cluster: Cluster) -> None:
    (node,) = fresh_addresses(1)
    environment = clean_environment({"ADDRESS": f"node1:{port_of(node)}", "VIEW": "node1:1", "BIND": host_of(node)})
    await cluster.start(node, [node])
    up = await run(sys.executable, "-m", "node.health", environment=environment, directory=ROOT)
    await cluster.stop(node)
    down = await run(sys.executable, "-m", "node.health", environment=environment, directory=ROOT)
    assert (up.status, down.status) == (0, 1)


def test_health_is_what_the_image_asks() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert 'CMD ["python", "-m", "node.health"]' in text and "127.0.0.1" not in text


async def test_health_of_a_node_that_wants_tokens_is_told_without_one(cluster: Cluster, tmp_path: Path) -> None:
    (node,) = fresh_addresses(1)
    file = tokens_file(tmp_path)
    await cluster.start(node, [node], tokens_file=file)
    environment = {"ADDRESS": node, "VIEW": node, "TOKENS_FILE": str(file)}
    assert (await run(sys.executable, "-m", "node.health", environment=environment, directory=ROOT)).status == 0
    file.write_text("spoilt since")
    assert (await run(sys.executable, "-m", "node.health", environment=environment, directory=ROOT)).status == 0
