"""What the page is told of nodes, ring and samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from gossip.membership import Member, State
from gossip.messages import MemberRecord
from gossip.view import Address, View
from node.api.ui.sections import Sight, encode, samples_of, sections_of
from node.diagnosis.observer import History, Point
from node.diagnosis.survey import Seen
from node.net.messages import Figures, Interval
from node.views.rules import ring_of
from tests.node.diagnosis.surveys import DOWN, KEYS, PAIRS, WELL, ill, survey_of, up
from tests.node.views.bench import A, B, C, D

DEAD = Member(State.DEAD, MemberRecord(D, 1, 1, 2, 0, 4))


def told(
    view: View = PAIRS,
    seen: dict[Address, Seen] | None = None,
    down: str = "",
    members: Mapping[Address, Member] | None = None,
    histories: Mapping[Address, History] | None = None,
) -> dict[str, Any]:
    sight = Sight(survey_of(view, seen, down), ring_of(view), members or {}, histories or {}, {B: 0.0123})
    sections: dict[str, Any] = json.loads(encode(sections_of(sight)))
    return sections


def node(sections: dict[str, Any], address: Address) -> dict[str, Any]:
    (found,) = [one for one in sections["nodes"] if one["address"] == address]
    assert isinstance(found, dict)
    return found


def test_sections_of_a_store_that_is_well() -> None:
    sections = told()
    assert sections["problems"] == []
    assert [(one["address"], one["state"], one["me"]) for one in sections["nodes"]] == [
        (address, "up", address == A) for address in (A, B, C, D)
    ]
    assert node(sections, B)["round-trip-ms"] == 12.3 and node(sections, A)["round-trip-ms"] is None
    assert node(sections, B)["key-count"] == KEYS and node(sections, B)["shard-id"] == "1"


def test_sections_of_a_view_go_once_around_the_ring() -> None:
    view = told()["view"]
    assert sum(partitions for _, partitions in view["ranges"]) == view["partitions"] == 4096
    assert [(shard["shard-id"], shard["replicas"]) for shard in view["shards"]] == [("1", [A, B]), ("2", [C, D])]
    of_shards = {str(shard): sum(n for other, n in view["ranges"] if other == shard) for shard, _ in view["ranges"]}
    assert of_shards == {shard["shard-id"]: shard["partitions"] for shard in view["shards"]}


@pytest.mark.parametrize(
    ("seen", "members", "state"),
    [
        (up(PAIRS), {}, "up"),
        (DOWN, {}, "down"),
        (Seen(), {}, "silent"),
        (Seen(), {D: DEAD}, "down"),
        (Seen(is_foreign=True), {}, "foreign"),
        (ill(PAIRS, unready_ms=5), {}, "starting"),
        (up(PAIRS, may_lack=True), {}, "catching up"),
    ],
)
def test_sections_say_in_a_word_how_a_node_is(seen: Seen, members: Mapping[Address, Member], state: str) -> None:
    assert node(told(seen={D: seen}, members=members), D)["state"] == state


def test_sections_call_what_is_wrong_by_name_and_first() -> None:
    sections = told(seen={D: ill(PAIRS, full_ms=2000)}, down="b")
    assert {problem["code"] for problem in sections["problems"]} >= {"node-down", "disk-full"}
    assert node(sections, D)["stuck"] and not node(sections, C)["stuck"]


def test_sections_of_a_node_that_is_gone_have_what_was_last_heard() -> None:
    gone = node(told(down="d", members={D: DEAD}), D)
    assert (gone["key-count"], gone["clock-offset-ms"], gone["settled"], gone["free-bytes"]) == (4, None, None, None)


def test_sections_tell_disks_and_what_is_handed_over() -> None:
    history = History()
    history.add(Figures(1, 1, 0, (), 10, 20, 30), 0, 1)
    sections = told(seen={C: up(PAIRS, health=WELL, handing="ab")}, histories={C: history})
    found = node(sections, C)
    assert (found["store-bytes"], found["free-bytes"], found["disk-bytes"]) == (10, 20, 30)
    assert found["handing"] == [["a:1", 1, 2], ["b:1", 1, 2]] and found["settled"] is False


def test_samples_are_the_fields_of_an_interval_after_its_end() -> None:
    interval = Interval(5000, 1, 2, 3, 4, 5, 6, 7)
    assert samples_of({A: [Point(1, 99, interval)]}) == {A: [(99, *msgspec.structs.astuple(interval))]}
