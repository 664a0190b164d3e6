"""All ablations."""

from __future__ import annotations

from tests.sim.ablations import batches, clocks, conditions, data, deletions, expiry, moves, views, watching, ways
from tests.sim.ablations.switch import Ablation

SEEDS = 300
"""Within so many an ablation must be caught."""

ABLATIONS = (
    *data.ABLATIONS,
    *views.ABLATIONS,
    *moves.ABLATIONS,
    *deletions.ABLATIONS,
    *expiry.ABLATIONS,
    *clocks.ABLATIONS,
    *conditions.ABLATIONS,
    *watching.ABLATIONS,
    *ways.ABLATIONS,
    *batches.ABLATIONS,
)


def named(name: str) -> Ablation:
    return next(ablation for ablation in ABLATIONS if ablation.name == name)
