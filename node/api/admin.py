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

from gossip.view import Address, View
from node.api.answers import JSON_HEADERS
from node.api.change_request import (
    Options,
    ViewChangeBody,
    body_of,
    gone_for_good_of,
    if_epoch_of,
    if_safe_of,
    options_of,
    target_of,
)
from node.api.data import read_data
from node.api.presence import Presence
from node.diagnosis.inspector import told
from node.errors import NotFound
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


class AdminApi:
    """The handlers under `/kvs/`, except for keys."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._address = node.config.address

    async def key_count(self, _: web.Request) -> web.Response:
        answer: dict[str, Any] = {"message": "Key count retrieved successfully", "key-count": self._node.own_keys.count}
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
            | {"data-digest": f"{self._node.own_keys.digest:016x}", "crowded-shards": _crowded(view)}
            | {"state": "settled" if self._node.handoff.is_settled() else "moving"}
            | {"keys-waiting-for-copies": sum(node["keys-waiting-for-copies"] or 0 for node in nodes)}
            | {"nodes": nodes, "problems": [told(problem) for problem in await self._node.inspector.problems()]}
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
        options, body = options_of(request.query), await self._body_of(request, names_view=True)
        nodes, repl_factor = target_of(body)
        wish = Wish(frozenset(nodes), repl_factor, if_epoch_of(body), if_safe_of(body), gone_for_good_of(body))
        return await self._make(request, options, wish, nodes)

    async def take_back(self, request: web.Request) -> web.Response:
        options, body = options_of(request.query), await self._body_of(request, names_view=False)
        return await self._make(request, options, TakeBack(if_epoch_of(body), if_safe_of(body), gone_for_good_of(body)))

    async def _body_of(self, request: web.Request, names_view: bool) -> ViewChangeBody:
        return body_of(await read_data(request, self._node.config.body_s), names_view)

    async def _make(
        self, request: web.Request, options: Options, wish: Wish | TakeBack, nodes: tuple[Address, ...] | None = None
    ) -> web.Response:
        """`nodes`: in the order in which the answer names them; None: in that of the shards."""
        if options.dry_run:
            return await self._dry_run(wish)
        change = await self._node.coordinator.change(wish)
        if not options.wait:
            accepted = {"message": "View change accepted", "epoch": change.view.epoch}
            return _reply(accepted | _at_risk(change.risk), 202)
        settled = await self._while_client_waits(request, self._node.coordinator.await_settled(change))
        nodes = nodes or tuple(node for replicas in settled.view.shards for node in replicas)
        shards = self._plain(nodes, settled) if settled.view.plain else self._replicated(settled)
        return _reply({"message": "View change successful", "shards": shards} | _at_risk(settled.risk))

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
            return self._node.own_keys.count
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
