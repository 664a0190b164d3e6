"""A call to another node, and what it means that the call is refused because of a view.

Every call names the view under which it is made. Whoever holds another one refuses it, and attaches its own: then the
older of the two views must be replaced before anything else is said. So each answer passes here, where a view that
comes with it is taken if it may follow the one held; who asks need only see that there was no answer. A refusal by view
is never a failure of the peer.

It works the same the other way round: `reconcile` is what every call from another node passes first. The holder of the
lower view fetches and adopts the higher one before it acts. A donor that has answered its successor is thereby fenced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import LargeLate, PeerFault, PeerLost, PeerRefused, TooManyCalls
from node.net.messages import (
    Answer,
    Exported,
    FetchedRange,
    FetchRange,
    FetchView,
    Foreign,
    Hello,
    Listed,
    Request,
    Unable,
    ViewIs,
)
from node.net.transport import Transport
from node.timing.clock import Time
from node.values.record import checked, checked_head
from node.views.holder import Views

log = logging.getLogger(__name__)

_OF_ANOTHER_VIEW = (ViewIs, Foreign)
_IN_PARTS = (FetchedRange, Listed, Exported)


class Calls:
    """The calls that this node makes under the view it holds."""

    def __init__(self, config: Config, time: Time, views: Views, transport: Transport) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._transport = transport
        self._foreign = views.kinship.foreign
        self._met: set[Address] = set()
        self._questions: dict[Address, asyncio.Task[Answer | None]] = {}
        self._greetings: dict[Address, tuple[float, asyncio.Task[Answer | None]]] = {}
        """When those of other stores that somebody wanted to call were last asked whether they still are."""

    async def ask(
        self,
        peer: Address,
        request: Request,
        timeout_s: float,
        view_id: ViewId | None = None,
        bulk: bool = False,
        attempt: bool = False,
    ) -> Answer:
        """The answer of `peer` to a call made under `view_id`; None: the view in force.

        ViewIs: it was refused, and the view that came with it has been taken if it may follow the one held. Foreign:
        the peer was found to be of another store. Unable: also if its answer is none. Raises PeerFault: PeerRefused at
        once if that is known already. `bulk`, `attempt`: see `Transport.call`.
        """
        if peer in self._foreign and not request.any_view:
            self._ask_who_it_is(peer)
            raise PeerRefused(f"{peer} is of another cluster")
        under = self._views.view_id if view_id is None else view_id
        answer = await self._transport.call(peer, request, under, timeout_s, bulk, attempt)
        if not isinstance(answer, _OF_ANOTHER_VIEW):
            return self._sound(peer, request, answer)
        if isinstance(answer, Foreign):
            self._views.kinship.note_foreign(peer)
            return answer
        await self._views.take(answer, peer)
        return Foreign() if peer in self._foreign else answer

    def _sound(self, peer: Address, request: Request, answer: Answer) -> Answer:
        """Unable, in place of an answer in which something else stands for a record, as its disk may be damaged; or
        after which the next question would be the same again."""
        wants_heads = isinstance(request, FetchRange) and not request.with_values
        try:
            for record in answer.carried_records():
                checked_head(record) if wants_heads else checked(record)
            if isinstance(answer, _IN_PARTS) and answer.end is not None and not request.may_end_at(answer.end):
                raise ValueError("it ends before it begins")
        except ValueError as error:
            log.error("%s answers %s with what is none: %s", peer, type(request).__name__, error)
            return Unable()
        return answer

    def _ask_who_it_is(self, peer: Address) -> None:
        """Not with each call: once in a silence, as long as anybody calls."""
        now, asked = self._time.monotonic(), self._greetings.get(peer)
        if asked is None or (asked[1].done() and now - asked[0] >= self._config.silence_s):
            self._greetings[peer] = now, asyncio.create_task(self.greet(peer))

    # Whom this node can reach

    def is_foreign(self, peer: Address) -> bool:
        """Whether a node of another store was found at the address of `peer`: by its view, or by the name of its
        cluster."""
        return peer in self._foreign or self._transport.is_stranger(peer)

    def why_refused(self, peer: Address) -> str:
        """See `Transport.why_refused`."""
        return self._transport.why_refused(peer)

    def may_be_taken_in(self, peer: Address) -> bool:
        """Whether a node of this store, or one that has nothing, is there as far as is known."""
        is_foreign = peer in self._foreign and not self._views.kinship.is_awaited(peer)
        return not is_foreign and not self._transport.is_stranger(peer)

    def older(self, nodes: Iterable[Address]) -> list[Address]:
        """Those of these nodes that are known to be of a release that knows of no expiry: see `Transport.is_older`."""
        return [node for node in nodes if self._transport.is_older(node)]

    def silence_s(self, peer: Address) -> float:
        """See `Transport.silence_s`."""
        return self._transport.silence_s(peer)

    def is_down(self, peer: Address) -> bool:
        """Whether no node of this store can be reached there: see `Transport.is_down`."""
        return peer in self._foreign or self._transport.is_down(peer)

    async def try_ask(
        self,
        peer: Address,
        request: Request,
        timeout_s: float,
        view_id: ViewId | None = None,
        bulk: bool = False,
        attempt: bool = False,
    ) -> Answer | None:
        """`ask` for a caller that can do without the answer: None if there is none, whether the peer may have acted or
        not. That is logged at debug level."""
        try:
            return await self.ask(peer, request, timeout_s, view_id, bulk, attempt)
        except PeerFault as fault:
            log.debug("no answer to %s from %s: %s", type(request).__name__, peer, fault)
            return None

    async def ask_patiently(
        self, peer: Address, request: Request, view_id: ViewId | None = None, bulk: bool = False
    ) -> Answer | None:
        """The answer of `peer`; None if it refused the connection, or was silent for as long as makes a peer silent. A
        link that merely breaks says nothing about the peer, so the question is put again. So it is where this node has
        too many calls under way; raises TooManyCalls if that does not end in time. Raises LargeLate if the peer is
        there, and has an answer that is too large to come through."""
        deadline = self._transport.running() + self.silence_s(peer)
        too_many: TooManyCalls | None = None
        while (left_s := deadline - self._transport.running()) > 0:
            too_many = None
            try:
                return await self.ask(peer, request, left_s, view_id, bulk)
            except PeerRefused:
                break
            except LargeLate:
                raise
            except PeerLost:
                continue
            except TooManyCalls as fault:
                too_many = fault
                await asyncio.sleep(self._config.retry_s)
        if too_many is not None:
            raise too_many
        return None

    async def greet(self, peer: Address) -> Answer | None:
        """Exchange views with `peer`; None if it has not answered."""
        answer = await self._ask_for_view(peer, Hello(self._views.current.encoded, self._views.founders))
        if answer is None:
            log.debug("no view from %s", peer)
        else:
            self._met.add(peer)
        return answer

    def has_met(self, peer: Address) -> bool:
        """Whether `peer` has exchanged views with this node since it started."""
        return peer in self._met

    async def learn(self, peer: Address) -> Answer | None:
        """Fetch the view of `peer`, and take it if it may follow. All who want that at the same time share one
        question."""
        question = self._questions.get(peer)
        if question is None:
            question = self._questions[peer] = asyncio.create_task(self._ask_for_view(peer, FetchView()))
            question.add_done_callback(lambda _: self._questions.pop(peer))
        return await asyncio.shield(question)

    async def _ask_for_view(self, peer: Address, request: Hello | FetchView) -> Answer | None:
        try:
            return await self.ask_patiently(peer, request)
        except (TooManyCalls, LargeLate) as fault:
            log.error("%s", fault)
            return None

    # The side that is asked

    async def reconcile(self, sender: Address, view_id: ViewId) -> Answer | None:
        """None if a call made under `view_id` may be acted on; else the answer that refuses it."""
        if view_id.supersedes(self._views.view_id) and isinstance(await self.learn(sender), Foreign):
            return Foreign()
        return self._views.refusal(view_id)

    async def hello(self, sender: Address, request: Hello) -> Answer:
        """Answer a peer that says which view it holds."""
        await self._views.take(request, sender)
        self._met.add(sender)
        return self._views.told()
