"""States that last, in the log: a line when one begins, a line when it ends, none in between.

Whoever waits for something looks again and again whether it is still missing. Were each look a line, a node that is
down for an hour would hide what else has happened.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable

log = logging.getLogger(__name__)


class StateLog:
    """What holds at present of each thing that was said to be in some state."""

    def __init__(self) -> None:
        self._states: dict[Hashable, str] = {}

    def begin(self, thing: Hashable, line: str) -> None:
        """`thing` is in the state that `line` tells of; a no-op while that is so already."""
        if self._states.get(thing) != line:
            self._states[thing] = line
            log.info("%s", line)

    def end(self, thing: Hashable, line: str | None = None) -> None:
        """`thing` is in no such state, or no more, which `line` tells; None: not worth a line. A no-op if it was in
        none."""
        if self._states.pop(thing, None) is not None and line is not None:
            log.info("%s", line)
