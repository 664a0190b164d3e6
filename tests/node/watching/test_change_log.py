"""The log of what has changed: what it tells from which position on, and what it has dropped."""

from __future__ import annotations

from node.storage.transaction import Cause, Change
from node.watching.change_log import ChangeLog

ALL = list(Cause)
PLENTY = 10**6


def change(number: int, cause: Cause = Cause.TAKEN, bytes_: int = 10) -> Change:
    return Change(b"k%d" % number, b"v" * bytes_, cause)


def log_of(*changes: Change, bytes_max: int = PLENTY) -> ChangeLog:
    log = ChangeLog(7, bytes_max)
    log.append(changes)
    return log


def test_log_tells_what_stands_after_a_position() -> None:
    log = log_of(*map(change, range(4)))
    part = log.after(2, ALL, PLENTY)
    assert part is not None
    assert part.changes == ((3, change(2)), (4, change(3))) and (part.end, part.is_whole) == (4, True)
    part = log.after(4, ALL, PLENTY)
    assert part is not None and not part.changes and part.end == 4


def test_log_tells_only_what_is_asked_for_and_goes_on_behind_the_rest() -> None:
    log = log_of(change(0), change(1, Cause.COPIED), change(2, Cause.EXPIRED), change(3, Cause.RELAYED))
    part = log.after(0, [Cause.TAKEN], PLENTY)
    assert part is not None and [at for at, _ in part.changes] == [1] and (part.end, part.is_whole) == (4, True)


def test_log_tells_no_more_at_once_than_is_asked_for() -> None:
    log = log_of(*(change(number, bytes_=1000) for number in range(4)))
    part = log.after(0, ALL, 2500)
    assert part is not None and [at for at, _ in part.changes] == [1, 2] and (part.end, part.is_whole) == (2, False)
    part = log.after(2, ALL, 1)
    assert part is not None and [at for at, _ in part.changes] == [3], "one at least"


def test_log_keeps_what_fits_and_says_what_is_missed() -> None:
    log = log_of(bytes_max=10_000)
    for number in range(100):
        log.append([change(number, bytes_=1000)])
    assert log.end == 100
    kept = next(at for at in range(101) if log.after(at, ALL, PLENTY) is not None)
    part = log.after(kept, ALL, PLENTY)
    assert part is not None and part.changes[0] == (kept + 1, change(kept, bytes_=1000)) and 90 < kept < 95
    assert log.after(kept - 1, ALL, PLENTY) is None
    assert len(log._kept) < 25, "what is dropped is not kept"


def test_log_has_nothing_of_what_is_yet_to_come() -> None:
    assert log_of(change(0)).after(2, ALL, PLENTY) is None
