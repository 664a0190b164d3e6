"""`GET /kvs/node`: what this node is, how it is, and how it reaches the others. `kvs doctor` compares what all say."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from aiohttp import web

from gossip.view import Address, host_of
from node.api.answers import JSON_HEADERS
from node.api.shapes.one_node import Disk, Environment, Peer, Report
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
        answer = Report(
            "Node retrieved successfully",
            config.address,
            version(),
            status.view.epoch,
            f"{status.view.digest:016x}",
            status.zone_at(config.address),
            survey.view.zone_of.get(config.address),
            status.key_count,
            status.settled,
            not status.may_lack,
            not (health.unready_ms or health.unstored_ms),
            node.clock.clocks.wall_ms,
            _environment(config),
            _disk(config.data_dir, bool(health.full_ms), bool(health.hung_ms)),
            tuple(_peer(peer, seen, faults.get(host_of(peer))) for peer, seen in peers.items()),
        )
        return web.Response(body=msgspec.json.encode(answer), headers=JSON_HEADERS)


def _environment(config: Config) -> Environment:
    return Environment(
        config.view,
        config.repl_factor,
        config.cluster,
        config.round_trip_ms,
        config.log_level,
        config.log_format,
        config.slow_request_ms,
    )


def _disk(path: Path, is_full: bool, hangs: bool) -> Disk:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return Disk(None, None, is_full, hangs)
    return Disk(usage.free, usage.total, is_full, hangs)


def _peer(peer: Address, seen: Seen, fault: str | None) -> Peer:
    is_up = seen.status is not None
    return Peer(peer, is_up, round(1000 * seen.took_s, 2) if is_up else None, seen.clock_ms, fault)
