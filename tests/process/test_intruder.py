"""The attempts of `make attack` that are over at once, on nodes as processes: none succeeds, and on open nodes they do.

What takes containers, their network, clients beside it or minutes, is left to `make attack`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme

from gossip.view import Address, host_of, port_of
from tests.cluster import Client, Processes, fresh_addresses
from tests.docker.attacks.intruder import odd_http, of_tls, peers, requests
from tests.docker.attacks.intruder.wire import CANARY, CANARY_VALUE, PLANTED, Attempt, Got, Place, Target
from tests.locks import Locks
from tests.node.certs import issue
from tests.node.tokens import READ

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

AT_ONCE = 8
OF_TIME = "by the time it takes"
"""Those that measure: not beside other tests."""
ATTEMPTS = [
    attempt
    for attempt in (*requests.ATTEMPTS, *odd_http.ATTEMPTS, *of_tls.ATTEMPTS, *peers.ATTEMPTS)
    if not attempt.name.startswith(OF_TIME)
]
ON_OPEN_NODES = [
    "every route, without a token",
    "with a token for read: change something",
    "two readings of one request: an absolute URI",
]
"""Some that are let in where nothing is closed: so they look in the right place."""


async def make_all(attempts: Sequence[Attempt], place: Place) -> dict[str, Got]:
    places = asyncio.Semaphore(AT_ONCE)

    async def make(attempt: Attempt) -> Got:
        async with places:
            return await attempt.make(place)

    got = await asyncio.gather(*map(make, attempts))
    return {attempt.name: each for attempt, each in zip(attempts, got, strict=True)}


def place_of(nodes: Sequence[Address], clear: Address, me: Address, directory: Path, tls: bool) -> Place:
    targets = [Target(host_of(node), port_of(node), tls) for node in nodes]
    issue(directory / "own", trustme.CA(), host_of(me))
    return Place(targets, Target(host_of(clear), port_of(clear), False), host_of(me), directory / "own", READ)


class TestLocked:
    @pytest.fixture
    def locks(self, tmp_path: Path) -> Locks:
        return Locks(tmp_path)

    async def test_intruder_gets_nothing(self, processes: Processes, http: Client, tmp_path: Path) -> None:
        *nodes, clear, me = fresh_addresses(4)
        await processes.start_all(nodes, REPL_FACTOR="2")
        assert (await http.put(nodes[0], CANARY, CANARY_VALUE)).status == 201
        alone = processes.make(clear, [clear])
        for name in ("TLS_CERT", "TLS_KEY", "TLS_CA"):
            del alone.environment[name]
        await alone.start()
        view = await http.view_of(nodes[0])
        got = await make_all(ATTEMPTS, place_of(nodes, clear, me, tmp_path, tls=True))
        assert {name: each.seen for name, each in got.items() if each.has_succeeded} == {}
        for node in nodes:
            assert (await http.get(node, CANARY)).json["value"] == CANARY_VALUE
            assert (await http.get(node, PLANTED)).status == 404
            assert await http.view_of(node) == view
        logs = [processes[node].log.read_text() for node in (*nodes, clear)]
        assert not any("Traceback" in log for log in logs)


async def test_intruder_is_let_in_where_all_is_open(processes: Processes, http: Client, tmp_path: Path) -> None:
    *nodes, me = fresh_addresses(3)
    await processes.start_all(nodes, REPL_FACTOR="2")
    assert (await http.put(nodes[0], CANARY, CANARY_VALUE)).status == 201
    attempts = [attempt for attempt in ATTEMPTS if attempt.name in ON_OPEN_NODES]
    assert len(attempts) == len(ON_OPEN_NODES)
    for attempt in attempts[::-1]:  # The first one changes the view, of all things.
        got = await attempt.make(place_of(nodes, nodes[1], me, tmp_path, tls=False))
        assert got.has_succeeded, (attempt.name, got.seen)
