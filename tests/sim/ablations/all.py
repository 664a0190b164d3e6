"""All ablations."""

from __future__ import annotations

from tests.sim.ablations import data, deletions, moves, views

SEEDS = 300
"""Within so many an ablation must be caught."""

ABLATIONS = (*data.ABLATIONS, *views.ABLATIONS, *moves.ABLATIONS, *deletions.ABLATIONS)
