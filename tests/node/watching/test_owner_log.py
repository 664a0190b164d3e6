"""What an owner tells those who listen to it: when, and what it is certain of then."""

from __future__ import annotations

import asyncio
import random

from node.net.messages import OPENING, Tail, Tailed, Unable, ViewIs
from node.storage.transaction import Transaction
from node.watching.owner_log import OwnerLog
from tests.node.parts import A, B, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor

FRONT, OTHER = "f:1", "g:1"


async def log_of(a: Parts) -> OwnerLog:
    log = OwnerLog(a.config, a.time, random.Random(1), a.views, a.readiness, a.co_owners, a.streams)

    def committed(transaction: Transaction) -> None:
        a.streams.spread(transaction.news)
        log.note(transaction.changes)

    a.store.attach(committed)
    return log


async def opened(log: OwnerLog) -> Tailed:
    answer = await log.serve(FRONT, Tail(OPENING, 0, 0, False, False))
    assert isinstance(answer, Tailed)
    return answer


def tail(start: Tailed, after: int = 0, wait_ms: int = 0, with_copied: bool = False) -> Tail:
    return Tail(start.log, after, wait_ms, with_copied, False)


@on_virtual_time
async def test_owner_tells_what_has_changed_since_it_was_first_asked() -> None:
    a = await node_a(A)
    log = await log_of(a)
    await a.change(b"k", 1)
    start = await opened(log)
    assert start.up_to == 0
    await a.change(b"k", 2)
    answer = await log.serve(FRONT, tail(start))
    assert isinstance(answer, Tailed) and [(at, key) for at, key, _ in answer.changes] == [(1, b"k")]
    assert (answer.up_to, answer.is_whole, answer.left_out) == (1, True, ())


@on_virtual_time
async def test_owner_waits_for_news_but_not_for_longer_than_it_is_to() -> None:
    a = await node_a(A)
    log = await log_of(a)
    start = await opened(log)
    began = a.time.monotonic()
    answer = await log.serve(FRONT, tail(start, wait_ms=5000))
    assert isinstance(answer, Tailed) and not answer.changes and a.time.monotonic() - began >= 5
    asking = asyncio.ensure_future(log.serve(FRONT, tail(start, wait_ms=5000)))
    await asyncio.sleep(1)
    await a.keep((b"copied", record(3)))
    await asyncio.sleep(1)
    assert not asking.done(), "what a co-owner brings is told by that one"
    await a.change(b"k")
    answer = await asking
    assert isinstance(answer, Tailed) and [key for _, key, _ in answer.changes] == [b"k"]


@on_virtual_time
async def test_owner_that_is_asked_once_more_lets_the_first_wait_no_longer() -> None:
    a = await node_a(A)
    log = await log_of(a)
    start = await opened(log)
    first = asyncio.ensure_future(log.serve(FRONT, tail(start, wait_ms=5000)))
    another = asyncio.ensure_future(log.serve(OTHER, tail(start, wait_ms=5000)))
    await asyncio.sleep(1)
    await log.serve(FRONT, tail(start))
    await asyncio.sleep(0.1)
    assert first.done() and not another.done()
    log.stop()
    assert await another == Unable()


@on_virtual_time
async def test_owner_tells_nothing_before_its_co_owner_has_it() -> None:
    a = await node_a(A, B, repl_factor=2)
    log = await log_of(a)
    b = a.co_owner(B)
    async with a.running():
        start = await opened(log)
        b.is_free.clear()
        await a.change(b"k")
        asking = asyncio.ensure_future(log.serve(FRONT, tail(start)))
        await asyncio.sleep(0.2)
        assert not asking.done()
        b.is_free.set()
        answer = await asking
        assert isinstance(answer, Tailed) and len(answer.changes) == 1


@on_virtual_time
async def test_owner_that_is_asked_for_another_log_says_that_something_was_missed() -> None:
    a = await node_a(A)
    log = await log_of(a)
    start = await opened(log)
    assert await log.serve(FRONT, Tail(start.log + 1, 0, 0, False, False)) == Unable()
    assert await log.serve(FRONT, tail(start, after=7)) == Unable()


@on_virtual_time
async def test_owner_tells_nothing_of_keys_that_are_not_its_own() -> None:
    a = await node_a(A, B)
    log = await log_of(a)
    start = await opened(log)
    (own,) = a.own_keys(1)
    await a.change(a.foreign_key())
    await a.change(own)
    answer = await log.serve(FRONT, tail(start))
    assert isinstance(answer, Tailed) and [key for _, key, _ in answer.changes] == [own]


@on_virtual_time
async def test_owner_keeps_no_log_for_nobody() -> None:
    a = await node_a(A)
    log = await log_of(a)
    await a.change(b"k", 1)
    assert log._log is None
    start = await opened(log)
    await asyncio.sleep(a.config.watch_kept_s + 1)
    await a.change(b"k", 2)
    assert log._log is None
    assert await log.serve(FRONT, tail(start)) == Unable()


@on_virtual_time
async def test_owner_outside_the_view_tells_nothing() -> None:
    a = await node_a(B)
    log = await log_of(a)
    assert await log.serve(FRONT, Tail(OPENING, 0, 0, False, False)) == Unable()


@on_virtual_time
async def test_owner_answers_with_its_view_once_that_is_another() -> None:
    a = await node_a(A)
    log = await log_of(a)
    start = await opened(log)
    asking = asyncio.ensure_future(log.serve(FRONT, tail(start, wait_ms=5000)))
    await asyncio.sleep(1)
    await a.views.adopt(successor(a.views.current, A), A)
    log.change_view()
    assert isinstance(await asking, ViewIs)
