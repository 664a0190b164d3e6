"""The whole story of an operator, through HTTP and the command: grow, lose a node, replace it, change one's mind, and
move."""

from __future__ import annotations

import os
import sys

import pytest

from gossip.view import Address
from tests.cluster import ROOT, Client, Processes, eventually, fresh_addresses
from tests.commands import Done, run
from tests.process.views import counts_of, one_view
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


async def kvs(endpoints: list[Address], *arguments: str) -> Done:
    """`kvs view-change`, where there is no terminal."""
    environment = {**os.environ, "KVS_ENDPOINTS": ",".join(endpoints)}
    command = [sys.executable, "-m", "kvs.cli", "view-change", *arguments]
    return await run(*command, environment=environment, directory=ROOT, timeout_s=60)


async def test_process_operator_grows_replaces_and_moves_each_in_one_command(
    processes: Processes, http: Client
) -> None:
    a, b, c, d, e, f = nodes = fresh_addresses(6)
    await processes.start_all([a, b, c])
    for newcomer in (d, e, f):
        await processes.start(newcomer, [a, b, c])
    load = Load(http, [a, b], 600)
    await load.fill()

    done = await kvs([b], "--add", d)
    assert done.status == 0
    await one_view(http, nodes, [a, b, c, d])
    assert sum(await counts_of(http, nodes)) == 600

    lost = await http.key_count(c)

    async def told() -> bool:
        shown = (await http.ask(a, "GET", "/kvs/status")).json["nodes"]
        return any(node["address"] == c and node["key-count"] == lost for node in shown)

    await eventually(told, "a knows how many keys c has")
    await processes[c].kill()
    refused = await kvs([a], "--remove", c)
    assert refused.status == 2 and refused.out == "" and len(refused.errors) == 1
    assert f"an unknown number of keys ({lost} when last heard) would be lost: only {c}" in refused.errors[0]
    reply = await http.ask(a, "PUT", "/kvs/view-change", b'{"view":"%b","if-safe":true}' % f"{a},{b},{d}".encode())
    assert (reply.status, reply.json["keys-at-risk"], reply.json["unreachable"]) == (409, lost, [c])
    assert (await http.view_of(a))[2] == {a, b, c, d}

    done = await kvs([a, b], "--replace", c, e, "--force")
    assert done.status == 0 and f"Given up: an unknown number of keys ({lost} when last heard)" in done.errors
    assert sum(await counts_of(http, [a, b, d, e])) == 600 - lost
    again = await kvs([a, b], "--replace", c, e)
    assert again.status == 0 and again.errors == [f"Note: {e} has taken the place of {c} already"]
    await processes[c].start()

    async def home() -> bool:
        return sum(await counts_of(http, [a, b, d, e])) == 600

    await eventually(home, "it brings home what was given up")
    done = await kvs([a, b], "--to", f"{e},{f}")
    assert done.status == 0 and sum(await counts_of(http, [e, f])) == 600
    await load.check_all(nodes)


@pytest.mark.parametrize("killed", ["nobody", "coordinator", "donor"])
async def test_process_operator_takes_back_a_mistake_in_the_middle_of_the_move(
    processes: Processes, http: Client, killed: str
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all(nodes)
    load = Load(http, nodes, 3000)
    await load.fill()
    before = await counts_of(http, nodes)
    reply = await http.change_view(a, [a, b], "?wait=false")
    assert reply.status == 202
    if killed != "nobody":
        victim = processes[a if killed == "coordinator" else c]
        await victim.kill()
        await victim.start()
    undone = await kvs([b, c, a], "--undo")
    if undone.status != 0:  # It has settled meanwhile, or the process that was killed was still starting.
        assert undone.status in (2, 3), undone
        assert (await kvs([b], "--to", ",".join(nodes))).status == 0
    await one_view(http, nodes, nodes)
    counts = await counts_of(http, nodes)
    assert sum(counts) == 3000
    if undone.status == 0:
        assert counts == before, "the table is the one before"
    load.keys = load.keys[::10]
    await load.check_all(nodes)
