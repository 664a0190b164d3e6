"""What is counted where, and that nothing a client makes up grows without bound."""

from __future__ import annotations

import pytest

from node.api.answers import HttpAnswer
from node.api.tally import KEY_METHODS, OTHER, Tally
from node.errors import Reason


@pytest.mark.parametrize(("forwarded", "here", "elsewhere"), [(False, 1, 0), (True, 0, 1), (None, 0, 0)])
def test_tally_takes_the_time_of_what_an_owner_has_answered(forwarded: bool | None, here: int, elsewhere: int) -> None:
    tally = Tally()
    tally.note_key("PUT", HttpAnswer(201, b"", forwarded=forwarded), 0.02)
    of_put = tally.keys["PUT"]
    assert of_put.statuses[201] == sum(of_put.statuses) == 1
    assert (sum(of_put.here.counts), sum(of_put.forwarded.counts)) == (here, elsewhere)
    assert of_put.here.total + of_put.forwarded.total == pytest.approx(0.02 * (here + elsewhere))
    assert all(sum(tally.keys[method].statuses) == 0 for method in KEY_METHODS if method != "PUT")


def test_tally_counts_a_duration_as_its_histogram_would() -> None:
    tally = Tally()
    for took_s in (0.0, 0.00005, 0.00006, 0.3, 11.0):
        tally.note_key("GET", HttpAnswer(200, b"", forwarded=False), took_s)
    counts = tally.keys["GET"].here.counts
    assert (counts[0], counts[1], counts[-1], sum(counts)) == (2, 1, 1, 5)


@pytest.mark.parametrize("reason", Reason)
def test_tally_counts_why_it_was_503_of_keys_and_of_all_else(reason: Reason) -> None:
    tally = Tally()
    tally.note_key("GET", HttpAnswer(503, b"", reason=reason), 1.9)
    tally.note("/kvs/keys", "GET", 503, reason)
    tally.note("/kvs/keys", "GET", 200, None)
    assert tally.unavailable == dict.fromkeys(Reason, 0) | {reason: 2}


def test_tally_counts_why_lines_of_batches_were_503_but_not_as_requests() -> None:
    tally = Tally()
    for answer in (HttpAnswer(503, b"", reason=Reason.DISK), HttpAnswer(404, b"", forwarded=False)):
        tally.note_line(answer.reason)
    assert tally.unavailable == dict.fromkeys(Reason, 0) | {Reason.DISK: 1}
    assert not tally.others and not any(sum(tally.keys[method].statuses) for method in KEY_METHODS)


def test_tally_of_a_method_that_nobody_knows_is_that_of_all_such() -> None:
    tally = Tally()
    for method in ("BREW", "WHEN", "GET"):
        tally.note(OTHER, method, 404, None)
    assert tally.others == {(OTHER, OTHER, 404): 2, (OTHER, "GET", 404): 1}


def test_tally_sums_up_reads_writes_lines_and_refusals() -> None:
    tally = Tally()
    tally.note_key("GET", HttpAnswer(200, b"", forwarded=False), 0.00005)
    tally.note_key("GET", HttpAnswer(404, b"", forwarded=True), 0.00005)
    tally.note_key("PUT", HttpAnswer(503, b"", reason=Reason.DISK), 11.0)
    tally.note_key("DELETE", HttpAnswer(200, b"", forwarded=False), 11.0)
    tally.note_line(None)
    told = tally.counted()
    assert (told.reads, told.writes, told.lines, told.refused) == (2, 2, 1, 1)
    assert (told.took[0], told.took[-1], sum(told.took)) == (2, 1, 3), "who was refused got no answer of an owner"
