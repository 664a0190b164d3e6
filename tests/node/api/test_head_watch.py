"""How long a head may be and take: told once, and only of what is a head."""

from __future__ import annotations

import asyncio

import pytest

from node.api.head_watch import HEAD_BYTES_MAX, HeadTooLarge, HeadTooSlow, HeadWatch
from node.errors import RequestFault
from tests.cluster import eventually

PART = b"GET / HTTP/1.1\r\nA: "


class Told(list[RequestFault]):
    async def is_told(self) -> bool:
        return bool(self)


def watching(head_s: float, told: Told) -> HeadWatch:
    return HeadWatch(asyncio.get_running_loop(), head_s, told.append)


async def test_head_watch_gives_up_on_one_that_does_not_end() -> None:
    told = Told()
    watch = watching(0.02, told)
    watch.note(PART, is_begun=True)
    await eventually(told.is_told, "it being given up")
    assert [type(fault) for fault in told] == [HeadTooSlow] and told[0].status == 408


async def test_head_watch_more_bytes_are_no_more_time() -> None:
    """A byte now and then keeps a connection for ever otherwise."""
    told = Told()
    watch = watching(0.05, told)
    watch.note(PART, is_begun=True)
    timer = watch._timer
    watch.note(b"a", is_begun=True)
    assert watch._timer is timer
    watch.stop()


async def test_head_watch_gives_up_on_one_that_is_too_large_once() -> None:
    told = Told()
    watch = watching(1000.0, told)
    watch.note(b"a" * HEAD_BYTES_MAX, is_begun=True)
    assert told == []
    watch.note(b"a", is_begun=True)
    assert [type(fault) for fault in told] == [HeadTooLarge] and told[0].status == 431
    assert watch._timer is None


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n"])
async def test_head_watch_line_breaks_between_requests_begin_none(data: bytes) -> None:
    watch = watching(1000.0, Told())
    watch.note(data, is_begun=True)
    assert watch._timer is None


async def test_head_watch_one_that_has_come_counts_no_more() -> None:
    told = Told()
    watch = watching(1000.0, told)
    for _ in range(3):
        watch.note(b"a" * HEAD_BYTES_MAX, is_begun=True)
        watch.note(b"a", is_begun=False)
    assert told == [] and watch._timer is None
