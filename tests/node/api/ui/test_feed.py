"""One look for all who watch, and nothing more than what has changed for each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from node.api.ui.feed import NODE_S, PERIOD_S, VIEWERS_MAX, Feed, event
from node.errors import Unavailable
from tests.node.parts import on_virtual_time


class Store:
    """What there is to see, by hand."""

    def __init__(self) -> None:
        self.sections: dict[str, Any] = {"nodes": [1], "view": 0}
        self.samples: list[int] = []
        self.looks = 0
        self.feed = Feed(self._look, self._fresh)

    async def _look(self) -> Mapping[str, Any]:
        self.looks += 1
        if self.sections.get("broken"):
            raise ValueError("as asked for")
        return dict(self.sections)

    def _fresh(self, position: int) -> tuple[int, Mapping[str, Any]]:
        fresh = self.samples[position:]
        return len(self.samples), {"a:1": fresh} if fresh else {}


def said(name: str, text: str) -> bytes:
    return event(name, text.encode())


@on_virtual_time
async def test_feed_sends_all_at_first_and_then_what_has_changed() -> None:
    store = Store()
    store.samples = [1, 2]
    viewer = store.feed.join()
    first = said("samples", '{"a:1":[1,2]}') + said("nodes", "[1]") + said("view", "0")
    assert await viewer.take() == first
    store.sections["view"] = 1
    assert await viewer.take() == said("view", "1")
    store.samples.append(3)
    store.sections["nodes"] = [1, 2]
    assert await viewer.take() == said("samples", '{"a:1":[3]}') + said("nodes", "[1,2]")
    await store.feed.close()


@on_virtual_time
async def test_feed_gives_a_second_viewer_what_the_first_has_seen_without_another_look() -> None:
    store = Store()
    first = store.feed.join()
    await first.take()
    store.samples = [7]
    second = store.feed.join()
    assert await second.take() == said("samples", '{"a:1":[7]}') + said("nodes", "[1]") + said("view", "0")
    assert store.looks == 1
    await store.feed.close()


@on_virtual_time
async def test_feed_keeps_only_the_last_state_for_who_is_slow() -> None:
    store = Store()
    viewer = store.feed.join()
    await viewer.take()
    for number in range(1, 50):
        store.sections["view"] = number
        await asyncio.sleep(PERIOD_S + NODE_S)
    assert await viewer.take() == said("view", "49")
    await store.feed.close()


@on_virtual_time
async def test_feed_looks_at_nothing_while_nobody_watches() -> None:
    store = Store()
    viewer = store.feed.join()
    await viewer.take()
    store.feed.leave(viewer)
    await asyncio.sleep(10 * PERIOD_S)
    looks = store.looks
    await asyncio.sleep(10 * PERIOD_S)
    assert store.looks == looks <= 2
    again = store.feed.join()
    store.sections["view"] = 5
    assert said("view", "5") in await again.take(), "what was seen long ago is not told"
    await store.feed.close()


@on_virtual_time
async def test_feed_has_room_for_so_many_and_tells_others_so() -> None:
    store = Store()
    viewers = [store.feed.join() for _ in range(VIEWERS_MAX)]
    with pytest.raises(Unavailable, match=f"Too many pages are open: this node serves {VIEWERS_MAX}"):
        store.feed.join()
    store.feed.leave(viewers[0])
    store.feed.join()
    await store.feed.close()


@on_virtual_time
async def test_feed_goes_on_after_a_look_that_failed_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.sections["broken"] = True
    viewer = store.feed.join()
    await asyncio.sleep(2 * PERIOD_S)
    store.sections["broken"] = False
    assert said("view", "0") in await viewer.take()
    assert "the page is shown nothing new" in caplog.text
    await store.feed.close()


@on_virtual_time
async def test_feed_ends_all_streams_and_begins_no_more() -> None:
    store = Store()
    viewer = store.feed.join()
    await viewer.take()
    waiting = asyncio.create_task(viewer.take())
    await asyncio.sleep(0)
    await store.feed.close()
    assert await waiting == b""
    with pytest.raises(Unavailable):
        store.feed.join()
