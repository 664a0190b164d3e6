"""What all who watch the page are sent, looked at once for all of them, and only while there is somebody.

A section is sent when it has changed. Who is slow misses the states in between, never the last one: what waits for a
viewer is at most one text of each section, and the samples that it has not got are still with the observer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from node.api.ui.sections import encode
from node.errors import Reason, Unavailable

log = logging.getLogger(__name__)

VIEWERS_MAX = 32
"""Each costs a fraction of a percent of a core, and a connection."""
PERIOD_S = 1.0
NODE_S = 0.02
"""So much longer for each node: what a look costs grows with their number."""

Look = Callable[[], Awaitable[Mapping[str, Any]]]
"""Look at all nodes: the sections by name."""
Fresh = Callable[[int], tuple[int, Mapping[str, Any]]]
"""The samples since a position, and the position after them."""


class Viewer:
    """One page that is open somewhere."""

    def __init__(self, fresh: Fresh, waiting: dict[str, bytes]) -> None:
        self._fresh = fresh
        self._waiting = waiting
        """By section, what it has not been sent yet."""
        self._position = 0
        self._is_over = False
        self._woken = asyncio.Event()
        if waiting:
            self._woken.set()

    def tell(self, sections: Mapping[str, bytes]) -> None:
        self._waiting |= sections
        self._woken.set()

    def end(self) -> None:
        self._is_over = True
        self._woken.set()

    async def take(self) -> bytes:
        """Wait for what is new; empty: there will be nothing more."""
        await self._woken.wait()
        self._woken.clear()
        if self._is_over:
            return b""
        told, self._waiting = self._waiting, {}
        self._position, samples = self._fresh(self._position)
        if samples:
            told = {"samples": encode(samples), **told}
        return b"".join(map(event, told, told.values()))


class Feed:
    def __init__(self, look: Look, fresh: Fresh) -> None:
        self._look = look
        self._fresh = fresh
        self._viewers: set[Viewer] = set()
        self._sections: dict[str, bytes] = {}
        """As they were last."""
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def join(self) -> Viewer:
        """Raises Unavailable."""
        if self._is_closed:
            raise Unavailable()
        if len(self._viewers) >= VIEWERS_MAX:
            fault = f"Too many pages are open: this node serves {VIEWERS_MAX}; close one, or open that of another node"
            raise Unavailable(fault).because(Reason.CLIENTS)
        viewer = Viewer(self._fresh, dict(self._sections))
        self._viewers.add(viewer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    async def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        for viewer in self._viewers:
            viewer.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Until nobody watches any more; what was seen by then is forgotten, for it would be old news."""
        while self._viewers:
            nodes = 0
            try:
                sections = await self._look()
                nodes = len(sections.get("nodes", ()))
                self._tell({name: encode(section) for name, section in sections.items()})
            except Exception:
                log.exception("the page is shown nothing new")
            await asyncio.sleep(PERIOD_S + NODE_S * nodes)
        self._sections = {}

    def _tell(self, sections: dict[str, bytes]) -> None:
        changed = {name: text for name, text in sections.items() if self._sections.get(name) != text}
        self._sections = sections
        for viewer in self._viewers:
            viewer.tell(changed)


def event(name: str, text: bytes) -> bytes:
    """Of server-sent events; JSON has no line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), text)
