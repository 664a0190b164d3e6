"""Who waits on the outbox of one co-owner: writes, for what they put in to be confirmed; and the stream that empties
it, for something to be put in.

The outbox itself knows nothing of them. Whoever has changed it says so here: `notify` after something was put in,
`settle` after something was confirmed.
"""

from __future__ import annotations

import asyncio

from node.replication.outbox import Outbox


class Confirmations:
    """Needs a running event loop."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: dict[int, list[asyncio.Future[bool]]] = {}
        """Those that wait for a position to be confirmed."""
        self._filled = asyncio.Event()
        """Set while there is something in the outbox, and until the stream has seen that there is nothing any more."""

    # To be sent

    def notify(self) -> None:
        """Something was put in."""
        self._filled.set()

    async def something_to_send(self) -> None:
        """Returns once there is something in the outbox."""
        while not self._outbox:
            self._filled.clear()
            await self._filled.wait()

    # To be confirmed

    async def wait_for(self, position: int) -> bool:
        """Returns True once `position` is confirmed, False if `give_up` comes first."""
        if self._outbox.is_confirmed(position):
            return True
        confirmation: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(position, []).append(confirmation)
        try:
            return await confirmation
        except asyncio.CancelledError:
            self._withdraw(position, confirmation)
            raise

    def settle(self) -> None:
        """Something may have been confirmed: whoever waited for it goes on."""
        for position in self._outbox.confirmed_among(self._waiting):
            self._tell(position, True)

    def give_up(self) -> None:
        """Nobody shall wait for confirmations any longer; what is in the outbox stays there."""
        for position in list(self._waiting):
            self._tell(position, False)

    def _tell(self, position: int, is_confirmed: bool) -> None:
        for confirmation in self._waiting.pop(position):
            if not confirmation.done():
                confirmation.set_result(is_confirmed)

    def _withdraw(self, position: int, confirmation: asyncio.Future[bool]) -> None:
        waiting = self._waiting.get(position, [])
        if confirmation in waiting:
            waiting.remove(confirmation)
            if not waiting:
                del self._waiting[position]
