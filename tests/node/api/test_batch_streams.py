"""How the lines of a batch stream, in order and in bounded memory, and how one ends that does not go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from aiohttp import web
from msgspec.structs import replace
from pytest_aiohttp import AiohttpServer

from gossip.view import Address
from node.api import batch
from node.api.app import json_errors
from node.api.batch import CHUNK_LINES_MAX, CHUNKS_MAX, BatchApi
from node.api.batch_lines import BATCH
from node.api.tally import Tally
from node.config import Config
from node.net.messages import ReadResult, Wrote
from node.operations.batching import Asked, Batching, Came
from node.operations.router import Outcome
from node.values.version import make_version
from tests.node.api.streams import PATIENCE_S, line, stream

A = "127.0.0.1:1"
V5 = make_version(5 << 16, 3)


class Doer(Batching):
    """Stands in for `Batching`: each chunk is carried out once it may be; `put off` are those keys."""

    def __init__(self) -> None:
        self.begun: list[list[bytes]] = []
        self.may = asyncio.Semaphore(0)
        self.may_alone = asyncio.Semaphore(0)
        self.at_once = self.at_once_max = 0
        """Chunks that are being carried out."""
        self.put_off: set[bytes] = set()
        self.value = b"1"
        self.fault: Exception | None = None

    async def carry_out(self, asked: Sequence[Asked]) -> Sequence[Came]:
        self.begun.append([each.key for each in asked])
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        await self.may.acquire()
        self.at_once -= 1
        if self.fault is not None:
            raise self.fault
        return [None if each.key in self.put_off else self._done(each) for each in asked]

    async def alone(self, asked: Asked, version: bytes | None = None) -> Outcome:
        self.begun.append([asked.key, b"alone"])
        await self.may_alone.acquire()
        return self._done(asked)

    def _done(self, asked: Asked) -> Outcome:
        answer = ReadResult(self.value, None, V5) if asked.is_read else Wrote(False)
        return Outcome(answer, None, None, V5)


class Served:
    def __init__(self, api: BatchApi, doer: Doer, address: Address) -> None:
        self.api = api
        self.doer = doer
        self.address = address

    async def begun(self, count: int) -> list[list[bytes]]:
        """Once so many chunks have begun."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.doer.begun) < count:
                await asyncio.sleep(0.001)
        return self.doer.begun

    async def under_way(self, count: int) -> None:
        """Returns once so many chunks are, begun or not."""
        async with asyncio.timeout(PATIENCE_S):
            while sum(len(flow._under_way) for flow in self.api._flows) < count:
                await asyncio.sleep(0.001)


Serve = Callable[[float], Awaitable[Served]]


@pytest.fixture
def serve(aiohttp_server: AiohttpServer) -> Serve:
    async def make(body_s: float = PATIENCE_S) -> Served:
        doer = Doer()
        config = replace(Config.for_test(A, (A,), Path("/nowhere")), body_s=body_s, drain_s=2 * PATIENCE_S)
        api = BatchApi(config, doer, Tally())
        app = web.Application(middlewares=[json_errors])
        app.router.add_post(BATCH, api.handle)
        server = await aiohttp_server(app, lingering_time=0.0)  # As it is when the node stops.
        return Served(api, doer, f"127.0.0.1:{server.port}")

    return make


async def test_chunks_are_begun_before_the_ones_before_are_answered_but_few(serve: Serve) -> None:
    count, served = 20, await serve(PATIENCE_S)
    async with stream(served.address) as client:
        for number in range(count):
            client.send(line(op="get", key=f"k{number}"))
            await served.begun(min(number + 1, CHUNKS_MAX))
        client.end()
        for number in range(count):
            served.doer.may.release()
            assert (await client.answer())["key"] == f"k{number}"
        assert await client.answer() is None
    assert served.doer.at_once_max == CHUNKS_MAX


async def test_chunk_with_a_key_of_one_before_waits_until_that_is_answered(serve: Serve) -> None:
    served = await serve(PATIENCE_S)
    async with stream(served.address) as client:
        client.send(line(op="get", key="k"))
        await served.begun(1)
        client.send(line(op="put", key="k", value=1))
        await served.under_way(2)
        client.send(line(op="get", key="other"))
        client.end()
        assert await served.begun(2) == [[b"k"], [b"other"]]
        served.doer.may.release()
        assert (await client.answer())["key"] == "k"
        assert await served.begun(3) == [[b"k"], [b"other"], [b"k"]]
        for _ in range(2):
            served.doer.may.release()
        assert [answer["key"] for answer in await client.answers()] == ["k", "other"]


async def test_lines_that_were_put_off_are_done_in_their_turn(serve: Serve) -> None:
    """Once what was found before them has gone out, and is held no more."""
    served = await serve(PATIENCE_S)
    served.doer.put_off = {b"b", b"c"}
    served.doer.may.release()
    async with stream(served.address) as client:
        client.send(b"".join(line(op="get", key=key) for key in "abcd"))
        client.end()
        for key in "abcd":
            assert (await client.answer())["key"] == key
            served.doer.may_alone.release()
        assert await client.answer() is None
    assert served.doer.begun[1:] == [[b"b", b"alone"], [b"c", b"alone"]]


async def test_client_that_sends_no_more_is_told_and_left(serve: Serve) -> None:
    served = await serve(0.1)
    served.doer.may.release()
    async with stream(served.address) as client:
        client.send(line(op="get", key="k"))
        one, last = await client.answers()
        assert one["status"] == 200 and last["error"] == "The body did not arrive in time"


async def test_long_batch_has_as_long_as_it_takes(serve: Serve) -> None:
    limit_s = 1.0
    served, loop = await serve(limit_s), asyncio.get_running_loop()
    async with stream(served.address) as client:
        until = loop.time() + 1.5 * limit_s
        while loop.time() < until:
            served.doer.may.release()
            client.send(line(op="get", key="k"))
            assert (await client.answer())["status"] == 200
        client.end()
        assert await client.answers() == []


async def test_client_that_reads_no_answers_is_not_read_and_is_left(serve: Serve) -> None:
    count, served = 20_000, await serve(0.3)
    served.doer.value = b'"%b"' % (b"x" * 1_000_000)
    for _ in range(10_000):
        served.doer.may.release()
    async with stream(served.address) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(b"".join(line(op="get", key=f"k{number}") for number in range(count)))
        async with asyncio.timeout(PATIENCE_S):
            while served.api._flows or not served.doer.begun:
                await asyncio.sleep(0.01)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answers()
    assert sum(map(len, served.doer.begun)) < count / 2


async def test_client_that_is_gone_ends_its_batch(serve: Serve) -> None:
    served = await serve(PATIENCE_S)
    async with stream(served.address) as client:
        client.send(line(op="get", key="k"))
        await served.begun(1)
    served.doer.may.release()
    async with asyncio.timeout(PATIENCE_S):
        while served.api._flows:
            await asyncio.sleep(0.001)


async def test_stop_answers_what_was_begun_and_says_that_it_ends(serve: Serve) -> None:
    served = await serve(PATIENCE_S)
    async with stream(served.address) as client:
        client.send(line(op="get", key="k"))
        await served.begun(1)
        await served.api.drain()
        served.doer.may.release()
        last = await client.answers()
        assert [answer["status"] for answer in last] == [200, 503]
        assert last[1]["error"] == "This node is stopping"


async def test_stop_lets_a_client_that_goes_on_sending_read_its_last_answers(serve: Serve) -> None:
    """Were the connection reset, it might read nothing any more."""
    served = await serve(PATIENCE_S)
    async with stream(served.address) as client:
        client.send(line(op="get", key="k"))
        await served.begun(1)
        (flow,) = served.api._flows
        await served.api.drain()
        served.doer.may.release()
        async with asyncio.timeout(PATIENCE_S):
            while flow._under_way:
                await asyncio.sleep(0.001)
        for _ in range(100):
            client.send(line(op="get", key="late") * 1000)
            await client.writer.drain()
        assert [answer["status"] for answer in await client.answers()] == [200, 503]
    assert served.doer.begun == [[b"k"]]


async def test_mistake_of_ours_ends_the_connection(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    served = await serve(PATIENCE_S)
    served.doer.fault = KeyError("ours")
    served.doer.may.release()
    async with stream(served.address) as client:
        client.send(line(op="get", key="k"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
    assert "a batch failed" in caplog.text


def test_parts_are_bounded_in_lines_and_bytes() -> None:
    lines = [b"x" * 10] * (2 * CHUNK_LINES_MAX + 1)
    assert [len(part) for part in batch._parts(lines)] == [CHUNK_LINES_MAX, CHUNK_LINES_MAX, 1]
    large = [b"x" * (batch.CHUNK_BYTES_MAX // 2)] * 5 + [b"y" * 2 * batch.CHUNK_BYTES_MAX, b"z"]
    assert [len(part) for part in batch._parts(large)] == [2, 2, 1, 1, 1]
    assert list(batch._parts([])) == []
