"""What was told when all nodes were asked."""

from __future__ import annotations

from kvs.asked import is_are, start
from kvs.responses import Problem
from tests.kvs.reports import A, B, C, asked, status


def test_asked_what_is_told_of_a_node_is_so_by_whomever() -> None:
    full, slow = Problem("disk-full", "critical", "", "", (B,)), Problem("node-slow", "warning", "", "", (B, C))
    told = asked(statuses={A: status(A, slow), B: status(B, full)})
    assert [told.told_of(node) for node in (A, B, C)] == [set(), {"disk-full", "node-slow"}, {"node-slow"}]


def test_asked_words_go_by_how_many_nodes_there_are() -> None:
    assert (start([A]), is_are([A])) == ("start a:1 again, with its disk", "is")
    assert (start([A, B]), is_are([A, B])) == ("start a:1, b:1 again, with their disks", "are")
