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
    # Co-owners in step; how these relate: `_check_replication`.
    heartbeat_s: float = 0.1
    """Between two heartbeats to a co-owner."""
    lease_s: float = 0.4
    """How long a co-owner's lease counts, from the moment it was asked for."""
    owing_s: float = 0.1
    """A co-owner that owes a confirmation for so long gets no lease: it may be slow, but a reader there would miss
    what all others have."""
    relay_s: float = 0.675
    """How long a relay may take: half as long again as a silence, because it may have to find a third one silent; and
    less than two, because the co-owner that asked for it waits for that long."""
    stream_retry_s: float = 0.02
    """Before what a co-owner has not taken is sent again: its disk may be full, or its view another one."""
    empty_wait_s: float = 3.0
    """A node that starts with an empty disk waits so long for a co-owner that is merely slow before it says that what
    nobody tells it of does not exist. In a store that is new, nobody ever will."""

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
    recovery_s: float = 0.5
    """At least this long after a pause longer than `late_s`, clients' requests are taken for old: hundreds of
    connections may have piled up, and they are accepted some at a time."""
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

    def __post_init__(self) -> None:
        self._check_replication()

    def _check_replication(self) -> None:
        assert 3 * self.heartbeat_s < self.lease_s, "a lease must outlast two heartbeats that are lost"
        assert self.owing_s <= self.lease_s, (
            "a lease must not be given for longer to one that owes than to one that asks"
        )
        assert self.lease_s < self.silence_s, "when a co-owner is found silent, its lease must have ended"
        assert self.silence_s < self.relay_s < 2 * self.silence_s, "a relay must end between one silence and two"
        assert self.stream_retry_s < self.heartbeat_s, "a stream must not notice later than the heartbeats who is back"

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
