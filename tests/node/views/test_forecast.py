"""What a change would do is told without doing it."""

from __future__ import annotations

import pytest

from gossip.view import ViewId
from node.errors import Conflict, Unavailable
from node.net.messages import Owed, Promise
from node.views.census import LastHeard
from node.views.change_conditions import TakeBack, Wish
from tests.node.parts import A, B, C, D, node_a, on_virtual_time
from tests.node.views.coordinating import Coordinating, of_three, peers_of


@on_virtual_time
async def test_forecast_counts_the_same_and_changes_nothing() -> None:
    parts = await of_three()
    bench = Coordinating(parts)
    peers_of(parts, B)
    bench.heard[C] = LastHeard(7, 0, ViewId(0, 0))
    wish = Wish(frozenset({A, B}), if_safe=True)
    forecast = await bench.forecaster.forecast(wish)
    assert forecast.risk == (7, (C,))
    assert parts.views.view_id.epoch == 3 and not parts.asked(Promise)
    with pytest.raises(Conflict, match="of epoch 3, not 2"):
        await bench.forecaster.forecast(wish._replace(if_epoch=2))


@on_virtual_time
async def test_forecast_of_a_move_counts_what_would_move() -> None:
    parts = await of_three()
    bench = Coordinating(parts)
    peers_of(parts, B, C)
    forecast = await bench.forecaster.forecast(Wish(frozenset({A, B})))
    moved = {move.partition for move in forecast.plan.moves}
    assert moved == parts.views.ring.partitions_of(C)
    assert forecast.key_counts == dict.fromkeys(moved, 1)
    assert forecast.risk.is_none


@on_virtual_time
async def test_forecast_of_what_a_silent_node_has_is_that_it_is_not_counted() -> None:
    parts = await of_three()
    bench = Coordinating(parts)
    peers_of(parts, B)
    forecast = await bench.forecaster.forecast(Wish(frozenset({A, B})))
    assert forecast.by_source.keys() == {C} and not forecast.key_counts and forecast.risk.nodes == (C,)


@on_virtual_time
async def test_forecast_asks_of_several_copies_one_that_answers() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    bench = Coordinating(parts)
    peers_of(parts, B, D)
    assert parts.views.current.shards == ((A, B), (C, D))
    forecast = await bench.forecaster.forecast(Wish(frozenset({A, B, D})))
    assert forecast.by_source.keys() == {A, D} and sum(forecast.key_counts.values()) > 0


@on_virtual_time
async def test_forecast_is_refused_where_the_change_would_be() -> None:
    parts = await of_three()
    bench = Coordinating(parts)
    peers_of(parts, B, C)
    with pytest.raises(Unavailable) as refusal:
        await bench.forecaster.forecast(Wish(frozenset({A, D})))
    assert refusal.value.details == {"unreachable": [D]}
    with pytest.raises(Conflict, match="has settled"):
        await bench.forecaster.forecast(TakeBack())
    bench.waiting = (Owed(B, 1, 0),)
    with pytest.raises(Conflict, match="Nothing to go back to"):
        await bench.forecaster.forecast(TakeBack())
