"""Do nodes answer as they say? Schemathesis asks them by their own description, and judges every answer.

Three nodes, two copies. What it sends is drawn from the description: what is to be accepted, what is to be refused,
methods that there are not, and courses of requests in which one has what another has made. `SEED=7` draws other ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gossip.view import Address
from tests.cluster import ROOT, Client, Processes, eventually, fresh_addresses
from tests.commands import Done, run
from tests.node.tokens import ADMIN, bearing, tokens_file

pytestmark = [pytest.mark.api, pytest.mark.timeout(600)]

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
WRITTEN, STAYS = "written-", "written-for-good"
EXAMPLES = "10"
PATIENCE_S = 500.0
"""One run takes some 20 s on a machine that does nothing else."""


async def started(processes: Processes, http: Client, token: str | None = None, **environment: str) -> list[Address]:
    """Three nodes that reach each other."""
    nodes = fresh_addresses(3)
    await asyncio.gather(*(processes.start(node, nodes, REPL_FACTOR="2", **environment) for node in nodes))

    async def is_one() -> bool:
        asked = [await http.ask(node, "GET", "/kvs/view-change", headers=bearing(token)) for node in nodes]
        return all(shown["keys"] is not None for reply in asked for shown in reply.json["nodes"])

    await eventually(is_one, "nodes reaching each other")
    return nodes


@asynccontextmanager
async def writing(http: Client, nodes: list[Address], token: str | None) -> AsyncIterator[None]:
    """Meanwhile there is a key that stays, and others are put, deleted and expire."""

    assert (await http.ask(nodes[0], "PUT", f"/kvs/keys/{STAYS}", b'{"value":1}', bearing(token))).status == 201

    async def write() -> None:
        for number in count():
            path = f"/kvs/keys/{WRITTEN}{number % 8}"
            node = nodes[number % len(nodes)]
            await http.ask(node, "PUT", path, b'{"value":[1.50,null],"ttl":0.5}', bearing(token))
            if number % 3 == 0:
                await http.ask(node, "DELETE", path, headers=bearing(token))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def judge(directory: Path, nodes: list[Address], description: str, *options: str, **environment: str) -> Done:
    """What Schemathesis says. `directory`: for what it keeps; `description`: where it stands."""
    told = {"KVS_NODES": ",".join(nodes), "KVS_WRITTEN": WRITTEN, "SCHEMATHESIS_HOOKS": "tests.api.hooks"}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run", description]
    settings = ["--checks", "all", "--seed", os.environ.get("SEED") or "1", "--max-examples", EXAMPLES, "--no-color"]
    settings += ["--continue-on-failure", "--request-timeout", "30", *options]
    environment = {**os.environ, **told, "PYTHONPATH": str(ROOT), **environment}
    done = await run(*command, *settings, environment=environment, directory=directory, timeout_s=PATIENCE_S)
    print(done.out, *done.errors, sep="\n")
    return done


async def description_of(http: Client, node: Address, token: str | None = None) -> dict[str, Any]:
    described: dict[str, Any] = (await http.ask(node, "GET", "/openapi.json", headers=bearing(token))).json
    return described


async def test_schemathesis_finds_no_fault_and_no_answer_that_is_not_described(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = await started(processes, http)
    async with writing(http, nodes, None):
        done = await judge(tmp_path, nodes, f"http://{nodes[0]}/openapi.json")
    assert done.status == 0, done.out


async def test_schemathesis_finds_no_fault_with_the_token_of_an_admin(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = await started(processes, http, ADMIN, TOKENS_FILE=str(tokens_file(tmp_path)))
    authorization = f"Authorization: Bearer {ADMIN}"
    async with writing(http, nodes, ADMIN):
        done = await judge(
            tmp_path, nodes, f"http://{nodes[1]}/openapi.json", "--header", authorization, KVS_TOKEN=ADMIN
        )
    assert done.status == 0, done.out


async def test_schemathesis_is_told_401_without_a_token_whatever_it_asks(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = await started(processes, http, ADMIN, TOKENS_FILE=str(tokens_file(tmp_path)))
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(await description_of(http, nodes[2], ADMIN)))
    async with writing(http, nodes, ADMIN):
        done = await judge(
            tmp_path, nodes, str(file), "--url", f"http://{nodes[2]}", KVS_TOKEN=ADMIN, KVS_REFUSED="yes"
        )
    assert done.status == 0, done.out


async def test_schemathesis_finds_what_the_description_leaves_out(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    """A status, and what a field may be: else the tests above could not fail."""
    nodes = await started(processes, http)
    described, file = await description_of(http, nodes[0]), tmp_path / "openapi.json"
    del described["paths"]["/kvs/keys/{key}"]["put"]["responses"]["201"]
    described["components"]["schemas"]["Missing"]["properties"]["error"] = {"type": "integer"}
    file.write_text(json.dumps(described))
    chosen = ["--include-path", "/kvs/keys/{key}", "--phases", "coverage", "--url", f"http://{nodes[0]}"]
    done = await judge(tmp_path, nodes, str(file), *chosen)
    assert done.status == 1
    assert "Undocumented status code" in done.out and "Response violates schema" in done.out
