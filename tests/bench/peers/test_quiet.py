"""How busy a machine is, by two readings of its clocks."""

from __future__ import annotations

import pytest

from bench.peers.quiet import busy_share

BEFORE = "cpu  100 0 100 800 50 0 0 0 7 0\ncpu0 50 0 50 400 25 0 0 0 7 0\n"


@pytest.mark.parametrize(
    ("after", "share"),
    [
        ("cpu  100 0 100 900 50 0 0 0 7 0\n", 0.0),
        ("cpu  100 0 100 850 100 0 0 0 7 0\n", 0.0),
        ("cpu  150 0 110 840 50 0 0 0 57 0\n", 0.6),
        ("cpu  100 0 100 800 50 0 0 90 7 0\n", 1.0),
        (BEFORE, 1.0),
    ],
)
def test_busy_is_all_but_idle_and_waiting_for_disks(after: str, share: float) -> None:
    assert busy_share(BEFORE, after) == pytest.approx(share)
