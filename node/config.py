"""What a node is told from outside: the environment, read once, checked whole, then frozen.

Every fault of the environment is reported at once, a line each, naming the variable and the entry: an operator who has
to start a container five times to learn of five typing errors has been told lies four times.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from gossip.view import Address, BadAddress, host_of, parse_address, parse_nodes
from node.errors import BadEnvironment


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a node is told, and every bound it keeps. Seconds are of the monotonic clock."""

    address: Address
    view: tuple[Address, ...]
    """The nodes of the store on an empty disk; may omit `address`."""
    repl_factor: int | None = None
    data_dir: Path
    bind: str | None = None
    """Listening host; None: all interfaces."""

    request_s: float = 1.8
    """A client's request is answered within 2 s, whatever is down; the rest is for the way back."""
    answer_s: float = 1.9
    """When a client is answered whatever still hangs. After `request_s`, so that a call without an answer ends first,
    and takes its dead link with it."""
    silence_s: float = 0.45
    """A peer that says nothing for so long is passed over until it answers something sent later."""
    attempt_s: float = 0.6
    """How long an owner may take to answer before another one is asked: an owner that waits for a silent peer of its
    own still comes in time."""
    beat_s: float = 0.1
    """Between two heartbeats to a co-owner."""
    lease_s: float = 0.4
    """How long a co-owner's "you have everything" counts, from the moment it was asked."""
    owing_s: float = 0.1
    """A co-owner that owes a confirmation for so long does not have everything."""
    stable_every_s: float = 1.0
    """Between two announcements of what is on all owners. Each is a durable write, and news for the gossip."""
    stable_lag_s: float = 2.0
    """How old a clock reading is that is announced; above `answer_s`, so that no request is refused for its age."""
    tombstone_grace_s: float = 24 * 3600.0
    """A deletion is remembered for so long at least: whoever was removed may come home within it."""
    purge_every_s: float = 10.0
    """Between two looks at what may be forgotten."""
    compare_every_s: float = 10.0
    """Between two looks whether copies are alike at rest."""
    pause_s: float = 0.4
    """A process that did not run for so long may have been replaced in the meantime: it asks before it serves."""
    late_s: float = 1.0
    """What a client has sent may be this late, but not more: it waits for 2 s, then does the same elsewhere."""
    unreachable_s: float = 1.0
    """A coordinator gives a node this long, twice `silence_s`: it may be in the middle of its own start or pause."""
    promise_s: float = 10.0
    """A promise to a coordinator that died is void after this."""
    prepare_s: float = 15.0
    """A coordinator tries for so long to bring its view in force: long enough to outlive another one's promise."""
    settle_poll_s: float = 0.05
    """How often a coordinator asks, at first, whether all is where it should be: a view change of little data answers
    within this. Later it asks whenever it has waited a tenth longer."""
    settle_poll_s_max: float = 1.0
    """But as often as this in any case."""
    redial_s: float = 0.1
    """Between two attempts to reach a peer that is wanted; a peer that starts is found within this and a connection's
    time."""
    handoff_retry_s: float = 0.25
    """Between two looks at what is left to hand over or to take."""
    handoff_streams: int = 8
    """Partitions on their way to one owner at once: enough to share its commits, few enough to bound memory."""
    batch_bytes: int = 64 * 1024
    """Of records in one message of a transfer; small, so that a client's request never waits behind a long job."""

    # Links between nodes, besides `silence_s`, `attempt_s` and `redial_s`: see `net.link_state`.

    silent_share: float = 0.9
    """Of `silence_s`, that a call must have waited in vain for its peer to count as silent. What was given less, since
    its own client's time is running out, says nothing: were such a peer passed over, readers would miss what only it
    has."""
    ping_s: float = 0.1
    """Between two pings on a link, from an attempt at an owner on, for as long as anything waits."""
    wanted_s: float = 5.0
    """A peer that cannot be reached is dialled again and again for so long after the last call to it; a later call
    dials it, and waits."""
    unwanted_s: float = 60.0
    """A link that nobody has used for so long is closed when a new one is made. Gossip speaks to every node of the
    store more often than this, except in clusters of hundreds."""
    dialer_keepalive_s: float = 2.0
    """Between two keepalives of the side that asks: an idle link that went dead in a cut is noticed within this and
    half as much again, not by the first request after."""
    acceptor_keepalive_s: float = 10.0
    """The same of the side that answers: until then it keeps a link whose other end is gone without a word."""
    link_close_s: float = 1.0
    """The side that answers waits for the other one's part in closing a link at most so long."""
    link_drain_s: float = 1.0
    """A node that stops answers other nodes for so long at most; the callers of what takes longer ask another node."""

    def __post_init__(self) -> None:
        self._check_links()

    def _check_links(self) -> None:
        """Raises AssertionError unless the times of the links fit together."""
        assert 0 < self.silent_share <= 1, "nobody is silent before a call has waited, nor may it have to wait for more"
        assert 0 < self.ping_s < self.silence_s, "a peer that waits for others shows that it is there within a silence"
        assert 0 < self.redial_s < self.silence_s, "a peer that is back is found before a call to it would time out"
        assert self.silence_s < self.attempt_s, "an owner that waits for a silent peer of its own still comes in time"
        assert self.attempt_s < self.request_s, "an owner that does not answer leaves time for the next one"
        assert self.silence_s + self.redial_s < self.wanted_s, "a peer that cannot be reached is dialled more than once"
        assert self.wanted_s < self.unwanted_s, "no link is closed while it is dialled for somebody"
        assert self.silence_s < self.dialer_keepalive_s, "a link in use is judged by its calls, not by its keepalive"
        assert self.dialer_keepalive_s < self.acceptor_keepalive_s, "who asks notices first: only it can dial again"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """The configuration in `env`. Raises BadEnvironment with a line for each fault."""
        faults: list[str] = []

        def nodes(variable: str, only_one: bool) -> tuple[Address, ...]:
            text = env.get(variable, "").strip()
            if not text:
                faults.append(f"{variable}: missing")
                return ()
            try:
                return (parse_address(text),) if only_one else parse_nodes(text)
            except BadAddress as error:
                faults.extend(f"{variable}: {fault}" for fault in error.faults)
                return ()

        address = "".join(nodes("ADDRESS", only_one=True))
        view = nodes("VIEW", only_one=False)
        factor_text, bind_text = env.get("REPL_FACTOR", "").strip(), env.get("BIND", "").strip()
        factor = int(factor_text) if factor_text.isascii() and factor_text.isdigit() and len(factor_text) < 10 else None
        if factor_text and not factor:
            faults.append(f"REPL_FACTOR: {factor_text!r} is not a whole number from 1")
        if bind_text and _ip(bind_text) is None:
            faults.append(f"BIND: {bind_text!r} is not an IP address")
        if faults:
            raise BadEnvironment(*faults)
        host = _ip(host_of(address))
        data_dir = env.get("DATA_DIR", "").strip() or f"data/{address.replace('[', '').replace(']', '')}"
        return cls(
            address=address,
            view=view,
            repl_factor=factor,
            data_dir=Path(data_dir),
            bind=(bind_text.strip("[]") or None) or (str(host) if host is not None and host.is_loopback else None),
        )

    @classmethod
    def for_test(
        cls, address: Address, view: tuple[Address, ...], data_dir: Path, repl_factor: int | None = None
    ) -> Self:
        """As in production, but quicker to notice that something is gone, and patient with a process that starves."""
        return cls(
            address=address,
            view=view,
            data_dir=data_dir,
            repl_factor=repl_factor,
            bind=host_of(address),
            late_s=30.0,
            promise_s=2.0,
            settle_poll_s=0.01,
            redial_s=0.02,
            stable_every_s=0.1,
            handoff_retry_s=0.05,
        )


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
