"""What nodes say to each other: frozen, typed messages in msgpack, validated once.

Whoever sends or answers a message imports it from here, and need not know in which of the files beside this one it is
defined: `data` (clients' operations), `watching`, `figures`, `views`, `sync` (moving records), `co_owners`, or `base`.

A *call* is a request and gets one answer; a *cast* is a gossip message and gets none: see `gossip.messages`. How both
travel is told by `frames`.

    request     sent by                 to                   answered with
    Read        who a client has asked  an owner of the key  ReadResult, Unsatisfied
    Write       who a client has asked  an owner of the key  Wrote, NothingDeleted, Superseded, MayBeStored, Unsatisfied
                (WriteExpiring is one)
    WriteIf     who a client has asked  a key's first owner  Wrote, NothingDeleted, Superseded, MayBeStored, Unmet,
                                                             Unheard, Unsatisfied
    Batch       who a client has asked  an owner of the keys Batched
    Fetch       an owner                a co-owner or donor  Fetched
    ListKeys    who a client has asked  an owner of a shard  Listed, Unheard
    FetchRange  an owner                a co-owner or donor  FetchedRange
    Export      who a client has asked  an owner of a shard  Exported, Unheard
    FetchPartitions  an owner           a co-owner or donor  FetchedRange
    Tail        who clients watch       an owner             Tailed
    AskStamp    who a client has asked  an owner of the key  Stamped
    Hello       any node                any node             ViewIs
    FetchView   who lacks a later view  who holds it         ViewIs
    Promise     a coordinator           nodes of both views  Promised, Busy, Foreign, NoRoom, ViewIs
    Release     a coordinator           who has promised     ViewIs
    Confirm     an owner, coordinator   nodes of its view    Confirmed
    Adopt       a coordinator           nodes of both views  ViewIs, Busy, Foreign
    AskStatus   any node                any node             Status
    AskHealth   any node                any node             Health
    AskFigures  who shows all nodes     any node             Figures
    CountKeys   a coordinator           who holds the keys   KeyCounts
    AskHolding  an owner                a donor              Holding
    Holding     a donor                 an owner             Taken, NoRoom
    Push        who holds records       an owner             Taken, NoRoom
    Compare     who holds records       an owner             Differing
    Offer       who holds records       an owner             Wanted
    Heartbeat   an owner                a co-owner           HeartbeatAnswer
    Replicate   an owner                a co-owner           Taken, NoRoom

Read, Fetch and Tail may be answered with Apart, see `lanes`. Any call may also be answered with Unable, and, unless it
is one of `any_view`, with ViewIs or Foreign.
"""

from __future__ import annotations

from typing import TypeAlias

from node.net.messages.base import LARGE_BYTES, Apart, NodeMessage, Unable, Unsigned
from node.net.messages.co_owners import (
    CoOwnerAnswer,
    CoOwnerRequest,
    Heartbeat,
    HeartbeatAnswer,
    NoRoom,
    Replicate,
)
from node.net.messages.data import (
    AskStamp,
    Batch,
    BatchAnswer,
    Batched,
    Copies,
    DataAnswer,
    DataRequest,
    Export,
    Exported,
    Fetch,
    Fetched,
    FetchedRange,
    FetchPartitions,
    FetchRange,
    Listed,
    ListedExpiring,
    ListKeys,
    MayBeStored,
    NothingDeleted,
    Range,
    Read,
    ReadResult,
    ReadResultExpiring,
    Stamped,
    Stretch,
    Superseded,
    Unheard,
    Unmet,
    Unsatisfied,
    Write,
    WriteExpiring,
    WriteIf,
    Wrote,
)
from node.net.messages.figures import AskFigures, Figures, FiguresAnswer, FiguresRequest, Interval
from node.net.messages.sync import (
    AskHolding,
    Compare,
    Differing,
    Holding,
    Offer,
    Push,
    SyncAnswer,
    SyncRequest,
    Taken,
    Wanted,
)
from node.net.messages.views import (
    Adopt,
    AskHealth,
    AskStatus,
    Busy,
    Confirm,
    Confirmed,
    CountKeys,
    FetchView,
    Foreign,
    Health,
    Hello,
    KeyCounts,
    Owed,
    Promise,
    Promised,
    Release,
    Status,
    ToldView,
    ViewAnswer,
    ViewIs,
    ViewRequest,
)
from node.net.messages.watching import OPENING, Tail, Tailed, WatchAnswer, WatchRequest

Request: TypeAlias = DataRequest | WatchRequest | ViewRequest | SyncRequest | CoOwnerRequest | FiguresRequest
Answer: TypeAlias = DataAnswer | WatchAnswer | ViewAnswer | SyncAnswer | CoOwnerAnswer | FiguresAnswer | Apart | Unable

__all__ = [
    "LARGE_BYTES",
    "OPENING",
    "Adopt",
    "Answer",
    "Apart",
    "AskFigures",
    "AskHealth",
    "AskHolding",
    "AskStamp",
    "AskStatus",
    "Batch",
    "BatchAnswer",
    "Batched",
    "Busy",
    "Compare",
    "Confirm",
    "Confirmed",
    "Copies",
    "CountKeys",
    "Differing",
    "Export",
    "Exported",
    "Fetch",
    "FetchPartitions",
    "FetchRange",
    "FetchView",
    "Fetched",
    "FetchedRange",
    "Figures",
    "Foreign",
    "Health",
    "Heartbeat",
    "HeartbeatAnswer",
    "Hello",
    "Holding",
    "Interval",
    "KeyCounts",
    "ListKeys",
    "Listed",
    "ListedExpiring",
    "MayBeStored",
    "NoRoom",
    "NodeMessage",
    "NothingDeleted",
    "Offer",
    "Owed",
    "Promise",
    "Promised",
    "Push",
    "Range",
    "Read",
    "ReadResult",
    "ReadResultExpiring",
    "Release",
    "Replicate",
    "Request",
    "Stamped",
    "Status",
    "Stretch",
    "Superseded",
    "Tail",
    "Tailed",
    "Taken",
    "ToldView",
    "Unable",
    "Unheard",
    "Unmet",
    "Unsatisfied",
    "Unsigned",
    "ViewIs",
    "Wanted",
    "Write",
    "WriteExpiring",
    "WriteIf",
    "Wrote",
]
