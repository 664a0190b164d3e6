"""Who watches counts the events that it is told, and knows whether it was let in."""

from __future__ import annotations

import pytest

from bench.audience import Audience, Job, Watcher


@pytest.mark.parametrize("head, is_there", [(b"HTTP/1.0 200 OK", True), (b"HTTP/1.0 503 Service Unavailable", False)])
async def test_watcher_is_there_when_it_was_let_in(head: bytes, is_there: bool) -> None:
    watcher = Watcher(Audience(Job("127.0.0.1:1", [])))
    watcher.data_received(head + b"\r\n")
    assert not watcher.is_there.done()
    watcher.data_received(b"\r\n")
    assert await watcher.is_there is is_there


async def test_watcher_that_is_cut_off_is_not_there() -> None:
    watcher = Watcher(Audience(Job("127.0.0.1:1", [])))
    watcher.connection_lost(None)
    assert not await watcher.is_there


async def test_all_events_of_an_audience_are_counted() -> None:
    audience = Audience(Job("127.0.0.1:1", []))
    for watcher in (Watcher(audience), Watcher(audience)):
        watcher.data_received(b"HTTP/1.0 200 OK\r\n\r\nevent: put\ndata: 1\n\nevent: put\n")
        watcher.data_received(b"data: 2\n\n: still here\n\n")
    assert audience.events == 4
