"""The HTTP interface for administration: counts, shards, view changes, and the state of all nodes. It decides nothing.

It answers in two forms: the *plain* one, with an entry per address, until a replication factor is first given; from
then on the *replicated* one, with an entry per shard. The form is a property of the view, so all nodes answer alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from itertools import groupby
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from gossip.view import Address, BadAddress, View, parse_nodes
from node.api.data import JSON_HEADERS, decode_body, read_data
from node.api.presence import Presence
from node.errors import NotFound, RequestFault
from node.net.messages import AskStatus, Status
from node.node import Node
from node.views.change_conditions import TakeBack, Wish
from node.views.coordinator import Settled
from node.views.risk import Risk
from ring.hashing import HASH, PARTITIONS
from ring.placement import Shard
from ring.zones import crowded

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class ViewChangeBody(msgspec.Struct, frozen=True, rename="kebab"):
    view: Any = msgspec.UNSET
    repl_factor: Any = msgspec.UNSET
    if_epoch: Any = msgspec.UNSET
    if_safe: Any = msgspec.UNSET


_view_change_bodies = msgspec.json.Decoder(ViewChangeBody)


class AdminApi:
    """The handlers under `/kvs/`, except for keys."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._address = node.config.address

    async def key_count(self, _: web.Request) -> web.Response:
        answer: dict[str, Any] = {"message": "Key count retrieved successfully", "key-count": self._node.key_count}
        view, shard = self._node.views.current, self._node.views.ring.shard_of(self._address)
        if not view.plain and shard is not None:
            answer["shard-id"] = _id(shard)
        return _reply(answer)

    async def shards(self, _: web.Request) -> web.Response:
        ids = [_id(shard) for shard in range(len(self._node.views.current.shards))]
        return _reply({"message": "Shard membership retrieved successfully", "shards": ids})

    async def shard(self, request: web.Request) -> web.Response:
        shards = {_id(shard): replicas for shard, replicas in enumerate(self._node.views.current.shards)}
        shard_id = request.match_info["id"]
        if shard_id not in shards:
            raise NotFound("Shard does not exist")
        replicas = shards[shard_id]
        return _reply(
            {
                "message": "Shard information retrieved successfully",
                "shard-id": shard_id,
                "key-count": await self._key_count_of(replicas),
                "replicas": replicas,
            }
        )

    async def status(self, _: web.Request) -> web.Response:
        view, ring = self._node.views.current, self._node.views.ring
        nodes: list[dict[str, Any]] = []
        for address in sorted(view.nodes | self._node.gossip.members.keys()):
            member = self._node.gossip.members.get(address)
            record = member.record if member else None
            shard = ring.shard_of(address)
            nodes.append(
                {
                    "address": address,
                    "state": member.state if member else "unknown",
                    "member": address in view.nodes,
                    "shard-id": None if shard is None else _id(shard),
                    "key-count": record.key_count if record else None,
                    "settled-epoch": record.settled_epoch if record else None,
                    "clock-offset-ms": self._node.clock.offsets_ms.get(address),
                    "keys-to-hand-over": record.to_hand_over if record else None,
                    "keys-waiting-for-copies": record.kept if record else None,
                }
            )
        return _reply(
            {"message": "Status retrieved successfully", "address": self._address}
            | _view_fields(view)
            | {"data-digest": f"{self._node.digest:016x}", "crowded-shards": _crowded(view)}
            | {"state": "settled" if self._node.handoff.is_settled() else "moving"}
            | {"keys-waiting-for-copies": sum(node["keys-waiting-for-copies"] or 0 for node in nodes)}
            | {"nodes": nodes}
        )

    async def ring(self, _: web.Request) -> web.Response:
        view, ring = self._node.views.current, self._node.views.ring
        ranges = []
        for shard, partitions in groupby(range(PARTITIONS), key=lambda partition: ring.table[partition]):
            first, *rest = partitions
            ranges.append((first, rest[-1] if rest else first, _id(shard)))
        shards = [
            {
                "shard-id": _id(shard),
                "replicas": replicas,
                "zones": [view.zone_of[node] for node in replicas],
                "partitions": ring.table.count(shard),
            }
            for shard, replicas in enumerate(view.shards)
        ]
        return _reply(
            {"message": "Ring retrieved successfully"}
            | _view_fields(view)
            | {"hash": HASH, "partitions": PARTITIONS, "shards": shards, "ranges": ranges, "faults": _crowded(view)}
        )

    async def view_change_progress(self, _: web.Request) -> web.Response:
        view, state, statuses = await self._node.coordinator.progress()
        nodes = [{"address": address} | _left(status) for address, status in statuses.items()]
        return _reply(
            {
                "message": "View change retrieved successfully",
                "epoch": view.epoch,
                "coordinator": view.coordinator or None,
                "state": state.value,
                "nodes": nodes,
            }
        )

    async def view_change(self, request: web.Request) -> web.Response:
        body = await self._body_of(request)
        nodes, repl_factor = _target(body)
        wish = Wish(frozenset(nodes), repl_factor, _if_epoch(body), _if_safe(body))
        return await self._make(request, wish, nodes)

    async def take_back(self, request: web.Request) -> web.Response:
        body = await self._body_of(request)
        return await self._make(request, TakeBack(_if_epoch(body), _if_safe(body)))

    async def _body_of(self, request: web.Request) -> ViewChangeBody:
        data = await read_data(request, self._node.config.body_s)
        body: ViewChangeBody = decode_body(data, _view_change_bodies, ViewChangeBody())
        return body

    async def _make(
        self, request: web.Request, wish: Wish | TakeBack, nodes: tuple[Address, ...] | None = None
    ) -> web.Response:
        """`nodes`: in the order in which the answer names them; None: in that of the shards."""
        if request.query.get("dry-run") == "true":
            return await self._dry_run(wish)
        change = await self._node.coordinator.change(wish)
        at_risk = _at_risk(change.risk)
        if request.query.get("wait") == "false":
            return _reply({"message": "View change accepted", "epoch": change.view.epoch} | at_risk, 202)
        settled = await self._while_client_waits(request, self._node.coordinator.await_settled(change))
        nodes = nodes or tuple(node for replicas in settled.view.shards for node in replicas)
        shards = self._plain(nodes, settled) if settled.view.plain else self._replicated(settled)
        return _reply({"message": "View change successful", "shards": shards} | at_risk)

    async def _dry_run(self, wish: Wish | TakeBack) -> web.Response:
        plan, counts, risk = await self._node.forecaster.forecast(wish)
        moves: dict[tuple[Address, Address], list[int]] = {}
        for move in plan.moves:
            for target in move.targets:
                moves.setdefault((move.sources[0], target), []).append(move.partition)
        table = plan.ring.table
        return _reply(
            {
                "message": "View change planned",
                "partitions": len(plan.moves),
                "keys": sum(counts.values()),
                "moves": [
                    {
                        "from": source,
                        "to": target,
                        "partitions": len(partitions),
                        "keys": sum(counts.get(partition, 0) for partition in partitions),
                    }
                    for (source, target), partitions in moves.items()
                ],
                "shards": [
                    {"shard-id": _id(shard), "replicas": replicas, "partitions": table.count(shard)}
                    for shard, replicas in enumerate(plan.ring.shards)
                ],
            }
            | _at_risk(risk)
            | ({} if risk.is_none else {"unreachable": risk.nodes})
        )

    def _plain(self, nodes: tuple[Address, ...], settled: Settled) -> list[dict[str, Any]]:
        return [{"address": node, "key-count": self._count(node, settled.key_counts)} for node in nodes]

    def _replicated(self, settled: Settled) -> list[dict[str, Any]]:
        return [
            {"shard-id": _id(shard), "key-count": self._count_of_shard(replicas, settled), "replicas": replicas}
            for shard, replicas in enumerate(settled.view.shards)
        ]

    def _count_of_shard(self, replicas: Shard, settled: Settled) -> int:
        """That of any replica that could be reached: they are alike."""
        reached = (replica for replica in replicas if replica in settled.key_counts)
        return self._count(next(reached, replicas[0]), settled.key_counts)

    def _count(self, node: Address, counts: Mapping[Address, int]) -> int:
        return counts[node] if node in counts else self._gossiped_count(node)

    async def _key_count_of(self, replicas: Shard) -> int:
        """This node's own, if it is one of them; otherwise all are asked, since one may be silent."""
        if self._address in replicas:
            return self._node.key_count
        answers = await asyncio.gather(*map(self._ask_key_count, replicas))
        return next((count for count in answers if count is not None), self._gossiped_count(replicas[0]))

    async def _ask_key_count(self, node: Address) -> int | None:
        count_s = self._node.config.count_wait_s
        try:
            async with asyncio.timeout(count_s):
                answer = await self._node.calls.try_ask(node, AskStatus(), count_s)
        except TimeoutError:
            return None
        return answer.key_count if isinstance(answer, Status) else None

    def _gossiped_count(self, node: Address) -> int:
        member = self._node.gossip.members.get(node)
        return member.record.key_count if member and member.record else 0

    async def _while_client_waits(self, request: web.Request, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns. It is cancelled once its client has gone away: the answer would reach nobody."""
        task, client = asyncio.create_task(work), Presence(request)
        try:
            while not (await asyncio.wait([task], timeout=self._node.config.client_check_s))[0]:
                if client.has_left():
                    break
        finally:
            task.cancel()
        return await task


def _target(body: ViewChangeBody) -> tuple[tuple[Address, ...], int | None]:
    """The nodes in the order given, and the replication factor. Raises RequestFault."""
    if body.view is msgspec.UNSET:
        raise RequestFault("View is missing")
    if not isinstance(body.view, str):
        raise RequestFault("Malformed view: not a text")
    try:
        nodes = parse_nodes(body.view)
    except BadAddress as error:
        raise RequestFault(f"Malformed view: {error}") from None
    factor = body.repl_factor
    if factor is msgspec.UNSET:
        return nodes, None
    if not isinstance(factor, int) or isinstance(factor, bool) or not 1 <= factor <= len(nodes):
        raise RequestFault(f"Malformed repl-factor: not a whole number from 1 to {len(nodes)}, the number of nodes")
    return nodes, factor


def _if_epoch(body: ViewChangeBody) -> int | None:
    """Raises RequestFault."""
    epoch = body.if_epoch
    if epoch is msgspec.UNSET:
        return None
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
        raise RequestFault("Malformed if-epoch: not a whole number from 0 on, the epoch of the view in force")
    return epoch


def _if_safe(body: ViewChangeBody) -> bool:
    """Raises RequestFault."""
    if body.if_safe is msgspec.UNSET:
        return False
    if not isinstance(body.if_safe, bool):
        raise RequestFault("Malformed if-safe: neither true nor false")
    return body.if_safe


def _at_risk(risk: Risk) -> dict[str, int | None]:
    """What an answer says of the keys that are given up: nothing, if there are none."""
    return {} if risk.is_none else {"keys-at-risk": risk.keys}


def _view_fields(view: View) -> dict[str, Any]:
    return {"epoch": view.epoch, "digest": f"{view.id.digest:016x}", "repl-factor": view.repl_factor}


def _crowded(view: View) -> list[dict[str, Any]]:
    """The shards whose copies share zones though they need not, with these zones."""
    crowded_shards = crowded([view.zone_of[node] for node in replicas] for replicas in view.shards)
    return [{"shard-id": _id(shard), "zones": zones} for shard, zones in crowded_shards.items()]


def _left(status: Status | None) -> dict[str, int | None]:
    if status is None:
        return {"partitions": None, "keys": None}
    return {
        "partitions": sum(owed.partitions for owed in status.handing),
        "keys": sum(owed.records for owed in status.handing),
    }


def _id(shard: int) -> str:
    return str(shard + 1)


def _reply(answer: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=_encode(answer), headers=JSON_HEADERS)
