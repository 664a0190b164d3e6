"""What the load counts: answers after the warm-up, each once, and those that are no success as failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from bench.load import Job, Run, run


class Asked:
    """Stands in for a server under test: notes what it is asked, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[str, str, bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path, await request.read()))
        return web.Response(status=self.status, text="{}" * len(self.requests))


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def address(asked: Asked, aiohttp_server: AiohttpServer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/kvs/keys/{key}", asked.answer)
    server = await aiohttp_server(app)
    yield f"{server.host}:{server.port}"


async def test_load_of_given_keys_asks_for_each_once_and_ends(address: str, asked: Asked) -> None:
    keys = [f"key{number}" for number in range(100)]
    result = await run(Job(address, "PUT", keys, '{"value":1}', 8, 0.0, 20.0, repeat=False))
    assert (result.requests, result.failed) == (100, 0)
    assert sorted(asked.requests) == sorted(("PUT", f"/kvs/keys/{key}", b'{"value":1}') for key in keys)


async def test_load_goes_round_its_keys_for_as_long_as_it_was_told(address: str, asked: Asked) -> None:
    result = await run(Job(address, "GET", ["a", "b"], None, 1, 0.4, 0.1))
    assert [path for _, path, _ in asked.requests[:4]] == ["/kvs/keys/a", "/kvs/keys/b"] * 2
    assert 0 < result.requests < len(asked.requests) / 2, "the warm-up is not counted"
    assert result.per_second == pytest.approx(result.requests / 0.1)


async def test_load_counts_what_is_no_success_as_failed(address: str, asked: Asked) -> None:
    asked.status = 503
    result = await run(Job(address, "GET", ["a", "b"], None, 2, 0.0, 20.0, repeat=False))
    assert (result.requests, result.failed) == (2, 2)


async def test_load_percentiles_are_of_all_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    now: Iterator[int] = count()
    monkeypatch.setattr("bench.load.perf_counter", lambda: next(now) / 1000)
    shared = Run(Job("127.0.0.1:1", "GET", ["a"], None, 1, 0.0, 1000.0))
    for taken_ms in range(100, 0, -1):
        at = next(now) + 1
        assert shared.note((at - taken_ms) / 1000, b"200")
    result = shared.result()
    assert result.requests == 100
    assert [result.p50_ms, result.p99_ms] == pytest.approx([51, 100])
