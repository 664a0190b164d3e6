"""States that last, in the log: a line when one begins, a line when it ends, none in between.

Whoever waits for something looks again and again whether it is still missing. Were each look a line, a node that is
down for an hour would hide what else has happened. So would a line for each stranger, who may call itself by another
name each time: of what strangers bring about there are few lines, whatever they do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

LINES_AT_ONCE = 64
"""As many as the nodes of a large store, all of which are turned away at once since a file is wrong."""
LINE_EVERY_S = 10.0

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


class FewLines:
    """Of one kind: some at once, and then one now and then, which tells how many were left out. `now`: seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._at = now()
        self._room = float(LINES_AT_ONCE)
        self._left_out = 0

    def is_due(self) -> bool:
        """Whether there may be one more line; if so, `rest` is to end it."""
        now = self._now()
        self._room = min(LINES_AT_ONCE, self._room + (now - self._at) / LINE_EVERY_S)
        self._at = now
        if self._room < 1:
            self._left_out += 1
            return False
        self._room -= 1
        return True

    def rest(self) -> str:
        """Of the line, about those that were left out before it."""
        others, self._left_out = self._left_out, 0
        return f"; and {others} like it before" if others else ""
