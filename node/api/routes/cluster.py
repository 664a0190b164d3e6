"""The store as a whole: shards, views and what is wrong."""

from __future__ import annotations

from node.api.routes.common import DETAIL, READS_BODY
from node.api.routes.words import Answer, Body, Content, Operation, Parameter, Route
from node.api.shapes.cluster import (
    Accepted,
    ChangedPlain,
    ChangedReplicated,
    KeyCount,
    Planned,
    Progress,
    Ring,
    ShardInfo,
    Shards,
    Status,
    TakeBackBody,
    ViewChangeBody,
)
from node.api.shapes.faults import Conflict, Fault
from node.api.shapes.words import ShardId

WAIT = Parameter("wait", "query", "`false`: answer as soon as nothing can stop it", bool)
DRY_RUN = Parameter("dry-run", "query", "`true`: say what it would do, and do nothing", bool)
MALFORMED = Answer.of(400, "An option or the body is malformed, or asks for what cannot be", Fault, Kvs_Detail=DETAIL)
MADE = (
    Answer.of(200, "It has settled; or, with `dry-run`, what it would do", ChangedPlain, ChangedReplicated, Planned),
    Answer.of(202, "With `wait=false`: it is made", Accepted),
    MALFORMED,
    Answer.of(409, "Another change is under way, or a condition does not hold", Conflict),
    *READS_BODY,
)


def told(path: str, id_: str, summary: str, shape: type) -> Route:
    """One that takes nothing."""
    return Route(path, (Operation("get", id_, summary, (Answer.of(200, summary, shape),)),))


ROUTES = (
    told("/kvs/key-count", "countKeys", "How many keys this node owns", KeyCount),
    told("/kvs/shards", "listShards", "The ids of the shards", Shards),
    Route(
        "/kvs/shards/{id}",
        (
            Operation(
                "get",
                "getShard",
                "The keys and replicas of a shard",
                (
                    Answer.of(200, "The shard", ShardInfo),
                    Answer.of(404, "There is no such shard", Fault),
                ),
                (Parameter("id", "path", "Of the shard", ShardId),),
            ),
        ),
    ),
    Route(
        "/kvs/view-change",
        (
            Operation(
                "get",
                "getViewChange",
                "How far the change under way has come, or the last one",
                (Answer.of(200, "The change", Progress),),
            ),
            Operation(
                "put",
                "changeView",
                "Change the nodes of the store, or the number of copies",
                MADE,
                (WAIT, DRY_RUN),
                Body(Content((ViewChangeBody,)), ("view",), is_exact=True),
                "It is answered once every key is where the new view wants it, which lasts as long as keys move.",
            ),
            Operation(
                "delete",
                "takeViewChangeBack",
                "Take back the change under way: the view before it becomes the next one",
                MADE,
                (WAIT, DRY_RUN),
                Body(Content((TakeBackBody,)), is_exact=True),
            ),
        ),
    ),
    told("/kvs/status", "getStatus", "What is wrong, who is alive and holds what", Status),
    told("/kvs/ring", "getRing", "Which shard has which keys", Ring),
)
