"""`kvs.AsyncClient`, and the names that `kvs` has: listings, time limits, what is imported when."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_aiohttp import AiohttpServer

import kvs
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, endpoint_of

HUNDRED = [f"k{n:02}" for n in range(100)]
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def store() -> FakeStore:
    store = FakeStore()
    store.values |= {key.encode(): b"%d" % n for n, key in enumerate(HUNDRED)}
    return store


@pytest.fixture
async def client(store: FakeStore, aiohttp_server: AiohttpServer) -> AsyncIterator[kvs.AsyncClient]:
    async with kvs.AsyncClient(endpoint_of(await aiohttp_server(store.app())), timeout_s=40.0) as client:
        yield client


@pytest.mark.parametrize("page_keys", [7, 100])
async def test_client_scans_keys_with_values_in_order(
    client: kvs.AsyncClient, store: FakeStore, page_keys: int
) -> None:
    store.page_keys_max = page_keys
    entries = [entry async for entry in client.scan("k")]
    assert [(entry.key, entry.value) for entry in entries] == [(key, n) for n, key in enumerate(HUNDRED)]
    assert entries[0] == kvs.Entry("k00", b"0", '"7"')
    assert [key async for key in client.keys("k9")] == HUNDRED[90:]
    assert [key async for key in client.keys(limit=15)] == HUNDRED[:15]
    assert [entry.key async for entry in client.scan(limit=3)] == HUNDRED[:3]
    assert [key async for key in client.keys("none")] == []


async def test_client_call_ends_with_its_deadline_whatever_the_nodes_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # Its backlog takes the connection.
        port = silent.getsockname()[1]
        async with kvs.AsyncClient(f"127.0.0.1:{port},{NOWHERE}", timeout_s=0.4) as client:
            began = time.monotonic()
            with pytest.raises(kvs.Unreachable, match=rf"127\.0\.0\.1:{port} \(no answer within 0\.\d+ s\)"):
                await client.get("k")
            assert 0.2 <= time.monotonic() - began < 2.0


@pytest.mark.parametrize("endpoints", ["", "a:1,a:1", []])
def test_client_of_malformed_endpoints_is_refused(endpoints: str) -> None:
    for made in (kvs.AsyncClient, kvs.Client):
        with pytest.raises(kvs.BadRequest, match="address"):
            made(endpoints)


def test_package_has_the_names_that_it_lists_and_no_others() -> None:
    assert all(getattr(kvs, name).__module__.startswith("kvs.") for name in kvs.__all__)
    assert set(kvs.__all__) <= set(dir(kvs))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        kvs.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("code", "left_out"),
    [
        ("import kvs", ("asyncio", "msgspec", "kvs.client")),
        ("import kvs; kvs.KvsError", ("asyncio", "msgspec", "kvs.client")),
        ("import kvs; kvs.Client, kvs.AsyncClient", ("aiohttp", "click", "rich", "lmdb", "uvloop", "node")),
    ],
)
def test_package_imports_no_more_than_is_used(code: str, left_out: tuple[str, ...]) -> None:
    checked = f"import sys; {code}; print([name for name in {left_out} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", checked], timeout=60, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


USER = """
import asyncio
import kvs

with kvs.Client(["a:1"], timeout_s=2.0) as client:
    found = client.get("k")
    {wrong}
    if found is not None:
        version: str = found.version
        stored: kvs.Stored = client.put_if("k", [1], version=version)
        again: kvs.Stored = client.put_if("k", [1], must_not_exist=True)
    with client.session() as session:
        gone: bool = session.delete("k", if_version=None)
    keys: list[str] = [entry.key for entry in client.scan("a", limit=3)]
    count: int = client.counter("hits").increment()


async def main() -> None:
    async with kvs.AsyncClient("a:1") as client, client.session() as session:
        found = await session.get("k")
        keys: list[str] = [key async for key in client.keys()]
        count: int = await client.counter("hits").increment(2)
"""


def test_package_is_typed_for_those_who_use_it(tmp_path: Path) -> None:
    for name, wrong in (("right", "pass"), ("wrong", "found.version")):
        (tmp_path / f"{name}.py").write_text(USER.format(wrong=wrong))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "right.py", "wrong.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(tmp_path / "cache")},
        timeout=240,
        check=False,
        capture_output=True,
        text=True,
    )
    faults = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(faults) == 1 and faults[0].startswith("wrong.py:7:") and "None" in faults[0], done.stdout + done.stderr


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_client_without_time_is_refused(timeout_s: float) -> None:
    with pytest.raises(kvs.BadRequest, match="above 0"):
        kvs.AsyncClient("127.0.0.1", timeout_s=timeout_s)


async def test_client_asked_with_what_is_no_text_says_so(client: kvs.AsyncClient, store: FakeStore) -> None:
    calls = [client.get(None), client.put(5, 5), client.delete(b"k"), client.counter(5).increment()]  # type: ignore[arg-type]
    for call in (*calls, client.put_if("k", 1, version=5), client.delete("k", if_version=5)):  # type: ignore[call-overload,arg-type]
        with pytest.raises(kvs.BadRequest, match="is a text, not"):
            await call
    with pytest.raises(kvs.BadRequest, match="begin with is a text, not None"):
        await anext(client.keys(None))  # type: ignore[arg-type]
    with pytest.raises(kvs.BadRequest, match="no fewer keys than 0"):
        await anext(client.scan(limit=-1))
    assert not store.asked


async def test_client_sends_its_token_and_is_told_if_that_does_not_do(
    store: FakeStore, aiohttp_server: AiohttpServer
) -> None:
    store.token = "t1"
    endpoint = endpoint_of(await aiohttp_server(store.app()))
    async with kvs.AsyncClient(endpoint, token="t1") as client:
        await client.put("k", 1)
        assert [key async for key in client.keys("k0", limit=1)] == ["k00"]
    for token in (None, "hunter2"):
        async with kvs.AsyncClient(endpoint, token=token) as client:
            with pytest.raises(kvs.NotAllowed, match="Token is unknown") as caught:
                await client.get("k")
            assert caught.value.status == 401
            asked = len(store.asked)
            with pytest.raises(kvs.NotAllowed):
                await client.put("k", 2)
            assert len(store.asked) == asked + 1, "it is not asked again"
            with pytest.raises(kvs.NotAllowed):
                await anext(client.keys())


@pytest.mark.parametrize("token", ["", "two words", "hunter2\r\nHost: x"])
def test_client_token_that_cannot_be_sent_is_refused(token: str) -> None:
    for client in (kvs.AsyncClient, kvs.Client):
        with pytest.raises(kvs.BadRequest, match="a token is printable ASCII without spaces"):
            client(NOWHERE, token=token)
