"""Nodes that have names: one whose look-up gets no answer is passed over, and the end does not wait for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_aiohttp import AiohttpServer

from kvs.errors import Unreachable
from kvs.names import Names
from kvs.operating import Operator
from tests.kvs.fake_store import FakeStore, endpoint_of

PATIENCE_S = 0.05
ADDRESSES = ["10.0.0.1", "10.0.0.1", "fd00::1"]


class FakeSystem:
    """Its look-ups: names that begin with `silent` get no answer before the end, `none…` do not exist."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.ends = threading.Event()

    def getaddrinfo(self, host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        self.asked[host] += 1
        if host.startswith("silent"):
            self.ends.wait(20)
        if host.startswith("none"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(0, 0, 0, "", (address, 0)) for address in ADDRESSES]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystem]:
    fake = FakeSystem()
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", fake.getaddrinfo)
        yield fake
    fake.ends.set()


async def test_names_addresses_are_told_once_each(system: FakeSystem) -> None:
    assert await Names(10.0).addresses("n") == ("10.0.0.1", "fd00::1")


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "fe80::1"])
async def test_names_ip_address_is_not_looked_up(system: FakeSystem, address: str) -> None:
    assert await Names(PATIENCE_S).addresses(address) == (address,)
    assert not system.asked


async def test_names_one_that_does_not_exist_is_an_oserror(system: FakeSystem) -> None:
    with pytest.raises(OSError, match="none has no address"):
        await Names(PATIENCE_S).addresses("none")


async def test_names_silent_one_is_given_up_and_looked_up_once(system: FakeSystem) -> None:
    names = Names(PATIENCE_S)
    for _ in range(3):
        with pytest.raises(OSError, match="not looked up in time"):
            await names.addresses("silent")
    assert system.asked["silent"] == 1
    system.ends.set()
    assert len(await names.addresses("silent")) == 2


def test_names_end_without_waiting_for_a_silent_one(system: FakeSystem) -> None:
    async def live() -> None:
        with pytest.raises(Unreachable, match=r"silent:1 \(no address is found for its name\)"):
            async with Operator(["silent:1"]) as client:
                await client.get("k")

    asyncio.run(live())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "look-up of silent"]
    assert thread.daemon, "the end of the process does not wait for it"


async def test_names_endpoint_without_an_address_is_passed_over_by_what_must_not_be_repeated(
    system: FakeSystem, aiohttp_server: AiohttpServer
) -> None:
    store = FakeStore()
    store.values[b"k"] = b"7"
    async with Operator(["silent:1", "none:1", endpoint_of(await aiohttp_server(store.app()))]) as client:
        await client.delete("k")
    assert not store.values
