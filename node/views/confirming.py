"""Asking others whether they hold this node's view: so that it is established, and that it still is the one by which
conditions may be decided. What the answers come to is decided in `quorum`.

Whoever waits for an answer that begins after now shares it with all who came to wait meanwhile: one question at a time
is under way, however many conditions are being decided.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable

from gossip.view import Address, View
from node.config import Config
from node.net.messages import Answer, Confirm, Confirmed
from node.views.calls import Calls
from node.views.holder import Views
from node.views.quorum import have_quorums, is_quorum, missing_among

log = logging.getLogger(__name__)

NOBODY: Collection[Address] = ()


class Confirming:
    def __init__(self, config: Config, views: Views, calls: Calls) -> None:
        self._config = config
        self._views = views
        self._calls = calls
        self._last: asyncio.Task[Collection[Address]] | None = None
        """The latest round: of those before it, one may be under way."""
        self._is_joinable = False
        """Whether that has yet to begin."""
        self._finding_out: tuple[View, asyncio.Task[Collection[Address]]] | None = None
        """The latest question whether a view is established, which all share who want to know that."""
        self._establishing: set[asyncio.Task[None]] = set()

    async def answer(self, request: Confirm) -> Confirmed:
        """Answer another node's call, made under this node's view."""
        view, standing = self._views.current, self._views.standing
        if request.is_established:
            await standing.note_established(view)
        return Confirmed(standing.supports(view), standing.is_established(view))

    async def establish(self) -> Collection[Address]:
        """Find out whether the view in force is established. Returns who would have to hold it for that, and does not
        or cannot be reached, this node itself if nobody can help; none: it is."""
        view = self._views.current
        if self._views.standing.is_established(view):
            return NOBODY
        asked, finding_out = self._finding_out or (None, None)
        if asked is not view or finding_out is None or finding_out.done():
            finding_out = asyncio.create_task(self._find_out(view))
            self._finding_out = view, finding_out
        return await asyncio.shield(finding_out)

    async def _find_out(self, view: View) -> Collection[Address]:
        me, standing = self._config.address, self._views.standing
        answers = await self._ask(view, {node for group in view.electors for node in group.nodes} - {me})
        supporters = {node for node, answer in answers.items() if answer.supports}
        if standing.supports(view):
            supporters.add(me)
        if have_quorums(view.electors, supporters) or any(answer.is_established for answer in answers.values()):
            await standing.note_established(view)
            return NOBODY
        return sorted(missing_among(view.electors, supporters)) or [me]  # Not even all of them would do.

    def begin_to_establish_among(self, nodes: Iterable[Address]) -> None:
        """Find out whether the view in force is established, and if so, tell these: some of those who make it so may be
        about to leave for good. This goes on by itself until `close`."""
        task = asyncio.create_task(self._establish_among(nodes))
        self._establishing.add(task)
        task.add_done_callback(self._establishing.discard)

    async def await_established(self) -> None:
        """Returns once what has begun so is over, whatever has come of it."""
        if self._establishing:
            await asyncio.wait(self._establishing)

    async def close(self) -> None:
        for task in self._establishing:
            task.cancel()
        await self.await_established()

    async def _establish_among(self, nodes: Iterable[Address]) -> None:
        view = self._views.current
        if view.electors and not await self.establish():
            await self._ask(view, set(nodes) - {self._config.address}, is_established=True)

    async def missing(self, holding: Collection[Address]) -> Collection[Address]:
        """Who is missing for something to be decided under the view in force; none: nobody is. `holding`: who has held
        that view since what is to be decided was on disk; of the others, as many are asked as a quorum takes. Whoever
        calls has to see to it that the view is still in force afterwards."""
        if missing := await self.establish():
            return missing
        if is_quorum({*holding, self._config.address}, self._views.current.nodes):
            return NOBODY
        if self._last is None or not self._is_joinable:
            self._last, self._is_joinable = asyncio.create_task(self._round_after(self._last)), True
        return await asyncio.shield(self._last)

    async def _round_after(self, earlier: asyncio.Task[Collection[Address]] | None) -> Collection[Address]:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._is_joinable = False
        return await self._round()

    async def _round(self) -> Collection[Address]:
        """Who is missing for a quorum of the nodes of the view in force that hold it."""
        view, me = self._views.current, self._config.address
        holding = {me} & view.nodes
        others = sorted(view.nodes - {me}, key=lambda node: (self._calls.is_down(node), node))
        wanted = len(view.nodes) // 2 + 1
        while others and not is_quorum(holding, view.nodes):
            asked, others = others[: wanted - len(holding)], others[wanted - len(holding) :]
            holding |= (await self._ask(view, asked)).keys()
        return NOBODY if is_quorum(holding, view.nodes) else sorted(view.nodes - holding)

    async def _ask(
        self, view: View, nodes: Collection[Address], is_established: bool = False
    ) -> dict[Address, Confirmed]:
        """What those of them answer that hold `view`."""

        async def ask(node: Address) -> Answer | None:
            return await self._calls.try_ask(node, Confirm(is_established), self._config.attempt_s, view.id)

        asked = sorted(nodes)
        answers = zip(asked, await asyncio.gather(*map(ask, asked)), strict=True)
        return {node: answer for node, answer in answers if isinstance(answer, Confirmed)}
