"""The table of routes has each that a node serves, and no other; and what it says of each can be told apart."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from node.api.routes.common import RETRY
from node.api.routes.table import ROUTES
from node.api.routes.words import JSON, Answer, Content, Operation
from tests.node.api.two_nodes import TwoNodes, routes_of

OPERATIONS = [(route.path, operation) for route in ROUTES for operation in route.operations]
IDS = [operation.id for _, operation in OPERATIONS]


@pytest.mark.asyncio(loop_scope="module")
async def test_routes_are_those_that_a_node_serves_and_no_other(two: TwoNodes) -> None:
    assert Counter((path, operation.method.upper()) for path, operation in OPERATIONS) == Counter(routes_of(two))


def test_routes_have_ids_of_their_own() -> None:
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=IDS)
def test_routes_name_each_parameter_of_their_path(path: str, operation: Operation) -> None:
    named = [parameter.name for parameter in operation.parameters if parameter.place == "path"]
    assert named == re.findall(r"\{(.*?)\}", path)


@pytest.mark.parametrize("operation", [operation for _, operation in OPERATIONS], ids=IDS)
def test_routes_say_once_what_each_status_means(operation: Operation) -> None:
    statuses = [answer.status for answer in operation.answers]
    assert len(set(statuses)) == len(statuses)
    assert any(200 <= status < 300 for status in statuses)


def test_answer_of_json_has_headers_with_hyphens() -> None:
    answer = Answer.of(200, "what", int, Retry_After=RETRY)
    assert answer == Answer(200, "what", (Content((int,), JSON),), {"Retry-After": RETRY})
