"""Gossip at scale, measured on clusters small enough for a test: its figures keep their bounds, and are shown so."""

from __future__ import annotations

import pytest

from bench.gossip import death_rounds_max, measure, table, view_rounds_max
from bench.tables import show
from gossip.messages import MESSAGE_BYTES_MAX


@pytest.mark.parametrize("nodes", [10, 100])
def test_gossip_at_scale_keeps_its_bounds(nodes: int, capsys: pytest.CaptureFixture[str]) -> None:
    run = measure(nodes, seed=1, steady_rounds=20)
    assert run.view_rounds <= view_rounds_max(nodes)
    assert run.death_rounds <= death_rounds_max(nodes)
    assert run.false_deaths == 0
    assert run.message_bytes_max <= MESSAGE_BYTES_MAX
    assert 0 < run.bytes_per_node_round < run.messages_per_node_round * run.message_bytes_max
    show(table([run]))
    assert capsys.readouterr().out.count(" met ") == 2
