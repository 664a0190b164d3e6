"""How much room is kept, and when records are let in: tables."""

from __future__ import annotations

import pytest

from node.storage.reserve import Reserve, Span

KEPT = 1000
STEP = 250


def reserve(end: int, free: int, allocated: int, asked: int) -> Reserve:
    """That of a store whose pages end at `end`, with blocks set aside up to `allocated` of `asked`."""
    kept = Reserve(KEPT)
    kept.note_end(end, lambda: free)
    kept.note_allocated(allocated, Span(end, asked))
    kept.note_end(end, lambda: free)
    return kept


def test_reserve_asks_for_what_is_kept_and_a_step_more_beyond_the_last_page() -> None:
    kept = Reserve(KEPT)
    kept.note_end(5000, lambda: 0)
    assert kept.to_allocate() == Span(5000, 5000 + KEPT + STEP)
    kept.note_allocated(5000 + KEPT + STEP, Span(5000, 5000 + KEPT + STEP))
    assert kept.to_allocate() is None and not kept.is_full and not kept.is_tight


def test_reserve_asks_again_once_the_store_has_grown_into_it() -> None:
    kept = reserve(5000, 0, 6250, 6250)
    kept.note_end(5000 + STEP, lambda: 0)
    assert kept.to_allocate() is None
    kept.note_end(5001 + STEP, lambda: 0)
    assert kept.to_allocate() == Span(6250, 5001 + STEP + KEPT + STEP)


@pytest.mark.parametrize(
    ("free", "allocated", "is_full"),
    [
        (0, 5000 + KEPT, False),
        (0, 5000 + KEPT - 1, True),
        (500, 5000 + KEPT // 2, False),
        (499, 5000 + KEPT // 2, True),
        (9999, 5000 + KEPT // 2 - 1, True),
    ],
    ids=[
        "all beyond the last page",
        "a byte is missing",
        "half of it before",
        "not quite",
        "scattered pages are no room for a view",
    ],
)
def test_reserve_is_full_table(free: int, allocated: int, is_full: bool) -> None:
    kept = reserve(5000, free, allocated, 5000 + KEPT + STEP)
    assert kept.is_full is is_full and kept.is_tight


def test_reserve_lets_records_in_again_after_deletions() -> None:
    kept = reserve(5000, 0, 5900, 6250)
    assert kept.is_full
    kept.note_end(5000, lambda: 100)
    assert not kept.is_full and kept.is_tight


def test_reserve_is_whole_again_once_the_disk_has_room() -> None:
    kept = reserve(5000, 0, 5500, 6250)
    span = kept.to_allocate()
    assert kept.is_full and span == Span(5500, 6250)
    kept.note_allocated(span.stop, span)
    assert not kept.is_full and not kept.is_tight and kept.left == KEPT + STEP


def test_reserve_asks_after_a_commit_was_refused_though_all_seems_to_be_there() -> None:
    kept = reserve(5000, 0, 6250, 6250)
    kept.note_refusal()
    assert kept.is_tight and not kept.is_full and kept.to_allocate() is not None


def test_reserve_of_nothing_asks_for_nothing_and_is_never_full() -> None:
    kept = Reserve(0)
    kept.note_end(5000, lambda: 0)
    kept.note_refusal()
    assert kept.to_allocate() is None and not kept.is_full and not kept.is_tight
