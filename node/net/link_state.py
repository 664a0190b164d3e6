"""When a peer counts as down, and what becomes of the calls on the link to it: every rule of a link, and nothing else.

A pure state machine: an event and the time go in, what is to be done comes out as an `Output`. It must never import
asyncio, a socket or a clock: `dialer` drives it over real connections, the simulator over simulated ones, so that what
is proved there is what runs here.

    IDLE        call, cast -> WANTED
    WANTED      wake       -> DIALLING
    DIALLING    connected  -> UP          not made in time -> DOWN          a silence    -> REDIALLING
    UP          lost       -> DIALLING    a silence, if bulk -> DIALLING    a silence    -> REDIALLING
    DOWN        redial_s   -> REDIALLING  redial_s, unwanted -> IDLE        doubted -> DIALLING
    REDIALLING  connected  -> UP          not made in time -> DOWN          doubted -> DIALLING
    all         close      -> CLOSED      reset -> DIALLING, unless the peer is not wanted

The invariant is what callers build on. A call that fails with PeerRefused was never handed to a connection, and never
will be: its caller may ask somebody else at no risk. Whatever was handed to one fails with PeerLost, since the peer may
have executed it, and the connection is broken first wherever the peer is to blame: were it kept, the peer could execute
a call long after its caller had given up on it. Each call ends exactly once. One too many fails with TooManyCalls.

A peer is *silent* when a call that says something about it has waited for its answer in vain. It then counts as down,
all that waits on the link fails, and new calls are refused at once, not each after a wait of its own; meanwhile the
peer is dialled again. A call says nothing about its peer if it is *hurried*: either it was given less than most of a
silence, or it is an *attempt* at an owner that may need longer than it is given, since it may be waiting for a silent
peer of its own. A hurried call fails alone. So that a peer which really is silent is found out nevertheless, pings are
sent from an attempt on for as long as anything waits: the peer's link answers them, whatever its node waits for.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Generic

from node.config import Config
from node.errors import PeerFault, PeerLate, PeerLost, PeerRefused, TooManyCalls
from node.net.link_output import BUDGET_S_MIN, LATE_DIALS, PENDING_MAX, Caller, Output, Phase
from node.net.round_trips import RoundTrips

_UP = Phase.UP
_DIALS = (Phase.DIALLING, Phase.REDIALLING)
_DOWN = (Phase.DOWN, Phase.REDIALLING)


class LinkState(Generic[Caller]):
    """A method named for what has happened (`sent`, `answered`, `lost`, `doubted`) takes an event from the driver.
    Times are in seconds of one monotonic clock. After each event, `wake` is to be called at `wake_at`, perhaps now."""

    def __init__(self, config: Config, peer: str, is_bulk: bool = False) -> None:
        """`peer`: its name in what callers are told. `is_bulk`: no pings are sent, as they would wait behind what is
        large; another link's tell, see `lanes`."""
        self._phase, self._is_down, self._wake_at = Phase.IDLE, False, inf
        self._config = config
        self._telling_s = config.silent_share * config.silence_s
        self.trips = RoundTrips(config)
        """How far away the peer is, and so what counts as its silence."""
        self._late_dials, self._was_doubted = 0, False
        """Dials that were not made in time, one after the other; whether one was begun by `doubted`."""
        self._peer = peer
        self._calls: dict[int, Caller | None] = {}
        """Those that have not ended, by id, in the order in which they came; None: a ping."""
        self._dues: list[tuple[float, int, bool]] = []
        """A heap of (when, id, whether the call says something about the peer) with an entry for each call; those whose
        call has ended are dropped when they are first."""
        self._last_id = self._sent_id = 0
        """Calls are sent in the order of their ids: those up to this one have been handed to a connection."""
        self._wanted_at = self._dialled_at = -inf
        self._is_bulk, self._watchers = is_bulk, 0
        self._turn_at = inf
        """When the phase changes by itself: the limit of a dial, or the end of the rest between two."""
        self._ping_at = inf
        """When the next ping is due, if anything waits then; inf: once an attempt is made."""

    # What callers want

    def call(self, caller: Caller, now: float, timeout_s: float, attempt: bool) -> int:
        """The id of a new call, to be queued. `attempt`: see above. Raises PeerRefused, TooManyCalls."""
        self._wanted_at = now
        if self._phase is not _UP:
            self._want(now)
        if len(self._calls) >= PENDING_MAX:
            raise TooManyCalls(f"{PENDING_MAX} calls wait for {self._peer} already")
        if timeout_s < BUDGET_S_MIN:
            raise PeerRefused(f"no time is left to ask {self._peer}")
        self._last_id = id_ = self._last_id + 1
        dues, calls = self._dues, self._calls
        while dues and dues[0][1] not in calls:
            heappop(dues)
        calls[id_] = caller
        due = now + timeout_s
        is_telling = not attempt and timeout_s >= self.trips.telling_s
        heappush(dues, (due, id_, is_telling))
        if not is_telling and (attempt or timeout_s >= self._telling_s):
            due = min(due, self._start_pings(now))
        self._wake_at = min(self._wake_at, due)
        return id_

    def cast(self, now: float, queued: int) -> bool:
        """Whether to queue one more cast; so many are queued already."""
        self._wanted_at = now
        try:
            self._want(now)
        except PeerRefused:
            return False
        return queued < PENDING_MAX

    def watch(self, now: float) -> None:
        """Something is on its way to the peer elsewhere, until `unwatch`: pings shall tell whether it is there. Raises
        PeerRefused."""
        self._wanted_at = now
        self._want(now)
        self._watchers += 1
        self._start_pings(now)

    def unwatch(self) -> None:
        self._watchers -= 1

    def cancelled(self, id_: int) -> None:
        """The caller has gone away."""
        self._calls.pop(id_, None)

    # What a connection does

    def connected(self, now: float) -> None:
        assert self._phase in _DIALS, f"connected while {self._phase}"
        self.trips.note_dial(now - self._dialled_at)
        self._late_dials, self._was_doubted = 0, False
        self._become(Phase.UP, inf)
        self._start_pings(now)

    def dial_failed(self, now: float, why: str) -> Output[Caller]:
        """No connection can be made."""
        assert self._phase in _DIALS, f"a dial failed while {self._phase}"
        output: Output[Caller] = Output()
        self._was_doubted = False  # It answers, so it is near.
        self._become_down(output, now, why)
        return output

    def sent(self, id_: int) -> None:
        """All calls up to this one are handed to the connection."""
        self._sent_id = id_

    def answered(self, id_: int) -> Caller | None:
        """The caller to be told, if the call has not ended yet. None: it may be a ping's, which is for `trips`."""
        return self._calls.pop(id_, None)

    def lost(self, now: float) -> Output[Caller]:
        """The connection broke, whoever broke it. What was not sent waits for the next one."""
        assert self._phase is _UP, f"a connection was lost while {self._phase}"
        output: Output[Caller] = Output()
        self._end_sent(output, PeerLost(f"{self._peer} closed the link"))
        self._dial(output, now, Phase.DIALLING)
        return output

    # What else happens

    def peer_silent(self, now: float) -> Output[Caller]:
        """Pings on another link have found the peer silent."""
        output: Output[Caller] = Output()
        if self._phase in (Phase.DIALLING, _UP):
            self._fall_silent(output, now)
        return output

    def doubted(self, now: float) -> Output[Caller]:
        """The peer may have come up: whoever was passed over is asked again. A dial from before may be lost by now, but
        if one that was begun because of this was not made in time, the peer is rather far away."""
        output: Output[Caller] = Output()
        if self._phase is Phase.REDIALLING and self._was_doubted:
            self._become(Phase.DIALLING, self._turn_at)
        elif self._phase in _DOWN:
            output.abort = self._phase is Phase.REDIALLING
            self._dial(output, now, Phase.DIALLING)
            self._was_doubted = True
        return output

    def reset(self, now: float) -> Output[Caller]:
        """This process was paused: whatever is under way, or waits, is lost, and any dial begins anew. The limits have
        passed while the peer had no chance to answer, and it would be taken for silent."""
        output: Output[Caller] = Output()
        for id_ in list(self._calls):
            self._fail(output, id_, PeerLost("this node was paused"))
        if self._phase not in (Phase.IDLE, Phase.WANTED, Phase.CLOSED):
            output.abort = self._phase is not Phase.DOWN
            self._dial(output, now, Phase.DIALLING)
        return output

    def close(self) -> Output[Caller]:
        """The node is stopping, or wants nothing of the peer any more."""
        output: Output[Caller] = Output(abort=self._phase in (*_DIALS, _UP))
        self._end_all(output, "this node is stopping")
        self._become(Phase.CLOSED, inf)
        self._ping_at = self._wake_at = inf
        return output

    def wake(self, now: float) -> Output[Caller]:
        """Whatever is due: calls that have waited in vain, a ping, a dial or the end of one."""
        output: Output[Caller] = Output()
        if self._turn_at <= now:
            self._turn(output, now)
        while (due := self._next_due()) <= now:
            _, id_, is_telling = heappop(self._dues)
            if is_telling and not self._is_bulk:
                self._fall_silent(output, now)
            else:
                self._be_late(output, id_, is_telling, now)
        if self._ping_at <= now:
            self._ping(output, now)
        self._wake_at = min(due, self._turn_at, self._ping_at)
        return output

    # Questions

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def is_down(self) -> bool:
        """Whether calls are refused, for the peer could not be reached or was silent."""
        return self._is_down

    @property
    def wake_at(self) -> float:
        """When to call `wake`; never later than when anything is due, but it may be earlier."""
        return self._wake_at

    def is_waiting(self, id_: int) -> bool:
        """Whether a call, or a ping, has not ended yet."""
        return id_ in self._calls

    def is_unwanted(self, now: float) -> bool:
        """Whether nobody has wanted anything of the peer for so long that the link may be closed."""
        return not self._calls and now - self._wanted_at > self._config.unwanted_s

    def check(self) -> None:
        """Raises AssertionError unless the state is one that these rules lead to."""
        phase, calls, dues = self._phase, self._calls, self._dues
        assert self._is_down == (phase in _DOWN), f"down is {self._is_down} while {phase}"
        assert not calls or phase in (Phase.WANTED, Phase.DIALLING, Phase.UP), f"calls wait while {phase}"
        assert phase is Phase.UP or all(id_ > self._sent_id for id_ in calls), f"what was sent waits while {phase}"
        assert 0 <= self._sent_id <= self._last_id and all(id_ <= self._last_id for id_ in calls)
        assert calls.keys() <= {id_ for _, id_, _ in dues}, "a call waits for ever"
        assert (phase in (Phase.IDLE, Phase.UP, Phase.CLOSED)) == (self._turn_at == inf), f"{phase} ends wrongly"
        assert None not in calls.values() or self._ping_at < inf, "a ping waits, and no other will follow"
        pings = sum(caller is None for caller in calls.values())
        assert pings <= self._config.silence_over(inf) / self._config.ping_s + 1, "pings pile up"
        assert len(calls) - pings <= PENDING_MAX, "calls pile up"
        due = min((due for due, id_, _ in dues if id_ in calls), default=inf)
        assert self._wake_at <= min(due, self._turn_at, self._ping_at), "something is due while it sleeps"

    # Transitions

    def _become(self, phase: Phase, until: float) -> None:
        self._phase = phase
        self._is_down = phase in _DOWN
        self._turn_at = until
        self._wake_at = min(self._wake_at, until)

    def _want(self, now: float) -> None:
        """Raises PeerRefused."""
        if self._is_down:
            raise PeerRefused(f"{self._peer} is down")
        if self._phase is Phase.CLOSED:
            raise PeerRefused("this node is stopping")
        if self._phase is Phase.IDLE:
            self._become(Phase.WANTED, now)

    def _dial(self, output: Output[Caller], now: float, phase: Phase) -> None:
        output.dial = True
        self._dialled_at = now
        # None waits for it, or one was in vain that was begun by `doubted`: the peer may be farther than is made for.
        patience = 2 ** (self._late_dials % LATE_DIALS) if phase is Phase.REDIALLING or self._was_doubted else 1
        self._become(phase, now + patience * self.trips.silence_s)

    def _become_down(self, output: Output[Caller], now: float, why: str) -> None:
        self._end_all(output, f"{self._peer}: {why}")
        self._become(Phase.DOWN, now + self._config.redial_s)

    def _turn(self, output: Output[Caller], now: float) -> None:
        """The time of the phase is over."""
        if self._phase in _DIALS:
            output.abort = True
            self._late_dials += 1
            self._become_down(output, now, "no connection in time")
        elif self._phase is Phase.WANTED:
            self._dial(output, now, Phase.DIALLING)
        elif now - self._wanted_at > self._config.wanted_s:
            self._become(Phase.IDLE, inf)
        else:
            self._dial(output, now, Phase.REDIALLING)

    def _fall_silent(self, output: Output[Caller], now: float) -> None:
        output.is_silent = True
        self._end_all(output, f"{self._peer} is silent")
        if self._phase is Phase.UP:
            output.abort = True
            self._dial(output, now, Phase.REDIALLING)
        else:
            self._become(Phase.REDIALLING, self._turn_at)

    def _be_late(self, output: Output[Caller], id_: int, is_telling: bool, now: float) -> None:
        late = PeerLate(f"{self._peer} has not answered in the time left")
        self._fail(output, id_, PeerRefused(str(late)) if id_ > self._sent_id else late)
        if is_telling and self._phase is _UP:  # Nothing gets through; whether the peer is there, another link tells.
            self._end_sent(output, late)
            output.abort = True
            self._dial(output, now, Phase.DIALLING)

    # Calls

    def _next_due(self) -> float:
        dues = self._dues
        while dues and dues[0][1] not in self._calls:
            heappop(dues)
        return dues[0][0] if dues else inf

    def _start_pings(self, now: float) -> float:
        """When the first is due."""
        if self._ping_at == inf and not self._is_bulk:
            self._ping_at = self._wake_at = now
        return self._ping_at

    def _ping(self, output: Output[Caller], now: float) -> None:
        is_awaited = self._watchers and self._phase in (Phase.WANTED, Phase.DIALLING, _UP)
        if not self._calls and not is_awaited and not (self._phase is _UP and self.trips.is_in_doubt):
            self._ping_at = inf
            return
        self._ping_at = now + self._config.ping_s
        self._last_id = output.ping = self._last_id + 1
        self._calls[self._last_id] = None
        if self._phase is _UP:
            self.trips.note_ping(self._last_id, now)
        heappush(self._dues, (now + self.trips.silence_s, self._last_id, True))

    def _end_all(self, output: Output[Caller], why: str) -> None:
        self._end_sent(output, PeerLost(why))
        for id_ in list(self._calls):
            self._fail(output, id_, PeerRefused(why))

    def _end_sent(self, output: Output[Caller], fault: PeerFault) -> None:
        for id_ in [id_ for id_ in self._calls if id_ <= self._sent_id]:
            self._fail(output, id_, fault)

    def _fail(self, output: Output[Caller], id_: int, fault: PeerFault) -> None:
        caller = self._calls.pop(id_)
        if caller is not None:
            output.failed.append((caller, fault))
