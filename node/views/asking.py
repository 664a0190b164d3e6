"""What a coordinator asks of all nodes of a change, itself included, and what it tells them: where they stand, and
which view holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from gossip.view import Address
from node.config import Config
from node.net.messages import Adopt, Answer, AskStatus, Busy, Foreign, Request, Status, ViewIs
from node.state_log import StateLog
from node.timing.clock import Time
from node.views.calls import Calls
from node.views.holder import Views


class Asking:
    """`answer_here` is this node's own handler: it takes part in its own changes like any other node."""

    def __init__(
        self,
        config: Config,
        time: Time,
        views: Views,
        calls: Calls,
        answer_here: Callable[[Request], Awaitable[Answer]],
        states: StateLog,
    ) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._calls = calls
        self._answer_here = answer_here
        self._states = states

    async def call(self, node: Address, request: Request, patience_s: float = 0.0) -> Answer | None:
        """None if the node cannot be reached: it refused, or was silent. It is tried again for `patience_s`."""
        if node == self._config.address:
            return await self._answer_here(request)
        deadline = self._time.monotonic() + patience_s
        while True:
            answer = await self._calls.try_ask(node, request, self._config.unreachable_s)
            if answer is not None or self._time.monotonic() >= deadline:
                return answer
            await asyncio.sleep(self._config.settle_poll_s)

    async def statuses(self, nodes: Iterable[Address], patience_s: float = 0.0) -> dict[Address, Status]:
        """Where those of `nodes` stand that can be reached."""
        asked = sorted(nodes)
        answers = await asyncio.gather(*(self.call(node, AskStatus(), patience_s) for node in asked))
        return {node: answer for node, answer in zip(asked, answers, strict=True) if isinstance(answer, Status)}

    def who_hold_another(self, statuses: Mapping[Address, Status]) -> frozenset[Address]:
        """Those that hold another view than this node."""
        return frozenset(node for node, status in statuses.items() if status.view != self._views.view_id)

    async def bring_view_to(self, nodes: Iterable[Address]) -> frozenset[Address]:
        """Push this node's view to all others of `nodes`. Returns those that refuse it for good: a node of another
        cluster has their address now."""
        others = sorted(set(nodes) - {self._config.address})
        answers = await asyncio.gather(*map(self._push, others))
        return frozenset(node for node, answer in zip(others, answers, strict=True) if isinstance(answer, Foreign))

    async def foreign_among(self, nodes: Iterable[Address]) -> frozenset[Address]:
        """Those at whose address a node of another store is, but for one that has nothing. It was judged when it was
        heard last, and may have followed since, as newcomers do: so it is asked once more."""
        await asyncio.gather(*map(self._calls.greet, sorted(filter(self._calls.is_foreign, nodes))))
        return frozenset(node for node in nodes if not self._calls.may_be_taken_in(node))

    def note_taken(self, node: Address) -> None:
        """It holds the view that this node holds, on whosever word."""
        self._states.end(("lags", node), f"{node} has taken view {self._views.view_id}")

    def note_waits(self, nodes: Iterable[Address], statuses: Mapping[Address, Status], settled: bool) -> None:
        """Say once that keys move, and once that all are where they should be; once that the change waits for a node,
        and once that it does not any more."""
        view_id = self._views.view_id
        if settled:
            self._states.end("moves", f"view {view_id} has settled")
        else:
            self._states.begin("moves", f"view {view_id} has yet to settle")
        awaited = {owed.address for status in statuses.values() for owed in (*status.waiting, *status.handing)}
        for node in nodes:
            if node in statuses:
                if statuses[node].view == view_id:
                    self.note_taken(node)
                self._states.end(("awaited", node), f"{node} can be reached again")
            elif node in awaited and not settled:
                self._states.begin(("awaited", node), f"view {view_id} waits for {node}, which cannot be reached")
            if settled:
                self._states.end(("awaited", node), f"view {view_id} waits for {node} no more")

    async def _push(self, node: Address) -> Answer | None:
        view = self._views.current
        answer = await self.call(node, Adopt(view.encoded, self._views.founders))
        if isinstance(answer, ViewIs):
            self.note_taken(node)
        else:
            self._states.begin(("lags", node), f"{node} has not taken view {view.id} yet: {_reason(answer)}")
        return answer


def _reason(answer: Answer | None) -> str:
    match answer:
        case None:
            return "it cannot be reached"
        case Foreign():
            return "it is of another cluster"
        case Busy(epoch, coordinator):
            return f"it has promised to wait for epoch {epoch} of {coordinator}"
        case _:
            return "its disk refuses it"
