"""The Python client beside real nodes: the examples of docs/client.md, and a store whose nodes come, go and move.

The nodes run as processes; the examples as programs of their own, as a reader would run them.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

import kvs
from tests.cluster import PATIENCE_S, ROOT, Client, Processes, eventually, fresh_addresses
from tests.commands import run

pytestmark = pytest.mark.process

INNER = {"begin_batch", "bring", "call", "export_blocks", "pages", "put_on"}
"""What parts of the client call each other."""
PAGE = ROOT / "docs" / "client.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
ONE, ONE_MORE = "127.0.0.2:13800", ",127.0.0.3:13800"
"""The nodes of the examples."""


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
async def test_client_example_of_the_page_runs(processes: Processes, tmp_path: Path, example: str) -> None:
    nodes = fresh_addresses(2)
    await processes.start_all(nodes)
    program = tmp_path / "example.py"
    program.write_text(example.replace(ONE_MORE, "").replace(ONE, ",".join(nodes)))
    done = await run(sys.executable, str(program), environment={"PYTHONPATH": str(ROOT)})
    assert (done.status, done.errors) == (0, []), done


def test_client_page_names_every_public_name() -> None:
    page = PAGE.read_text()
    missing = [name for name in kvs.__all__ if not re.search(rf"`{name}\b", page)]
    assert missing == []
    for owner in (kvs.Client, kvs.AsyncClient):
        methods = {name for name in dir(owner) if not name.startswith("_")} - INNER
        assert {name for name in methods if f"`.{name}(" not in page} == set()


async def test_client_follows_its_store_through_deaths_and_changes_of_view(processes: Processes, http: Client) -> None:
    """With two copies, one node at a time is killed, and every node replaced: no call fails, nothing is lost."""
    nodes = fresh_addresses(6)
    old, new = nodes[:3], nodes[3:]
    await processes.start_all(nodes, old, REPL_FACTOR="2")
    written: dict[str, int] = {}
    is_over = False

    async with kvs.AsyncClient(old, timeout_s=PATIENCE_S) as client:

        async def write(worker: int) -> None:
            n = 0
            while not is_over:
                key = f"{worker}/{n % 50}"
                await client.put(key, n)
                written[key] = n
                found = await client.get(key)
                assert found is not None and found.value == n
                n += 1

        async with asyncio.TaskGroup() as workers:
            for worker in range(4):
                workers.create_task(write(worker))
            await asyncio.sleep(1.0)
            await processes[old[2]].kill()
            await asyncio.sleep(1.0)
            await processes[old[2]].start()
            assert (await http.change_view(old[0], new)).status == 200

            async def asks_the_new_ones() -> bool:
                owners = client._asker.nodes._ring
                return owners is not None and set().union(*owners) == set(new)

            await eventually(asks_the_new_ones, "the client knowing the new ring")
            for node in old:
                await processes[node].kill()
            await asyncio.sleep(0.5)
            is_over = True
        listed = {entry.key: entry.value async for entry in client.scan()}
    assert listed == written
