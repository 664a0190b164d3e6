"""`GET /kvs/node`: what this node is, how it is, and how it reaches the others. `kvs doctor` compares what all say."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from gossip.view import Address, host_of
from node.api.answers import JSON_HEADERS
from node.config import Config
from node.diagnosis.survey import Seen
from node.net.names import Lookup, faults_of, look_up_for_links
from node.node import Node
from node.release import version


class SelfReportApi:
    """`lookup`: what finds the hosts of other nodes."""

    def __init__(self, node: Node, lookup: Lookup = look_up_for_links) -> None:
        self._node = node
        self._lookup = lookup
        self._finding: asyncio.Task[dict[str, str]] | None = None
        """The look-ups under way, which all share who ask meanwhile: each takes a thread."""

    async def _faults_of(self, peers: Iterable[Address]) -> Mapping[str, str]:
        if self._finding is None or self._finding.done():
            looking = faults_of({host_of(peer) for peer in peers}, self._node.config.count_wait_s, self._lookup)
            self._finding = asyncio.create_task(looking)
        return await asyncio.shield(self._finding)

    async def report(self, _: web.Request) -> web.Response:
        node, config = self._node, self._node.config
        survey = await node.inspector.survey()
        peers = {peer: seen for peer, seen in sorted(survey.nodes.items()) if peer != config.address}
        faults = await self._faults_of(peers)
        health, status = node.vitals.health(), node.status()
        answer: dict[str, Any] = {
            "message": "Node retrieved successfully",
            "address": config.address,
            "release": version(),
            "epoch": status.view.epoch,
            "digest": f"{status.view.digest:016x}",
            "zone": status.zone_at(config.address),
            "zone-in-view": survey.view.zone_of.get(config.address),
            "key-count": status.key_count,
            "settled": status.settled,
            "whole": not status.may_lack,
            "ready": not (health.unready_ms or health.unstored_ms),
            "wall-ms": node.clock.clocks.wall_ms,
            "environment": _environment(config),
            "disk": _disk(config.data_dir) | {"full": bool(health.full_ms), "hangs": bool(health.hung_ms)},
            "peers": [_peer(peer, seen, faults.get(host_of(peer))) for peer, seen in peers.items()],
        }
        return web.Response(body=msgspec.json.encode(answer), headers=JSON_HEADERS)


def _environment(config: Config) -> dict[str, Any]:
    """As the node was told it, defaults included."""
    return {
        "view": config.view,
        "repl-factor": config.repl_factor,
        "cluster": config.cluster,
        "round-trip-ms": config.round_trip_ms,
        "log-level": config.log_level,
        "log-format": config.log_format,
        "slow-request-ms": config.slow_request_ms,
    }


def _disk(path: Path) -> dict[str, int | None]:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return {"free-bytes": None, "bytes": None}
    return {"free-bytes": usage.free, "bytes": usage.total}


def _peer(peer: Address, seen: Seen, fault: str | None) -> dict[str, Any]:
    is_up = seen.status is not None
    return {
        "address": peer,
        "reached": is_up,
        "took-ms": round(1000 * seen.took_s, 2) if is_up else None,
        "clock-offset-ms": seen.clock_ms,
        "name-fault": fault,
    }
