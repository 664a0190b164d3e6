"""What is answered to a request that is refused: `answers.render_fault` writes these."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from node.api.shapes.words import Address, Addresses, Count, Epoch

Needed = Annotated[Addresses, Meta(description="Nodes that would be needed, and do not answer")]
Full = Annotated[Addresses, Meta(description="Nodes that would be needed, and whose disks are full")]
Older = Annotated[Addresses, Meta(description="Nodes of a release that knows of no such request")]


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with a request."""

    error: Annotated[str, Meta(description="What is wrong, and where it helps what would be right")]
    message: Annotated[str, Meta(pattern="^Error in [A-Z]+$")]


class Unavailable(Fault, frozen=True, forbid_unknown_fields=True):
    """The request cannot be satisfied now. A write may have happened all the same, once at most."""

    unreachable: Needed | UnsetType = UNSET
    full: Full | UnsetType = UNSET
    nodes: Older | UnsetType = UNSET


class Conflict(Fault, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """A view change that is not made."""

    epoch: Annotated[Epoch, Meta(description="That in force, where `if-epoch` is another")] | UnsetType = UNSET
    view: Annotated[str, Meta(description="The nodes before, where it is too late to take back")] | UnsetType = UNSET
    foreign: Annotated[Addresses, Meta(description="Nodes of another cluster")] | UnsetType = UNSET
    keys_at_risk: (
        Annotated[Count | None, Meta(description="How many would be lost, as last heard; null: nobody can tell")]
        | UnsetType
    ) = UNSET
    unreachable: Annotated[Addresses, Meta(description="Nodes that alone have them")] | UnsetType = UNSET


class KeyFault(Fault, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """What is wrong with a request for a key. To one with a causal context, more is told."""

    address: Annotated[Address, Meta(description="An owner of the key, if this node is none")] | UnsetType = UNSET
    causal_context: Annotated[dict[str, Any], Meta(description="To be passed on")] | UnsetType = UNSET
