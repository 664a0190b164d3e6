"""What the page is told, in parts, each of which is sent when it has changed. What was seen in,
data for JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from gossip.membership import Member
from gossip.view import Address, View
from node.api.admin import told
from node.diagnosis.observer import History, Point
from node.diagnosis.problems import problems_of
from node.diagnosis.survey import Survey
from node.net.messages import Owed
from ring.hashing import PARTITIONS
from ring.ring import Ring
from ring.zones import crowded

encode = msgspec.json.Encoder().encode


class Sight(NamedTuple):
    """All nodes at one moment, as the one sees them that serves the page."""

    survey: Survey
    ring: Ring
    members: Mapping[Address, Member]
    histories: Mapping[Address, History]
    round_trips_s: Mapping[Address, float | None]


def sections_of(sight: Sight) -> dict[str, Any]:
    """By the name of their event."""
    return {
        "view": _view(sight.survey.view, sight.ring),
        "problems": [told(problem) for problem in problems_of(sight.survey)],
        "nodes": [_node(sight, address) for address in sorted({*sight.survey.nodes, *sight.members})],
    }


def samples_of(points: Mapping[Address, Sequence[Point]]) -> dict[Address, list[tuple[int, ...]]]:
    """By node: when an interval has ended (milliseconds since 1970), and the fields of `Interval`."""
    return {
        node: [(point.ended_ms, *msgspec.structs.astuple(point.interval)) for point in of_node]
        for node, of_node in points.items()
    }


def _view(view: View, ring: Ring) -> dict[str, Any]:
    zones = [[view.zone_of[node] for node in replicas] for replicas in view.shards]
    return {
        "epoch": view.epoch,
        "digest": f"{view.id.digest:016x}",
        "repl-factor": view.repl_factor,
        "coordinator": view.coordinator or None,
        "partitions": PARTITIONS,
        "shards": [
            {"shard-id": str(shard + 1), "replicas": replicas, "zones": zones[shard], "partitions": bits.bit_count()}
            for shard, (replicas, bits) in enumerate(zip(view.shards, ring.bits, strict=True))
        ],
        "ranges": [(shard + 1, sum(1 for _ in run)) for shard, run in groupby(ring.table)],
        "crowded": [str(shard + 1) for shard in crowded(zones)],
    }


def _node(sight: Sight, address: Address) -> dict[str, Any]:
    survey, seen = sight.survey, sight.survey.seen(address)
    shard, trip_s = sight.ring.shard_of(address), sight.round_trips_s.get(address)
    member, history = sight.members.get(address), sight.histories.get(address)
    record = member.record if member else None
    status, figures = seen.status, history.latest if history else None
    return {
        "address": address,
        "me": address == survey.me,
        "state": _state(survey, address, member),
        "stuck": survey.is_stuck(address),
        "member": address in survey.view.nodes,
        "shard-id": None if shard is None else str(shard + 1),
        "zone": status.zone_at(address) if status else survey.view.zone_of.get(address),
        "key-count": status.key_count if status else record.key_count if record else None,
        "clock-offset-ms": 0 if address == survey.me else seen.clock_ms if status else None,
        "round-trip-ms": None if trip_s is None or status is None else round(1000 * trip_s, 2),
        "dead-seconds": None if seen.dead_s is None else int(seen.dead_s),
        "release": seen.health.release if seen.health else None,
        "store-bytes": figures.store_bytes if figures else None,
        "free-bytes": figures.free_bytes if figures else None,
        "disk-bytes": figures.disk_bytes if figures else None,
        "handing": _owed(status.handing) if status else [],
        "waiting": _owed(status.waiting) if status else [],
        "kept": record.kept if record else 0,
        "settled": status.settled if status else None,
    }


def _state(survey: Survey, address: Address, member: Member | None) -> str:
    """In one word, the worst of what is the case."""
    seen = survey.seen(address)
    if seen.is_foreign:
        return "foreign"
    if seen.status is None:
        return "down" if seen.dead_s is not None or (member and member.state == "dead") else "silent"
    if seen.health is not None and (seen.health.unready_ms or seen.health.unstored_ms):
        return "starting"
    return "catching up" if seen.status.may_lack and address in survey.view.nodes else "up"


def _owed(owed: Sequence[Owed]) -> list[tuple[Address, int, int]]:
    return [(to.address, to.partitions, to.records) for to in owed]
