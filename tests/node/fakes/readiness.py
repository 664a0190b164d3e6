"""Readiness that a test decides."""

from __future__ import annotations

from collections.abc import Callable

from node.views.readiness import Readiness


class HandReadiness(Readiness):
    """Stands in for what asks around whether this node may act: it may until it is told of a pause. Asks nobody, and
    notices nothing by itself."""

    is_ready: bool = True
    admits: bool = True
    """Whether what clients have sent is young enough."""

    def __init__(self, on_pause: Callable[[bool], None] = lambda is_long: None) -> None:
        self._on_pause = on_pause

    def enter(self) -> bool:
        return self.is_ready

    def admit(self) -> bool:
        return self.admits

    async def wait_until_ready(self, deadline: float) -> bool:
        return self.is_ready

    def pause(self) -> None:
        """As if the process had been paused, and nobody asked yet."""
        self.is_ready = False
        self._on_pause(False)
