"""Each fact that health is judged by is that of the part which knows it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from node.api.health import HealthApi
from node.health import Verdict
from node.node import Node
from node.storage.lmdb_engine import LmdbEngine
from node.timing.turns import Turns
from node.timing.witnesses import Standing

Harm = Callable[[pytest.MonkeyPatch, Node, Turns], None]


def engine(node: Node) -> LmdbEngine:
    assert isinstance(node.store.disk, LmdbEngine)
    return node.store.disk


@pytest.fixture
def ready_node(idle_node: Node) -> Node:
    """As if it had asked around."""
    idle_node.readiness._has_asked.set()
    return idle_node


def faults(node: Node, turns: Turns) -> list[str]:
    checks = HealthApi(node, turns).checks()
    return [f"{check.verdict.value}{check.name}" for check in checks if check.verdict is not Verdict.OK]


async def test_health_facts_of_a_node_that_is_well(ready_node: Node, still_turns: Turns) -> None:
    assert faults(ready_node, still_turns) == []


async def test_health_facts_of_a_node_that_has_yet_to_ask_around(idle_node: Node, still_turns: Turns) -> None:
    assert faults(idle_node, still_turns) == ["-gate"]


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda patch, node, turns: turns.lag.note(node.config.late_s + 0.1, turns.now()), "-loop"),
        (lambda patch, node, turns: node.views.lag.note_refused(), "-view"),
        (lambda patch, node, turns: patch.setattr(node.clock, "_standing", Standing.REFUSED), "-clock"),
        (lambda patch, node, turns: patch.setattr(engine(node)._stall, "has_stalled", True), "-disk"),
        (lambda patch, node, turns: patch.setattr(engine(node), "_failing", True), "-disk"),
        (lambda patch, node, turns: patch.setattr(engine(node)._room, "is_full", True), "-room"),
        (
            lambda patch, node, turns: patch.setattr(node.co_owners, "is_waiting_to_be_filled", lambda: True),
            "-caught-up",
        ),
        (lambda patch, node, turns: patch.setattr(node.co_owners, "is_catching_up", lambda: True), "-caught-up"),
        (
            lambda patch, node, turns: patch.setattr(node.views, "donors", SimpleNamespace(shares={"b:1": 1})),
            "!caught-up",
        ),
        (lambda patch, node, turns: patch.setattr(node.calls, "is_down", "b:1".__eq__), "!peers"),
    ],
)
async def test_health_fact_is_found_where_it_is(
    ready_node: Node, still_turns: Turns, monkeypatch: pytest.MonkeyPatch, harm: Harm, fault: str
) -> None:
    with monkeypatch.context() as patch:
        harm(patch, ready_node, still_turns)
        assert faults(ready_node, still_turns) == [fault]


async def test_health_fact_of_a_loop_that_is_late_but_not_too_late(ready_node: Node, still_turns: Turns) -> None:
    still_turns.lag.note(ready_node.config.late_s, still_turns.now())
    assert faults(ready_node, still_turns) == []


async def test_health_fact_of_a_node_that_finds_the_others_again(
    ready_node: Node, still_turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen at one look counts at the next."""
    health, down = HealthApi(ready_node, still_turns), {"b:1", "c:1"}
    view = SimpleNamespace(nodes=frozenset({"a:1", *down}))

    def peers() -> Verdict:
        with monkeypatch.context() as patch:
            patch.setattr(ready_node.views, "current", view)
            patch.setattr(ready_node.calls, "is_down", down.__contains__)
            (check,) = (check for check in health.checks() if check.name == "peers")
        return check.verdict

    assert peers() is Verdict.FAILED
    down.discard("b:1")
    assert peers() is Verdict.FAILED
    down.clear()
    assert peers() is Verdict.OK
    down.add("c:1")
    assert peers() is Verdict.NOTED
