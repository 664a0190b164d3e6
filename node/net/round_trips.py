"""How far away the peer of one link is, as its pings tell, and what counts as its silence.

A peer that is farther away than is made for (`ROUND_TRIP_MS`) is not gone. Were it judged by the silence of nearer
ones, its link would be made and broken for ever, and nobody would learn why. So its own link gives it the time of its
own round trip; all else goes on by the limits that are made for, and an operator is told.

The least of some pings in a row tells, since each of them may have waited for a busy machine. As many are sent on each
connection once it is made, whether anything waits or not, or until one shows that the peer is near. Before, what the
dial took is believed, or what was known of the peer until then, whichever is longer, and no longer than a ping says: a
dial may have begun during a cut, and by a clock that leaves out what this process stood still it may have taken next to
nothing. Pure: no loop, no clock, no I/O.
"""

from __future__ import annotations

from collections import deque

from node.config import Config

PINGS = 10
"""So many in a row tell how far a peer is: a busy machine is late with many of them, but not with all."""
DIAL_TRIPS = 2
"""What a dial takes: one for the connection, one for the handshake of the link."""


class RoundTrips:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._sent: dict[int, float] = {}
        """The pings under way on the present connection."""
        self._took: deque[float] = deque(maxlen=PINGS)
        self.is_in_doubt = False
        """Whether the pings on the present connection have yet to tell how far the peer is."""
        self.far_s: float | None = None
        """What a round trip takes, if that is longer than is made for."""
        self._guessed_s = 0.0
        """What is believed of the present connection until its pings tell."""
        self._judge_by(0.0)

    def note_dial(self, took_s: float) -> None:
        """A connection was made."""
        self._sent.clear()
        self._took.clear()
        self.is_in_doubt = True
        self._guessed_s = max(took_s / DIAL_TRIPS, self.far_s or 0.0)
        self._judge_by(self._guessed_s)

    def note_ping(self, id_: int, now: float) -> None:
        """A ping is sent."""
        self._sent[id_] = now

    def note_answer(self, id_: int, now: float) -> None:
        """A no-op if it is not that of a ping."""
        if (sent_at := self._sent.pop(id_, None)) is None:
            return
        self._took.append(now - sent_at)
        least_s = min(self._took)
        if least_s <= self._config.round_trip_s:
            self.is_in_doubt, self.far_s = False, None
        elif len(self._took) == PINGS:
            self.is_in_doubt, self.far_s = False, least_s
        self._judge_by(min(least_s, self._guessed_s) if self.is_in_doubt else least_s)

    @property
    def least_s(self) -> float | None:
        """What the quickest of the last pings took; None: none was answered on the present connection."""
        return min(self._took, default=None)

    def _judge_by(self, round_trip_s: float) -> None:
        self.silence_s = self._config.silence_over(round_trip_s)
        """The peer is silent when it has said nothing for so long."""
        self.telling_s = self._config.silent_share * self.silence_s
        """A call says nothing about the peer if it was given less."""
