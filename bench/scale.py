"""How long and how often is measured, and what all measurements put in."""

from __future__ import annotations

from typing import NamedTuple

MB = 1_000_000
VALUE_RUN = 98
VALUE = f'"{"v" * VALUE_RUN}"'
"""100 bytes, known by the run of equal ones between two others."""


class Scale(NamedTuple):
    rounds: int
    warm_up_s: float
    duration_s: float
    many_keys: int
    moved_keys: int
    missed_writes: int
    """While a co-owner is away, and its outbox remembers them."""
    forgotten_writes: int
    """While a co-owner is away; too many for its outbox."""
    settling_s: float
    idle_s: float


FULL = Scale(
    rounds=7,
    warm_up_s=0.5,
    duration_s=2.0,
    many_keys=1_000_000,
    moved_keys=300_000,
    missed_writes=10_000,
    forgotten_writes=110_000,
    settling_s=10.0,
    idle_s=20.0,
)
QUICK = Scale(
    rounds=1,
    warm_up_s=0.2,
    duration_s=0.5,
    many_keys=20_000,
    moved_keys=10_000,
    missed_writes=1_000,
    forgotten_writes=1_000,
    settling_s=1.0,
    idle_s=2.0,
)
