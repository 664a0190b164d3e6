"""Every fault that crosses a module boundary: one tree for "the caller erred", one for "we or a peer failed".

Library exceptions are translated into these once, at the seam that uses the library. A fault that reaches a client
carries its HTTP status here; `api.app` and `api.data` turn it into an answer. Must import nothing of ours, so that
anything may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self


class Reason(StrEnum):
    """Why a request cannot be satisfied now, as it is counted."""

    NO_OWNER = "no-owner"
    """No node that could answer, or without which nobody may, was heard in time."""
    TIMEOUT = "timeout"
    """What was begun did not end in time: a disk or a peer hangs."""
    DISK = "disk"
    """A disk is full, hangs or fails."""
    CLOCK = "clock"
    """The clock of this node is not believed."""
    GATE = "gate"
    """This node has started, or was paused, and may not act yet; or it stops."""
    RELEASE = "release"
    """A node is of a release that knows nothing of what was asked for."""
    CLIENTS = "clients"
    """There are too many of them."""


class StartupFault(Exception):
    """The process cannot start. `faults` are one line each, for stderr; `status` is the exit status."""

    status = 1

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class BadEnvironment(StartupFault):
    status = 2


class BadDataDir(StartupFault):
    """DATA_DIR is unwritable, locked by another node, or damaged."""


class UnknownForm(BadDataDir):
    """DATA_DIR is that of another release, and this one knows no way from its form; it was not touched."""

    status = 2


class RequestFault(Exception):
    """The caller erred, or asked for what cannot be done now: `error` is the text of the answer, `details` its further
    fields, `hint` what people are told besides."""

    status = 400
    headers: Mapping[str, str] = {}
    hint = ""
    reason: Reason | None = None
    """Of a 503."""

    def __init__(self, error: str, **details: Any) -> None:
        super().__init__(error)
        self.error = error
        self.details = details

    def with_hint(self, hint: str) -> Self:
        self.hint = hint
        return self


class Forbidden(RequestFault):
    status = 403


class NotFound(RequestFault):
    status = 404


class TooLarge(RequestFault):
    status = 413


class UnknownEncoding(RequestFault):
    status = 415


class Conflict(RequestFault):
    """Another view change is under way, or a node belongs to another cluster."""

    status = 409


class Unavailable(RequestFault):
    """No node that could answer can be reached in time. A write may have happened nevertheless, but only once."""

    status = 503
    headers: Mapping[str, str] = {"Retry-After": "1"}
    reason = Reason.NO_OWNER
    has_not_happened = False
    """Of a write: whether it is certain that it has not, and will not."""

    def __init__(self, error: str = "Unable to satisfy request", **details: Any) -> None:
        super().__init__(error, **details)

    def because(self, reason: Reason) -> Self:
        self.reason = reason
        return self

    def before_anything(self, is_write: bool = True) -> Self:
        """It is raised before anybody was asked to write, or once all have refused."""
        self.has_not_happened = is_write
        return self


class TimedOut(Unavailable):
    reason = Reason.TIMEOUT


class InternalFault(RequestFault):
    """A mistake of ours."""

    status = 500


class PeerFault(Exception):
    """A call to a peer brought no answer. The subclass tells whether the peer may have executed it."""


class PeerRefused(PeerFault):
    """There was no connection, and none could be made: the call was not executed."""


class PeerLost(PeerFault):
    """The connection broke, or the peer was silent too long, after the call was sent: it may have been executed."""


class PeerLate(PeerLost):
    """The call has not been answered in the time that it was given, which says nothing about the peer."""


class LargeLate(PeerLate):
    """The same of a call that carries much, or whose answer does, and which was given the time that this takes on a
    slow link. The peer is there: what is small gets through. It may have what it could not send."""


class TooManyCalls(PeerFault):
    """This node has more calls under way to the peer than it may: the call was not sent, and nothing is said about the
    peer. Who takes this for its silence passes over what only that peer has."""


class Fenced(Exception):
    """A write job was queued under a view that is not the store's view now: nothing was written, and the request must
    be routed anew."""


class StorageFault(Exception):
    """The disk refused a write, since it is full, hangs or fails: nothing of the transaction was acknowledged, nor will
    any of it ever be found, unless this is CommitFailed."""


class CommitFailed(StorageFault):
    """The disk failed in the midst of a commit: the store is as before, but whoever opens it next may find what was to
    be written. So it may have happened, under the version that it had."""


class Unclosed(Exception):
    """The disk hangs, so the store could not be closed: the process has to end without waiting for it, and without
    tidying up what another thread still uses."""
