"""The co-owners of this node under the view in force: whose leases it holds, who is in step, who may be left out.

All nodes of a shard own all of its partitions, so a node has the same co-owners for everything it owns. What it knows
of each is a `PeerState`; what follows from all of them together is decided here. With a new view all begin anew: what
was promised under the one before holds for as long as it can count, and nobody is taken to have anything.

Knows the configuration, the time and the view, and asks whether a link is down; awaits and sends nothing. Heartbeats
are exchanged by `heartbeats`, what changes is brought by `streams`, comparisons are made by `repair`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Protocol

from gossip.view import Address
from node.config import Config
from node.replication.emptied_disk import Filling, OwnFilling
from node.replication.peer_state import NEVER, LeaseAnswer, PeerState
from node.timing.clock import Time
from node.values.version import Version, clock_of
from node.views.holder import Views

SPREAD_MAX = 10_000
"""Of so many keys it is remembered that their latest version was waited for: those that are written and read again and
again. Of the others it is found out anew, until they are old enough."""


CATCHES_UP_S = 1.0
"""Who has to bring something for so long has not merely been compared."""


class LeavingOut(Enum):
    """What became of an attempt at leaving a co-owner out."""

    DONE = auto()
    TOO_EARLY = auto()
    """It may be left out, but not yet of this write."""
    NOT_POSSIBLE = auto()
    """It can be reached and takes what it is sent, or a lease that it may have still counts."""


class Links(Protocol):
    """The calls to other nodes, as far as they matter here."""

    def is_down(self, peer: Address) -> bool:
        """Whether a call would fail at once."""


class CoOwners:
    """`is_filled`, `is_behind`: what the disk says, see `Identity`."""

    def __init__(
        self, config: Config, time: Time, views: Views, is_filled: bool, links: Links, is_behind: bool = False
    ) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._links = links
        self._filling = OwnFilling(is_filled, is_behind)
        self._is_stopping = False
        self._since = NEVER
        """When the view in force was adopted here."""
        self._states: dict[Address, PeerState] = {}
        self._leased_until = NEVER
        """When the first of the leases ends: what each read asks."""
        self._has_caught_up = False
        """Whether nobody had anything to bring, once since the start or the last pause."""
        self._stable = 0
        """What has a clock up to this has spread."""
        self._spread: dict[bytes, Version] = {}
        """What has spread besides: somebody has waited for that."""
        self.change_view()

    def change_view(self) -> None:
        """Another view is in force."""
        config, self._since = self._config, self._time.monotonic()
        before = self._states.keys()
        self._states = {
            address: PeerState(address, self._since, config.lease_s, config.owing_s)
            for address in self._views.ring.co_owners(config.address)
        }
        self._stable = 0
        self._spread.clear()
        if before and not before & self._states.keys():
            self._filling.end_wait()
        self._note_leases()

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold."""
        now, states = self._time.monotonic(), self._states.values()
        assert self._states.keys() == set(self._views.ring.co_owners(self._config.address)), "co-owners of another view"
        self._filling.check()
        for state in states:
            state.check(now)
            assert state.grant_ends_at >= self._since + self._config.lease_s, (
                f"{state.address}: leases of the view before are forgotten"
            )
        assert self._leased_until == self._first_end(), "what reads go by is not what the leases say"

    # Who they are

    def all(self, exclude: Collection[Address] = ()) -> list[PeerState]:
        """Under the view in force, but for those at these addresses."""
        return [state for address, state in self._states.items() if address not in exclude]

    def get(self, address: Address) -> PeerState | None:
        return self._states.get(address)

    def has(self, state: PeerState) -> bool:
        """Whether it is of the view in force."""
        return self._states.get(state.address) is state

    @property
    def is_alone(self) -> bool:
        """Whether this node has no co-owners."""
        return not self._states

    # Leases

    def unleased(self) -> Collection[Address]:
        """The co-owners that must be asked before this node answers; none if it may answer alone."""
        now = self._time.monotonic()
        if now < self._leased_until:
            return ()
        return [address for address, state in self._states.items() if state.leased_until <= now or self._is_stopping]

    def drop_leases(self) -> None:
        """This process was paused."""
        now = self._time.monotonic()
        for state in self._states.values():
            state.drop_lease(now)
        self._has_caught_up = False
        self._note_leases()

    def stop(self) -> None:
        """Give up all leases, and give none any more: others will take this node's silence for its end."""
        self._is_stopping = True
        self._note_leases()

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def hear_question(self, state: PeerState, store_id: int, is_empty: bool) -> LeaseAnswer:
        """A co-owner asks for a lease."""
        now = self._time.monotonic()
        self._hear(state, store_id, is_empty, now)
        return state.answer_question(now)

    def hear_answer(
        self,
        state: PeerState,
        sent_at: float,
        store_id: int,
        is_empty: bool,
        may_lack: bool,
        lease: LeaseAnswer,
        lease_s: float,
    ) -> bool:
        """A co-owner has answered the question for a lease that was sent at `sent_at`; `lease_s`: how long it goes by
        one. Returns whether this node has come to be filled, to be remembered on its disk: it has all that a co-owner
        has which lacks nothing, or all that each of them has; or none of them has anything."""
        self._hear(state, store_id, is_empty, self._time.monotonic())
        if lease is LeaseAnswer.GRANTED:
            state.become_leased(sent_at, lease_s)
        else:
            state.become_unleased(lease is LeaseAnswer.OWING, self._time.monotonic())
        self._note_leases()
        self._has_caught_up |= not any(map(self._is_bringing, self._states.values()))
        has_all = lease is LeaseAnswer.GRANTED and (not may_lack or not self.unleased())
        if has_all:
            self._filling.become_filled()
        return self._filling.take_news()

    def old_leases_end(self) -> float:
        """When the last lease ends that an owner under an earlier view may have of this node, or of a co-owner that was
        heard under the view in force."""
        return max([self._since, *(state.heard_at for state in self._states.values())]) + self._config.lease_s

    def _hear(self, state: PeerState, store_id: int, is_empty: bool, now: float) -> None:
        state.hear(store_id, is_empty, now)
        if self._states and all(other.is_empty for other in self._states.values()):
            self._filling.hear_that_all_are_empty(self._views.holds_keys())
        elif is_empty:
            self._filling.end_wait_by(now + self._config.empty_wait_s)

    def _note_leases(self) -> None:
        """To be called after each change of a lease."""
        self._leased_until = self._first_end()

    def _first_end(self) -> float:
        """When the first of the leases ends."""
        if self._is_stopping and self._states:
            return NEVER
        return min((state.leased_until for state in self._states.values()), default=float("inf"))

    # How far this node's word for what does not exist can be taken

    @property
    def filling(self) -> Filling:
        return self._filling.state(self._views.holds_keys())

    @property
    def is_empty(self) -> bool:
        """What co-owners are told: whether there is nothing on this disk, and none of them has filled it."""
        return self._filling.is_empty(self._views.holds_keys())

    def note_behind(self) -> bool:
        """This disk is older than it was. Returns whether that matters: there are co-owners who may have the rest."""
        if self._states:
            self._filling.become_behind()
        return bool(self._states)

    @property
    def is_behind(self) -> bool:
        """Whether nothing counts that is here or not before a co-owner has said what it has."""
        return self._filling.is_behind and bool(self._states)

    def is_waiting_to_be_filled(self) -> bool:
        """Whether what is not here may exist nevertheless, on a co-owner that has not been heard yet."""
        return bool(self._states) and self._filling.is_waiting(self._time.monotonic())

    def may_lack(self) -> bool:
        """Whether others must not take this node's word for what does not exist: it has not been filled, and there is a
        co-owner that may have something, or it is outside the view, where nobody fills it. The only owner of a shard
        has all there is: what it lost, nobody can bring."""
        if self._filling.is_filled:
            return False
        is_outside = self._views.ring.shard_of(self._config.address) is None
        return is_outside or not all(state.is_empty for state in self._states.values())

    def is_catching_up(self) -> bool:
        """Whether a co-owner that can be reached has to bring what this node has missed: at any time at first, later
        only if that takes long, for all are compared whenever one of them dies or the view changes."""
        least_s, now = CATCHES_UP_S if self._has_caught_up else 0.0, self._time.monotonic()
        return any(self._is_bringing(state) and state.bringing_s(now) >= least_s for state in self._states.values())

    def _is_bringing(self, state: PeerState) -> bool:
        return state.is_bringing and not self._links.is_down(state.address)

    # Comparisons

    def out_of_step(self) -> list[Address]:
        """The co-owners that may lack something that is not in their outbox."""
        return [address for address, state in self._states.items() if not state.is_in_step]

    def in_step(self) -> list[Address]:
        """The other co-owners."""
        return [address for address, state in self._states.items() if state.is_in_step]

    def to_compare(self) -> list[Address]:
        """The co-owners out of step that can be reached, and with which it is time to compare."""
        return [
            address
            for address in self.out_of_step()
            if not self._links.is_down(address) and self._states[address].is_due
        ]

    def distrust(self, address: Address) -> None:
        """The co-owner was seen to hold something else, whatever was thought before."""
        if (state := self._states.get(address)) is not None:
            state.become_uncompared()

    # Who may be left out

    def is_out_of_reach(self, state: PeerState) -> bool:
        """Whether it is silent, gone or stuck, as far as is known: nothing comes to it."""
        return state.is_stuck or self._links.is_down(state.address)

    def are_in_reach(self) -> bool:
        """Whether none of them is out of reach. The hot path."""
        return not any(map(self.is_out_of_reach, self._states.values()))

    def may_be_left_out(self, state: PeerState) -> bool:
        """Whether it is out of reach, and no lease that it may have can count any more."""
        return self.is_out_of_reach(state) and not state.may_be_leased(self._time.monotonic())

    def leave_out(self, state: PeerState, earliest: float) -> LeavingOut:
        """Let all that is in its outbox now be acknowledged without it, if that is possible, and not before `earliest`
        (monotonic). From then on it is owed what it was left out of, and gets no lease before it has that."""
        if not self.may_be_left_out(state):
            return LeavingOut.NOT_POSSIBLE
        if self._time.monotonic() < earliest:
            return LeavingOut.TOO_EARLY
        state.leave_out()
        return LeavingOut.DONE

    def note_silence(self, state: PeerState) -> bool:
        """The co-owner has not answered, or not taken what it was sent. Returns whether it may be left out by now, so
        that nobody shall wait for it. Before it fell silent, it may have told one of the other co-owners something that
        never reached the rest. So if its silence is new, all of these are to be compared with. One that is stuck goes
        on telling all of them."""
        if not self.may_be_left_out(state):
            state.become_audible()
            return False
        if self._links.is_down(state.address) and state.become_silent():
            for other in self._states.values():
                if other is not state:
                    other.become_uncompared()
        return True

    # Who has what

    def is_well(self, state: PeerState) -> bool:
        """Whether it can be reached, and has all that is here."""
        return state.has_all(self._time.monotonic()) and not self._links.is_down(state.address)

    def is_everywhere(self, key: bytes) -> bool:
        """Whether every co-owner is known to have what is held of `key`. Of several, one may have sent it here that has
        yet to bring it to the others."""
        return len(self._states) < 2 and all(state.has_what_is_held(key) for state in self._states.values())

    def has_brought(self, key: bytes) -> bool:
        """Whether every co-owner has what this node was to bring it of `key`."""
        return all(state.has_what_is_held(key) for state in self._states.values())

    def has_spread(self, key: bytes, version: Version) -> bool:
        """Whether no owner can answer a later read with something older than `version`, which is held of `key`: as far
        as is known, every co-owner has it, or was left out of it."""
        return self.is_on_all(key, version) or self._spread.get(key) == version

    def is_on_all(self, key: bytes, version: Version) -> bool:
        """Whether every co-owner is known to have `version`, which is held of `key`, or something later. The hot
        path."""
        states = self._states
        for state in states.values():
            if not state.has_what_is_held(key):
                return False
        return len(states) < 2 or clock_of(version) <= self._stable

    def note_spread(self, key: bytes, version: Version) -> None:
        """Somebody has waited until every co-owner had it, or was left out of it: under this view, that stays so."""
        if len(self._spread) >= SPREAD_MAX:
            self._spread.clear()
        self._spread[key] = version

    def note_stable(self, clock: int) -> None:
        """Every owner of this node's keys has announced under the view in force that all which it took up to `clock` is
        on all of them; see `retention.stability`."""
        self._stable = clock

    def marks(self) -> Mapping[PeerState, int]:
        """How far it is to `have_passed`."""
        return {state: state.outbox.position for state in self._states.values()}

    def have_passed(self, marks: Mapping[PeerState, int]) -> bool:
        """Whether each co-owner has all that was here at `marks`, but for what other co-owners had sent; never again
        after a change of view."""
        return marks.keys() == set(self._states.values()) and all(
            state.is_in_step and state.outbox.is_past(mark) for state, mark in marks.items()
        )
