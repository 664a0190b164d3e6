"""The programs in `examples/`, run as a reader would run them, beside real nodes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie

import pytest

import kvs
from gossip.view import Address, host_of, port_of
from tests.cluster import ROOT, Client, Processes, Reply, eventually, fresh_addresses

pytestmark = pytest.mark.process

OWNERS, TIMES = 6, 5


@asynccontextmanager
async def example(http: Client, name: str, nodes: Sequence[Address], at: Address) -> AsyncIterator[None]:
    """The program, once it answers `at` this address."""
    environment = {"KVS_ENDPOINTS": ",".join(nodes), "HOST": host_of(at), "PORT": str(port_of(at))}
    environment["PYTHONPATH"] = str(ROOT)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "examples" / name), env=os.environ | environment
    )

    async def answers() -> bool:
        assert process.returncode is None, f"{name} has ended"
        return (await http.ask(at, "GET", "/nothing")).status in (404, 405)

    try:
        await eventually(answers, f"{name} answering")
        yield
    finally:
        process.kill()
        await process.wait()


# The lock service


async def take(http: Client, at: Address, owner: str, ttl: object = 30) -> Reply:
    return await http.ask(at, "PUT", f"/locks/nightly?owner={owner}&ttl={ttl}")


async def give_back(http: Client, at: Address, owner: str) -> Reply:
    return await http.ask(at, "DELETE", f"/locks/nightly?owner={owner}")


async def test_example_lock_service_gives_a_lock_to_one_owner_through_all_of_its_processes(
    processes: Processes, http: Client
) -> None:
    nodes, (one, other) = fresh_addresses(2), fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    async with example(http, "lock_service.py", nodes, one), example(http, "lock_service.py", nodes, other):
        taken = await take(http, one, "web1")
        assert (taken.status, taken.json) == (200, {"owner": "web1", "token": 1})
        assert (await take(http, other, "web1")).json == taken.json, "asked again, and renewed"
        refused = await take(http, other, "web2")
        assert (refused.status, refused.json) == (409, taken.json)
        assert (await give_back(http, other, "web2")).status == 409
        assert (await give_back(http, other, "web1")).status == 204
        assert (await give_back(http, one, "web1")).status == 409
        assert (await take(http, one, "web2")).json == {"owner": "web2", "token": 2}
        assert (await give_back(http, one, "web2")).status == 204

        inside: set[str] = set()
        tokens: list[int] = []

        async def contend(owner: str) -> None:
            for turn in range(TIMES):
                while (reply := await take(http, (one, other)[turn % 2], owner)).status != 200:
                    assert reply.status in (409, 503), reply
                assert not inside
                inside.add(owner)
                tokens.append(reply.json["token"])
                await asyncio.sleep(0.01)
                inside.remove(owner)
                assert (await give_back(http, one, owner)).status == 204

        await asyncio.gather(*(contend(f"web{number}") for number in range(OWNERS)))
        assert tokens == sorted(set(tokens)) and len(tokens) == OWNERS * TIMES


async def test_example_lock_service_a_lock_expires_and_nonsense_is_refused(processes: Processes, http: Client) -> None:
    nodes, (at,) = fresh_addresses(1), fresh_addresses(1)
    await processes.start_all(nodes)
    async with example(http, "lock_service.py", nodes, at):
        for ttl in ("", "soon", "0", "-1"):
            assert (await take(http, at, "web1", ttl)).status == 400
        assert (await http.ask(at, "PUT", "/locks/nightly?ttl=3")).status == 400
        assert (await take(http, at, "web1", 0.5)).status == 200

        async def is_free() -> bool:
            return (await take(http, at, "web2")).status == 200

        await eventually(is_free, "the lock is free after its ttl")


# The session store


class Browser:
    """Keeps its cookies."""

    def __init__(self, http: Client) -> None:
        self._http = http
        self.cookies: dict[str, str] = {}

    async def ask(self, at: Address, method: str = "GET") -> Reply:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = await self._http.ask(at, method, "/", headers={"Cookie": sent} if sent else None)
        set_cookie = SimpleCookie(reply.headers.get("Set-Cookie", ""))
        self.cookies |= {name: morsel.value for name, morsel in set_cookie.items()}
        return reply


async def test_example_sessions_outlive_their_application_and_are_told_apart(
    processes: Processes, http: Client
) -> None:
    nodes, (one, other) = fresh_addresses(2), fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    ada, ben = Browser(http), Browser(http)
    async with example(http, "sessions.py", nodes, one):
        assert (await ada.ask(one)).json == {"visits": 1}
        assert (await ada.ask(one)).json == {"visits": 2}
        assert (await ben.ask(one)).json == {"visits": 1}
    async with example(http, "sessions.py", nodes, one), example(http, "sessions.py", nodes, other):
        assert (await ada.ask(other)).json == {"visits": 3}
        replies = await asyncio.gather(*(ada.ask((one, other)[turn % 2]) for turn in range(6)))
        counted = sorted(reply.json["visits"] for reply in replies if reply.status == 200)
        assert counted == list(range(4, 4 + len(counted))), "of those at the same time, none is lost"

        async with kvs.AsyncClient(nodes) as client:
            found = await client.get(f"session/{ada.cookies['session']}")
            assert found is not None and found.ttl is not None and 1700 < found.ttl <= 1800
            assert (await ada.ask(one, "DELETE")).status == 204
            assert await client.get(f"session/{ada.cookies['session']}") is None
        before = ada.cookies["session"]
        assert (await ada.ask(other)).json == {"visits": 1}
        assert ada.cookies["session"] != before, "no client makes up the name of a session"
        assert (await ben.ask(other)).json == {"visits": 2}
