"""What a node has counted lately, for who shows all nodes to a person."""

from __future__ import annotations

from typing import TypeAlias

from node.net.messages.base import NodeMessage, Unsigned


class AskFigures(NodeMessage, frozen=True, tag=77):
    """What has happened at your end since the interval of this number? Not to be asked of a release that knows of no
    expiry."""

    any_view = True
    life: Unsigned = 0
    """The incarnation that the number is of; of an earlier one, it means nothing."""
    after: Unsigned = 0


class Interval(NodeMessage, frozen=True):
    """What clients have asked of a node within some seconds."""

    lasted_ms: Unsigned
    reads: Unsigned
    writes: Unsigned
    """PUT and DELETE."""
    lines: Unsigned
    """Of batches."""
    refused: Unsigned
    """Answers of 503 to any of these."""
    p50_us: Unsigned
    """What half of the requests for keys took at most, in microseconds; 0: there were none."""
    p99_us: Unsigned
    owed: Unsigned
    """Keys on its disk, at the end, that it does not own."""


class Figures(NodeMessage, frozen=True, tag=78):
    """Answers AskFigures."""

    life: Unsigned
    number: Unsigned
    """Of the last interval; 0: none has ended yet."""
    ended_ms: Unsigned
    """How long ago that was."""
    intervals: tuple[Interval, ...]
    """Those asked for that are remembered, the last one last, each begun where the one before has ended."""
    store_bytes: Unsigned = 0
    """Of the disk, all 0 if it would not say: what the pages of the store take up."""
    free_bytes: Unsigned = 0
    disk_bytes: Unsigned = 0


FiguresRequest: TypeAlias = AskFigures
FiguresAnswer: TypeAlias = Figures
