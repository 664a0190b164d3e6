"""What is known of the disk under a store, for whoever watches it: how it is, what it did, and how much room it has.

Plain figures, kept by the engine as it works. Nobody decides by them what is written.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from node.histogram import SECONDS, Histogram

JOBS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Condition(NamedTuple):
    hangs: bool
    """A commit takes longer than one ever does: see `stall`."""
    fails: bool
    """It has refused the last commit."""
    has_no_room: bool
    """It takes no more records: see `reserve`."""


class Space(NamedTuple):
    """In bytes."""

    store: int
    """What the pages of the store take up."""
    free: int
    """What the file system has left for a process without privileges; 0 if it does not say."""
    disk: int = 0
    """How large the file system is; 0 if it does not say."""
    set_aside: int = 0
    """What the store can write yet without asking the file system for more: see `reserve`."""


class DiskFigures:
    def __init__(self) -> None:
        self.commit_s = Histogram(SECONDS)
        """What commits took, from when the disk was given them."""
        self.commit_jobs = Histogram(JOBS)
        """How many jobs each had."""
        self.refused = 0
        """Commits that the disk did not take."""


class Disk(Protocol):
    figures: DiskFigures

    @property
    def condition(self) -> Condition: ...

    @property
    def queued(self) -> int:
        """How many jobs wait for their commit to begin."""

    def space(self) -> Space:
        """Asks the file system, which may take its time if the disk hangs."""
