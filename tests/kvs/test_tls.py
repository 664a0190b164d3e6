"""Whom a client believes, and what it says of a server that it does not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web

import kvs
from kvs.tls import context_of
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore
from tests.kvs.scripted import Scripted, served


class Secure:
    """A store that speaks TLS, and the file of its CA."""

    def __init__(self, port: int, ca: Path) -> None:
        self.endpoint = f"https://localhost:{port}"
        self.ca = ca


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secure(tmp_path: Path, authority: trustme.CA) -> AsyncIterator[Secure]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    runner = web.AppRunner(FakeStore().app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield Secure(runner.addresses[0][1], tmp_path / "ca.pem")
    await runner.cleanup()


async def test_tls_all_that_a_client_does_goes_by_it(secure: Secure) -> None:
    async with kvs.AsyncClient(secure.endpoint, ca=secure.ca) as client:
        await client.put("k", 1)
        found = await client.get("k")
        assert found is not None and found.value == 1
        assert [entry async for entry in client.scan(limit=1)]
        assert [result async for result in client.batch([kvs.Get("k")])]


async def test_tls_blocking_client_goes_by_it(secure: Secure) -> None:
    def ask() -> object:
        with kvs.Client(secure.endpoint, ca=str(secure.ca)) as client:
            client.put("k", 1)
            found = client.get("k")
            return None if found is None else found.value

    assert await asyncio.to_thread(ask) == 1


async def test_tls_server_that_is_not_believed_is_named(secure: Secure) -> None:
    """Nothing was sent to it, so the outcome is known."""
    port = secure.endpoint.rpartition(":")[2]
    for endpoint, ca, reason in [
        (f"https://127.0.0.1:{port}", secure.ca, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        (secure.endpoint, None, "unable to get local issuer certificate|self-signed certificate in certificate chain"),
    ]:
        async with kvs.AsyncClient(endpoint, ca=ca, timeout_s=1.0) as client:
            with pytest.raises(kvs.Unreachable, match=f"its certificate is not accepted: ({reason})"):
                await client.put("k", 1)
            with pytest.raises(kvs.Unreachable, match="its certificate is not accepted"):
                await anext(client.watch())


async def test_tls_server_in_the_clear_is_named(secure: Secure) -> None:
    script = Scripted(*[(b"HTTP/1.1 400 Bad Request\r\n\r\n",)] * 100)
    async with served(script) as node, kvs.AsyncClient(f"https://{node}", ca=secure.ca, timeout_s=0.3) as client:
        with pytest.raises(kvs.Unreachable, match="it does not speak TLS"):
            await client.get("k")


def test_tls_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(kvs.BadRequest, match=r"ca\.pem: it has no certificates in PEM form, or one is broken"):
        context_of(tmp_path / "ca.pem")
    with pytest.raises(kvs.BadRequest, match="none: no such file or directory"):
        kvs.AsyncClient("https://a", ca=tmp_path / "none")


def test_tls_ca_for_endpoints_in_the_clear_is_refused(tmp_path: Path) -> None:
    for client in (kvs.AsyncClient, kvs.Client):
        with pytest.raises(kvs.BadRequest, match="a CA is for endpoints that begin with https://"):
            client(NOWHERE, ca=tmp_path / "ca.pem")
