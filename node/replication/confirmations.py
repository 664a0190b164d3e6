"""Who waits on the outbox of one co-owner: writes, for what they put in to be confirmed; and the stream that empties
it, for something to be put in.

The outbox itself knows nothing of them. Whoever has changed it says so here: `notify` after something was put in,
`settle` after something was confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from node.replication.outbox import Outbox


class Confirmations:
    """Needs a running event loop."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
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

    def confirmation(self, position: int) -> asyncio.Future[bool]:
        """True once `position` is confirmed, False if `give_up` comes first."""
        confirmation: asyncio.Future[bool] = self._loop.create_future()
        if self._outbox.is_confirmed(position):
            confirmation.set_result(True)
        else:
            self._waiting.setdefault(position, []).append(confirmation)
        return confirmation

    async def wait_for(self, position: int) -> bool:
        """Returns what `confirmation` comes to."""
        confirmation = self.confirmation(position)
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


def all_of(confirmations: Sequence[asyncio.Future[bool]]) -> asyncio.Future[bool]:
    """True once all of them are, False as soon as one is not."""
    if len(confirmations) == 1:
        return confirmations[0]
    left, all_confirmed = len(confirmations), confirmations[0].get_loop().create_future()

    def note(confirmation: asyncio.Future[bool]) -> None:
        nonlocal left
        left -= 1
        if not all_confirmed.done() and (left == 0 or not confirmation.result()):
            all_confirmed.set_result(confirmation.result())

    for confirmation in confirmations:
        confirmation.add_done_callback(note)
    return all_confirmed
