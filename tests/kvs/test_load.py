"""What a load counts, and how far it says that everything is stored."""

from __future__ import annotations

from kvs.errors import BadRequest, KvsError, OutcomeUnknown, Unreachable
from kvs.load import FAILURES_NAMED_MAX, UNDELIVERED_MAX, Failure, Tally
from kvs.load_input import BadLine
from kvs.operations import AnswerLine, Slot


def done(number: int, outcome: AnswerLine | KvsError | None = None) -> Slot:
    return Slot(b"k%d" % number, b"", "PUT", False, number, outcome or AnswerLine(status=201))


def test_tally_goes_as_far_as_everything_is_stored_or_refused() -> None:
    tally = Tally(through=7)
    tally.count([done(8), done(9, BadRequest("Key is too long")), done(11)])
    assert (tally.stored, tally.refused, tally.through) == (2, 1, 11)
    tally.count([done(12, Unreachable({})), done(13)])
    tally.count([done(14), done(15, OutcomeUnknown({}))])
    assert (tally.stored, tally.undelivered, tally.failed) == (4, 2, 3)
    assert tally.through == 11, "what follows one that no node took has to be tried again with it"


def test_tally_gives_up_after_many_that_no_node_took_and_names_the_first_few() -> None:
    tally = Tally()
    tally.refuse([BadLine(1, "no entry")])
    tally.count([done(n, Unreachable({})) for n in range(2, UNDELIVERED_MAX + 1)])
    assert not tally.gave_up
    tally.count([done(1000, Unreachable({}))])
    assert tally.gave_up and tally.failed == UNDELIVERED_MAX + 1
    assert len(tally.failures) == FAILURES_NAMED_MAX
    assert tally.failures[:2] == [
        Failure("line 1", "no entry"),
        Failure("'k2'", "no node could answer: there was no time"),
    ]
