"""The bodies of what operators ask for, and of view changes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from gossip.membership import State
from node.api.shapes.words import Address, Addresses, Count, Digest, Epoch, ShardId
from node.diagnosis.survey import Severity
from node.views.change_conditions import State as Change

Factor = Annotated[int | None, Meta(description="Copies of each shard; null: none was ever given, and there is one")]
AtRisk: TypeAlias = (
    Annotated[
        Count | None,
        Meta(description="Only where keys are given up: how many, as last heard; null: nobody can tell"),
    ]
    | UnsetType
)
Partitions = Annotated[int, Meta(description="Of 4096", ge=0, le=4096)]
VIEW_PATTERN = "^[^,]+(,[^,]+)*$"
Replicas = Annotated[Addresses, Meta(description="The nodes that have a copy")]


class KeyCount(Struct, frozen=True, rename="kebab"):
    """The live keys that this node owns."""

    message: Literal["Key count retrieved successfully"]
    key_count: Count
    shard_id: ShardId | UnsetType = UNSET


class Shards(Struct, frozen=True):
    """The ids of all shards."""

    message: Literal["Shard membership retrieved successfully"]
    shards: tuple[ShardId, ...]


class ShardInfo(Struct, frozen=True, rename="kebab"):
    """One shard."""

    message: Literal["Shard information retrieved successfully"]
    shard_id: ShardId
    key_count: Count
    replicas: Replicas


class Crowded(Struct, frozen=True, rename="kebab"):
    """A shard whose copies share zones though they need not."""

    shard_id: ShardId
    zones: tuple[str, ...]


class NodeStatus(Struct, frozen=True, rename="kebab"):
    """What is known of a node from gossip; null: nothing has been heard."""

    address: Address
    state: Annotated[str, Meta(extra_json_schema={"enum": [state.value for state in State]})]
    member: Annotated[bool, Meta(description="Whether it is in the view")]
    shard_id: ShardId | None
    key_count: Count | None
    settled_epoch: Epoch | None
    clock_offset_ms: Annotated[int, Meta(description="By how much its clock is ahead of this node's")] | None
    keys_to_hand_over: Count | None
    keys_waiting_for_copies: Count | None


class Problem(Struct, frozen=True, rename="kebab"):
    """What is wrong, and what to do about it."""

    code: Annotated[str, Meta(description="For programs: it stays the same")]
    severity: Annotated[str, Meta(extra_json_schema={"enum": [severity.value for severity in Severity]})]
    what: str
    do: str
    nodes: Annotated[Addresses, Meta(description="Those that it is about")]
    keys: Annotated[Count, Meta(description="How many it is about")] | UnsetType = UNSET
    for_seconds: Annotated[float, Meta(description="For how long it lasts")] | UnsetType = UNSET


class Status(Struct, frozen=True, rename="kebab"):
    """What is wrong, who is alive, and who holds what, as this node sees it."""

    message: Literal["Status retrieved successfully"]
    address: Address
    epoch: Epoch
    digest: Digest
    repl_factor: Factor
    data_digest: Annotated[Digest, Meta(description="The same on copies that hold the same")]
    crowded_shards: tuple[Crowded, ...]
    state: Annotated[Literal["settled", "moving"], Meta(description="Of this node's own keys")]
    keys_waiting_for_copies: Count
    nodes: tuple[NodeStatus, ...]
    problems: Annotated[tuple[Problem, ...], Meta(description="The critical first; none: nothing is wrong")]


class RingShard(Struct, frozen=True, rename="kebab"):
    """Where the copies of a shard are, and how much it has."""

    shard_id: ShardId
    replicas: Replicas
    zones: Annotated[tuple[str, ...], Meta(description="In the order of `replicas`")]
    partitions: Partitions


Range = Annotated[tuple[int, int, ShardId], Meta(description="First and last partition, and the shard that has them")]


class Ring(Struct, frozen=True, rename="kebab"):
    """Which shard has which keys: the first 12 bits of the hash of a key are its partition."""

    message: Literal["Ring retrieved successfully"]
    epoch: Epoch
    digest: Digest
    repl_factor: Factor
    hash: Annotated[str, Meta(description="Of the key's UTF-8 bytes")]
    partitions: int
    shards: tuple[RingShard, ...]
    ranges: tuple[Range, ...]
    faults: tuple[Crowded, ...]


class NodeProgress(Struct, frozen=True):
    """What a node has yet to hand over; null: it cannot be reached."""

    address: Address
    partitions: Partitions | None
    keys: Count | None


class Progress(Struct, frozen=True):
    """How far the view change under way has come, or the last one."""

    message: Literal["View change retrieved successfully"]
    epoch: Epoch
    coordinator: Annotated[Address, Meta(description="Who made the view; null: it is that of the start")] | None
    state: Annotated[str, Meta(extra_json_schema={"enum": [state.value for state in Change]})]
    nodes: tuple[NodeProgress, ...]


class TakeBackBody(Struct, frozen=True, rename="kebab"):
    """The conditions under which a view change is made, or taken back."""

    if_epoch: Annotated[
        Any,
        Meta(
            description="Only if the view in force has this epoch",
            extra_json_schema={"type": "integer", "minimum": 0},
        ),
    ] = UNSET
    if_safe: Annotated[
        Any,
        Meta(description="Only if no key is given up", extra_json_schema={"type": "boolean"}),
    ] = UNSET
    gone_for_good: Annotated[
        Any,
        Meta(
            description="Who is not in the view, and cannot be reached, serves nobody: conditions are decided without",
            extra_json_schema={"type": "boolean"},
        ),
    ] = UNSET
    causal_context: Annotated[Any, Meta(description="Passed over: clients of data send one with whatever they ask")] = (
        UNSET
    )


class ViewChangeBody(TakeBackBody, frozen=True, rename="kebab"):
    """The nodes that are to have the keys, and under which conditions."""

    view: Annotated[
        Any,
        Meta(
            description="Their addresses, with commas between them, each once",
            examples=["10.10.0.2:13800,10.10.0.3:13800"],
            extra_json_schema={"type": "string", "pattern": VIEW_PATTERN},
        ),
    ] = UNSET
    repl_factor: Annotated[
        Any,
        Meta(
            description="Copies of each shard, no more than there are nodes; the present number, if it is left out",
            extra_json_schema={"type": "integer", "minimum": 1},
        ),
    ] = UNSET


class Accepted(Struct, frozen=True, rename="kebab"):
    """The view change is made, and completes whatever happens."""

    message: Literal["View change accepted"]
    epoch: Epoch
    keys_at_risk: AtRisk = UNSET


class NodeCount(Struct, frozen=True, rename="kebab"):
    """The keys of a node."""

    address: Address
    key_count: Count


class ShardCount(Struct, frozen=True, rename="kebab"):
    """The keys of a shard."""

    shard_id: ShardId
    key_count: Count
    replicas: Replicas


class ChangedPlain(Struct, frozen=True, rename="kebab"):
    """The view is changed, and every key is where it wants it; no replication factor was ever given."""

    message: Literal["View change successful"]
    shards: tuple[NodeCount, ...]
    keys_at_risk: AtRisk = UNSET


class ChangedReplicated(Struct, frozen=True, rename="kebab"):
    """The view is changed, and every key is where it wants it."""

    message: Literal["View change successful"]
    shards: tuple[ShardCount, ...]
    keys_at_risk: AtRisk = UNSET


class PlannedMove(Struct, frozen=True, rename={"source": "from", "target": "to"}):
    """What one node would bring to another."""

    source: Address
    target: Address
    partitions: Partitions
    keys: Count


class PlannedShard(Struct, frozen=True, rename="kebab"):
    """What a shard would be."""

    shard_id: ShardId
    replicas: Replicas
    partitions: Partitions


class Planned(Struct, frozen=True, rename="kebab"):
    """What the view change would do. Nothing was done."""

    message: Literal["View change planned"]
    partitions: Annotated[Partitions, Meta(description="How many would move")]
    keys: Count
    moves: tuple[PlannedMove, ...]
    shards: tuple[PlannedShard, ...]
    keys_at_risk: AtRisk = UNSET
    unreachable: Annotated[Addresses, Meta(description="Nodes that alone have keys, and would go")] | UnsetType = UNSET
