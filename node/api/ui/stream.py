"""`GET /ui/stream`: what the page shows, as server-sent events, as long as it is open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gossip.view import Address
from node.api.doors import Doors
from node.api.query import options_of
from node.api.ui.feed import Feed, event
from node.api.ui.sections import Sight, encode, samples_of, sections_of
from node.diagnosis.observer import Observer
from node.node import Node
from node.release import version
from node.tokens import Role

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
STUCK_S = 10.0
"""Who has read nothing for so long, with what the kernel holds for it full, is left to itself."""
SEND_BYTES = 64 * 1024
"""That the kernel is to hold for a viewer: what it has not read is old news."""


class StreamApi:
    """`doors`: None: anybody may do anything."""

    def __init__(self, node: Node, doors: Doors | None) -> None:
        self._node = node
        self._doors = doors
        self._observer = Observer(
            node.config.address, node.calls, node.vitals.figures, lambda: node.clock.clocks.wall_ms
        )
        self.feed = Feed(self._look, self._fresh)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        options_of(request.rel_url.raw_query_string, ())
        if request.method == "HEAD":
            return web.Response(headers=HEADERS)
        viewer = self.feed.join()
        response = web.StreamResponse(headers=HEADERS)
        try:
            await response.prepare(request)
            _hold_little(request)
            await _send(response, event("you", encode(self._you(request))))
            while text := await viewer.take():
                await _send(response, text)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.feed.leave(viewer)
        return response

    def _you(self, request: web.Request) -> dict[str, Any]:
        """Who serves the page, and what whoever looks at it may do."""
        role = Role.ADMIN if self._doors is None else self._doors.role_of(request)
        return {
            "address": self._node.config.address,
            "cluster": self._node.config.cluster,
            "release": version(),
            "role": role.name.lower(),
            "tokens": self._doors is not None,
        }

    async def _look(self) -> Mapping[str, Any]:
        node = self._node
        known = {*node.views.current.nodes, *node.gossip.members}
        survey, _ = await asyncio.gather(node.inspector.survey(), self._observer.look(known))
        trips = {peer: node.transport.round_trip_s(peer) for peer in known if peer != node.config.address}
        sight = Sight(survey, node.views.ring, node.gossip.members, self._observer.histories, trips)
        return sections_of(sight) | {"tick": node.clock.clocks.wall_ms}

    def _fresh(self, position: int) -> tuple[int, dict[Address, list[tuple[int, ...]]]]:
        return self._observer.serial, samples_of(self._observer.since(position))


async def _send(response: web.StreamResponse, text: bytes) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(STUCK_S):
        await response.write(text)


def _hold_little(request: web.Request) -> None:
    if request.transport is not None:
        held = request.transport.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
