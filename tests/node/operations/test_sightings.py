"""What the answers of others say about a key, and when "nothing" may be believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from gossip.view import Address
from node.net.messages import Answer, Fetched, Unable, ViewIs
from node.operations.sightings import NOBODY_ASKED, Answers, Asker, Sightings, weigh
from node.values.donors import Kind
from node.values.record import Record
from node.values.version import Version, clock_of
from tests.node.parts import A, B, C, D, record

ALONE, COPY, COVERED = Kind.ALONE, Kind.COPY, Kind.COVERED
OLD, NEW = record(3), record(4)
OUTSIDE = "outside:1"
NOTHING = Fetched(None)
CANNOT_TELL = Fetched(None, may_lack=True)
WATERMARK = 3 << 16


def has(record: Record, stable_watermark: int = 0, may_lack: bool = False) -> Fetched:
    return Fetched(record.encode(), stable_watermark, may_lack)


def asker(
    donors: Mapping[Address, Kind] | None = None,
    owners: Collection[Address] = (A, B, C),
    is_waiting_to_be_filled: bool = False,
    purge_watermark: int = 0,
) -> Asker:
    """That of A in a view of four nodes."""

    def may_revive(version: Version, stable_watermark: int) -> bool:
        return clock_of(version) <= purge_watermark and stable_watermark < purge_watermark

    return Asker((A, B, C, D), owners, donors or {}, is_waiting_to_be_filled, purge_watermark, may_revive)


# The newest

NEWEST: list[tuple[str, Answers, Record | None, Address]] = [
    ("nobody has any", {B: NOTHING, C: NOTHING}, None, ""),
    ("one has it", {B: NOTHING, C: has(OLD)}, OLD, C),
    ("the newer one wins, first", {B: has(NEW), C: has(OLD)}, NEW, B),
    ("the newer one wins, last", {B: has(OLD), C: has(NEW)}, NEW, C),
    ("of equals the first", {B: has(NEW), C: has(NEW)}, NEW, B),
    ("a deletion wins like a value", {B: has(OLD), C: has(record(4, None))}, record(4, None), C),
    ("whoever cannot tell of nothing, can of something", {B: has(OLD, may_lack=True)}, OLD, B),
    ("silence, refusals", {B: None, C: Unable(), D: has(OLD)}, OLD, D),
]


@pytest.mark.parametrize(
    ("answers", "newest", "source"), [case[1:] for case in NEWEST], ids=[case[0] for case in NEWEST]
)
def test_weigh_newest(answers: Answers, newest: Record | None, source: Address) -> None:
    sightings = weigh(answers, asker())
    assert (sightings.newest, sightings.source) == (newest, source)


FORGOTTEN: list[tuple[str, Address, Fetched, bool]] = [
    ("a value", B, has(record(3)), False),
    ("a deletion of long ago", B, has(record(3, None)), True),
    ("a later deletion", B, has(record(4, None)), False),
    ("a value from outside, which may have been deleted long ago", OUTSIDE, has(record(3)), True),
    ("a deletion from outside", OUTSIDE, has(record(3, None)), True),
    ("a later value from outside", OUTSIDE, has(record(4)), False),
    ("a value from outside, of one that has seen all deletions", OUTSIDE, has(record(3), WATERMARK), False),
]


@pytest.mark.parametrize(
    ("holder", "answer", "is_forgotten"), [case[1:] for case in FORGOTTEN], ids=[case[0] for case in FORGOTTEN]
)
def test_weigh_what_is_forgotten(holder: Address, answer: Fetched, is_forgotten: bool) -> None:
    sightings = weigh({holder: answer}, asker(purge_watermark=WATERMARK))
    assert (sightings.newest is None) == is_forgotten
    assert sightings.heard == {holder}


# Whether that is all

COMPLETE: list[tuple[str, Mapping[Address, Kind], Answers, bool]] = [
    ("a co-owner is silent", {}, {B: None}, True),
    ("one alone is silent", {B: ALONE}, {B: None}, False),
    ("one alone has nothing", {B: ALONE}, {B: NOTHING}, True),
    ("one alone refuses", {B: ALONE}, {B: Unable()}, False),
    ("one alone is silent outside the view", {OUTSIDE: ALONE}, {OUTSIDE: None}, True),
    ("one alone refuses outside the view", {OUTSIDE: ALONE}, {OUTSIDE: ViewIs(b"")}, False),
    ("one copy is silent", {B: COPY}, {B: None}, False),
    ("one copy is silent, another one heard", {B: COPY, C: COPY}, {B: None, C: NOTHING}, True),
    ("both copies are silent", {B: COPY, C: COPY}, {B: None, C: None}, False),
    ("one copy is silent, one alone heard", {B: COPY, C: ALONE}, {B: None, C: NOTHING}, False),
    ("one copy is silent, one covered heard", {B: COPY, C: COVERED}, {B: None, C: NOTHING}, False),
    ("one alone is silent, a copy heard", {B: ALONE, C: COPY}, {B: None, C: NOTHING}, False),
    ("one covered is silent", {B: COVERED}, {B: None}, True),
    ("one alone has lost its disk", {B: ALONE}, {B: CANNOT_TELL}, True),
    ("one copy has lost its disk, the other one is silent", {B: COPY, C: COPY}, {B: CANNOT_TELL, C: None}, False),
    ("one copy has lost its disk, the other one is heard", {B: COPY, C: COPY}, {B: CANNOT_TELL, C: NOTHING}, True),
    ("both copies have lost their disks", {B: COPY, C: COPY}, {B: CANNOT_TELL, C: CANNOT_TELL}, True),
    ("a donor that has come in meanwhile was not asked", {B: ALONE}, {C: NOTHING}, False),
]


@pytest.mark.parametrize(
    ("donors", "answers", "is_complete"), [case[1:] for case in COMPLETE], ids=[case[0] for case in COMPLETE]
)
def test_weigh_is_complete(donors: Mapping[Address, Kind], answers: Answers, is_complete: bool) -> None:
    assert weigh(answers, asker(donors)).is_complete == is_complete


@pytest.mark.parametrize(("answer", "is_complete"), [(None, False), (CANNOT_TELL, False), (NOTHING, True)])
def test_weigh_on_a_empty_disk_somebody_must_have_told(answer: Answer | None, is_complete: bool) -> None:
    assert weigh({B: answer}, asker(is_waiting_to_be_filled=True)).is_complete == is_complete


# Who must be asked again, and who was passed over

UNDECIDED: list[tuple[str, Address, Answer | None, bool, bool]] = [
    ("silent", B, None, False, False),
    ("unable", B, Unable(), False, True),
    ("of another view", B, ViewIs(b""), False, True),
    ("unable outside the view", OUTSIDE, Unable(), False, False),
    ("cannot tell, and is heard by one that can", B, CANNOT_TELL, False, False),
    ("cannot tell, nor can the one that asks", B, CANNOT_TELL, True, True),
    ("has something", B, has(OLD, may_lack=True), True, False),
]


@pytest.mark.parametrize(
    ("peer", "answer", "is_waiting_to_be_filled", "is_undecided"),
    [case[1:] for case in UNDECIDED],
    ids=[case[0] for case in UNDECIDED],
)
def test_weigh_is_undecided(
    peer: Address, answer: Answer | None, is_waiting_to_be_filled: bool, is_undecided: bool
) -> None:
    sightings = weigh({peer: answer, C: NOTHING}, asker(is_waiting_to_be_filled=is_waiting_to_be_filled))
    assert sightings.is_undecided == is_undecided


@pytest.mark.parametrize(
    ("peer", "answer", "is_silent"),
    [(B, None, False), (D, None, True), (OUTSIDE, None, True), (OUTSIDE, Unable(), False), (D, NOTHING, False)],
)
def test_weigh_is_donor_silent(peer: Address, answer: Answer | None, is_silent: bool) -> None:
    """Of those that own the key now, nobody: they are left out of a write by other rules."""
    assert weigh({peer: answer}, asker()).is_donor_silent == is_silent


def test_weigh_nobody_asked() -> None:
    assert weigh({}, asker()) == NOBODY_ASKED._replace(heard=set(), unheard=set())
    assert weigh({}, asker()) == Sightings(None, "", True, heard=set(), unheard=set())


UNHEARD: list[tuple[str, Address, Answer | None, bool]] = [
    ("silent", B, None, True),
    ("silent outside the view", OUTSIDE, None, True),
    ("of another view", B, ViewIs(b""), True),
    ("unable", B, Unable(), True),
    ("unable outside the view", OUTSIDE, Unable(), True),
    ("has nothing", B, NOTHING, False),
    ("has something", B, has(OLD), False),
    ("cannot tell", B, CANNOT_TELL, True),
    ("cannot tell of nothing, but of something", B, has(OLD, may_lack=True), False),
    ("has lost its disk outside the view", OUTSIDE, CANNOT_TELL, False),
]


@pytest.mark.parametrize(
    ("peer", "answer", "is_unheard"), [case[1:] for case in UNHEARD], ids=[case[0] for case in UNHEARD]
)
def test_weigh_who_is_unheard(peer: Address, answer: Answer | None, is_unheard: bool) -> None:
    assert weigh({peer: answer, C: NOTHING}, asker()).unheard == ({peer} if is_unheard else set())
