"""What a coordinator tells all nodes, and what it says of those that do not listen."""

from __future__ import annotations

import pytest

from node.net.messages import Adopt
from tests.node.parts import B, C, on_virtual_time
from tests.node.views.coordinating import Coordinating, of_three, peers_of


@on_virtual_time
async def test_node_that_does_not_take_the_view_is_logged_once_and_once_when_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However often it is told."""
    parts = await of_three()
    bench = Coordinating(parts)
    _, c = peers_of(parts, B, C)
    c.takes_views = False
    with caplog.at_level("INFO", "node.state_log"):
        for _ in range(5):
            await bench.asking.bring_view_to([B, C])
        assert caplog.messages == [f"{C} has not taken view {parts.views.view_id} yet: its disk refuses it"]
        c.takes_views = True
        for _ in range(5):
            await bench.asking.bring_view_to([B, C])
    assert caplog.messages[1:] == [f"{C} has taken view {parts.views.view_id}"]
    assert sum(isinstance(request, Adopt) for request in c.asked) == 10


@on_virtual_time
async def test_statuses_are_of_those_that_can_be_reached_this_node_included() -> None:
    parts = await of_three()
    bench = Coordinating(parts)
    (b,) = peers_of(parts, B)
    b.view = b.view._replace(epoch=2)
    statuses = await bench.asking.statuses(parts.views.current.nodes)
    assert set(statuses) == parts.views.current.nodes - {C}
    assert bench.asking.who_hold_another(statuses) == {B}
