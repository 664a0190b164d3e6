"""The HTTP interface for administration: counts, shards, view changes, and the state of all nodes. It decides nothing.

It answers in two forms: the *plain* one, with an entry per address, until a replication factor is first given; from
then on the *replicated* one, with an entry per shard. The form is a property of the view, so all nodes answer alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from itertools import groupby
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from gossip.membership import State
from gossip.view import Address, View
from node.api.answers import JSON_HEADERS
from node.api.change_request import (
    Options,
    change_of,
    gone_for_good_of,
    if_epoch_of,
    if_safe_of,
    options_of,
    take_back_of,
    target_of,
)
from node.api.data import read_data
from node.api.presence import Presence
from node.api.shapes.cluster import (
    Accepted,
    ChangedPlain,
    ChangedReplicated,
    Crowded,
    KeyCount,
    NodeCount,
    NodeProgress,
    NodeStatus,
    Planned,
    PlannedMove,
    PlannedShard,
    Problem,
    Progress,
    Ring,
    RingShard,
    ShardCount,
    ShardInfo,
    Shards,
    Status,
)
from node.diagnosis import survey
from node.errors import NotFound
from node.net import messages
from node.node import Node
from node.views.change_conditions import TakeBack, Wish
from node.views.coordinator import Settled
from node.views.risk import Risk
from ring.hashing import HASH, PARTITIONS
from ring.placement import Shard
from ring.zones import crowded

T = TypeVar("T")

CHANGED: Final = "View change successful"

_encode = msgspec.json.Encoder().encode


class AdminApi:
    """The handlers under `/kvs/`, except for keys."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._address = node.config.address

    async def key_count(self, _: web.Request) -> web.Response:
        view, shard = self._node.views.current, self._node.views.ring.shard_of(self._address)
        shard_id = UNSET if view.plain or shard is None else _id(shard)
        return _reply(KeyCount("Key count retrieved successfully", self._node.own_keys.count, shard_id))

    async def shards(self, _: web.Request) -> web.Response:
        ids = tuple(_id(shard) for shard in range(len(self._node.views.current.shards)))
        return _reply(Shards("Shard membership retrieved successfully", ids))

    async def shard(self, request: web.Request) -> web.Response:
        shards = {_id(shard): replicas for shard, replicas in enumerate(self._node.views.current.shards)}
        shard_id = request.match_info["id"]
        if shard_id not in shards:
            raise NotFound("Shard does not exist")
        replicas = shards[shard_id]
        count = await self._key_count_of(replicas)
        return _reply(ShardInfo("Shard information retrieved successfully", shard_id, count, replicas))

    async def status(self, _: web.Request) -> web.Response:
        view, members = self._node.views.current, self._node.gossip.members
        nodes = tuple(self._status_of(address) for address in sorted(view.nodes | members.keys()))
        return _reply(
            Status(
                "Status retrieved successfully",
                self._address,
                view.epoch,
                _hex(view.id.digest),
                view.repl_factor,
                _hex(self._node.own_keys.digest),
                _crowded(view),
                "settled" if self._node.handoff.is_settled() else "moving",
                sum(node.keys_waiting_for_copies or 0 for node in nodes),
                nodes,
                tuple(map(told, await self._node.inspector.problems())),
            )
        )

    def _status_of(self, address: Address) -> NodeStatus:
        views, member = self._node.views, self._node.gossip.members.get(address)
        record, shard = member.record if member else None, views.ring.shard_of(address)
        return NodeStatus(
            address,
            member.state if member else State.UNKNOWN,
            address in views.current.nodes,
            None if shard is None else _id(shard),
            record.key_count if record else None,
            record.settled_epoch if record else None,
            self._node.clock.offsets_ms.get(address),
            record.to_hand_over if record else None,
            record.kept if record else None,
        )

    async def ring(self, _: web.Request) -> web.Response:
        view, ring = self._node.views.current, self._node.views.ring
        ranges = []
        for shard, partitions in groupby(range(PARTITIONS), key=lambda partition: ring.table[partition]):
            first, *rest = partitions
            ranges.append((first, rest[-1] if rest else first, _id(shard)))
        shards = tuple(
            RingShard(_id(shard), replicas, tuple(view.zone_of[node] for node in replicas), ring.table.count(shard))
            for shard, replicas in enumerate(view.shards)
        )
        return _reply(
            Ring(
                "Ring retrieved successfully",
                view.epoch,
                _hex(view.id.digest),
                view.repl_factor,
                HASH,
                PARTITIONS,
                shards,
                tuple(ranges),
                _crowded(view),
            )
        )

    async def view_change_progress(self, _: web.Request) -> web.Response:
        view, state, statuses = await self._node.coordinator.progress()
        nodes = tuple(_left(address, status) for address, status in statuses.items())
        message: Final = "View change retrieved successfully"
        return _reply(Progress(message, view.epoch, view.coordinator or None, state.value, nodes))

    async def view_change(self, request: web.Request) -> web.Response:
        options, body = _options_of(request), change_of(await self._data_of(request))
        nodes, repl_factor = target_of(body)
        wish = Wish(frozenset(nodes), repl_factor, if_epoch_of(body), if_safe_of(body), gone_for_good_of(body))
        return await self._make(request, options, wish, nodes)

    async def take_back(self, request: web.Request) -> web.Response:
        options, body = _options_of(request), take_back_of(await self._data_of(request))
        return await self._make(request, options, TakeBack(if_epoch_of(body), if_safe_of(body), gone_for_good_of(body)))

    async def _data_of(self, request: web.Request) -> bytes:
        return await read_data(request, self._node.config.body_s)

    async def _make(
        self, request: web.Request, options: Options, wish: Wish | TakeBack, nodes: tuple[Address, ...] | None = None
    ) -> web.Response:
        """`nodes`: in the order in which the answer names them; None: in that of the shards."""
        if options.dry_run:
            return await self._dry_run(wish)
        change = await self._node.coordinator.change(wish)
        if not options.wait:
            return _reply(Accepted("View change accepted", change.view.epoch, _at_risk(change.risk)), 202)
        settled = await self._while_client_waits(request, self._node.coordinator.await_settled(change))
        nodes = nodes or tuple(node for replicas in settled.view.shards for node in replicas)
        return _reply(self._plain(nodes, settled) if settled.view.plain else self._replicated(settled))

    async def _dry_run(self, wish: Wish | TakeBack) -> web.Response:
        plan, by_source, counts, risk = await self._node.forecaster.forecast(wish)
        source_of = {partition: source for source, some in by_source.items() for partition in some}
        moves: dict[tuple[Address, Address], list[int]] = {}
        for move in plan.moves:
            for target in move.targets:
                moves.setdefault((source_of[move.partition], target), []).append(move.partition)
        table = plan.ring.table
        return _reply(
            Planned(
                "View change planned",
                len(plan.moves),
                sum(counts.values()),
                tuple(
                    PlannedMove(source, target, len(moved), sum(counts.get(partition, 0) for partition in moved))
                    for (source, target), moved in moves.items()
                ),
                tuple(
                    PlannedShard(_id(shard), replicas, table.count(shard))
                    for shard, replicas in enumerate(plan.ring.shards)
                ),
                _at_risk(risk),
                UNSET if risk.is_none else risk.nodes,
            )
        )

    def _plain(self, nodes: tuple[Address, ...], settled: Settled) -> ChangedPlain:
        counted = tuple(NodeCount(node, self._count(node, settled.key_counts)) for node in nodes)
        return ChangedPlain(CHANGED, counted, _at_risk(settled.risk))

    def _replicated(self, settled: Settled) -> ChangedReplicated:
        counted = tuple(
            ShardCount(_id(shard), self._count_of_shard(replicas, settled), replicas)
            for shard, replicas in enumerate(settled.view.shards)
        )
        return ChangedReplicated(CHANGED, counted, _at_risk(settled.risk))

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
                answer = await self._node.calls.try_ask(node, messages.AskStatus(), count_s)
        except TimeoutError:
            return None
        return answer.key_count if isinstance(answer, messages.Status) else None

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


def _options_of(request: web.Request) -> Options:
    """Raises RequestFault."""
    return options_of(request.rel_url.raw_query_string)


def _at_risk(risk: Risk) -> int | UnsetType | None:
    """What an answer says of the keys that are given up: nothing, if there are none."""
    return UNSET if risk.is_none else risk.keys


def _crowded(view: View) -> tuple[Crowded, ...]:
    """The shards whose copies share zones though they need not, with these zones."""
    crowded_shards = crowded([view.zone_of[node] for node in replicas] for replicas in view.shards)
    return tuple(Crowded(_id(shard), tuple(zones)) for shard, zones in crowded_shards.items())


def _left(address: Address, status: messages.Status | None) -> NodeProgress:
    if status is None:
        return NodeProgress(address, None, None)
    partitions = sum(owed.partitions for owed in status.handing)
    return NodeProgress(address, partitions, sum(owed.records for owed in status.handing))


def told(problem: survey.Problem) -> Problem:
    """As it stands in an answer: what is not known is left out."""
    return Problem(
        problem.code,
        problem.severity,
        problem.what,
        problem.do,
        problem.nodes,
        UNSET if problem.keys is None else problem.keys,
        UNSET if problem.lasts_s is None else round(problem.lasts_s, 1),
    )


def _id(shard: int) -> str:
    return str(shard + 1)


def _hex(digest: int) -> str:
    return f"{digest:016x}"


def _reply(answer: Struct, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_encode(answer), headers=JSON_HEADERS)
