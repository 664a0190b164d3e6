"""The node that is asked: what it is, whether it serves, and its figures."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from node.api.routes.cluster import told
from node.api.routes.common import UNAVAILABLE
from node.api.routes.words import TEXT, Answer, Content, Header, Operation, Parameter, Route
from node.api.shapes.one_node import Index, Report

Verbose = Annotated[str, Meta(extra_json_schema={"enum": ["", "true", "false"]})]
VERBOSE = Parameter("verbose", "query", "Tell each check, on a line", Verbose)
CHECKS = Content((), TEXT, "What has failed, a line each, or each check; then `ok` or `not ready`")


def checked(path: str, id_: str, summary: str, *answers: Answer) -> Route:
    return Route(path, (Operation("get", id_, summary, answers, (VERBOSE,)),))


def index(path: str, id_: str) -> Route:
    to_this = Header("To this description", str, is_always=True)
    answer = Answer.of(200, "All paths", Index, Link=to_this)
    return Route(path, (Operation("get", id_, "What is where", (answer,)),))


ROUTES = (
    told("/kvs/node", "getNode", "What this node is, how it is, and how it reaches the others", Report),
    checked("/livez", "isAlive", "Do the process and its loop run?", Answer(200, "They do", (CHECKS,))),
    checked(
        "/readyz",
        "isReady",
        "Would this node serve now?",
        Answer(200, "It would", (CHECKS,)),
        Answer(503, "It would not", (CHECKS, *UNAVAILABLE.contents), {"Retry-After": Header("In JSON only", int)}),
    ),
    Route(
        "/metrics",
        (
            Operation(
                "get",
                "getMetrics",
                "Figures for Prometheus",
                (Answer(200, "The figures", (Content((), TEXT, "Prometheus' text format"),)),),
            ),
        ),
    ),
    told("/openapi.json", "getDescription", "All of this, as OpenAPI 3.1", dict[str, Any]),
    index("/", "getIndex"),
    index("/kvs", "getIndexOfKvs"),
)
