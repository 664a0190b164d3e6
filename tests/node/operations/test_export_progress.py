"""An export's progress counts under every view, and comes back from its cursor as it was."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.operations.export_progress import LANES, BadCursor, Job, Progress, decode
from node.operations.partition_order import place_of
from ring.hashing import PARTITIONS, partition_of
from ring.sets import ALL, BYTES, bits_of

KEYS = sorted((b"k%d" % number for number in range(200)), key=place_of)
SHARDS = st.integers(1, 5).map(lambda n: [bits_of(range(shard, PARTITIONS, n)) for shard in range(n)])


def of(*keys: bytes) -> int:
    return bits_of({partition_of(key) for key in keys})


PROGRESSES = st.builds(
    lambda told, ends: Progress(told & ~of(*ends), tuple(sorted(ends, key=partition_of))),
    st.integers(0, ALL),
    st.sets(st.sampled_from(KEYS), max_size=LANES).map(lambda keys: {partition_of(key): key for key in keys}.values()),
)


@given(PROGRESSES, st.sampled_from([b"", b"k", "ключ".encode()]))
def test_cursor_says_where_the_export_is(progress: Progress, prefix: bytes) -> None:
    cursor = progress.encode(prefix)
    assert decode(cursor, prefix) == progress
    with pytest.raises(BadCursor, match="of an export with another prefix"):
        decode(cursor, prefix + b"x")


def test_cursor_fits_into_a_line_of_http() -> None:
    """aiohttp takes 8190 bytes."""
    longest = Progress(0, tuple(b"%03d" % number + b"\xff" * 197 for number in range(LANES)))
    assert len(longest.encode(b"k")) < 6000


@given(st.text("AQ-_b9= é", max_size=900))
def test_cursor_that_was_never_told_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        decode(cursor, b"")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"\x02" + bytes(BYTES), "not one that an export of this release has told"),
        (b"\x01" + bytes(BYTES - 1), "cut off"),
        (b"\x01" + bytes(BYTES) + b"\x02k", "names what can be no key"),
        (b"\x01" + bytes(BYTES) + b"\x00", "names what can be no key"),
        (b"\x01" + bytes(BYTES) + b"\xc9" + b"k" * 201, "names what can be no key"),
    ],
)
def test_cursor_whose_checksum_is_right_is_looked_at_all_the_same(body: bytes, fault: str) -> None:
    with pytest.raises(BadCursor, match=fault):
        decode(urlsafe_b64encode(body + crc32(body).to_bytes(4)).rstrip(b"=").decode(), b"")


def test_cursor_of_this_release_golden() -> None:
    """Clients keep them over an upgrade."""
    cursor = Progress(1 | 1 << 4095, (b"k1",)).encode(b"k")
    assert cursor == "AY" + "A" * 680 + "ABAmsxF5Y3Pg" and decode(cursor, b"k").ends == (b"k1",)


@given(PROGRESSES, SHARDS)
def test_jobs_are_all_that_is_left_and_what_is_told_in_part_comes_first(progress: Progress, shards: list[int]) -> None:
    jobs = progress.jobs(shards)
    assert sum(job.partitions for job in jobs) == ALL & ~progress.told, "no partition in two of them"
    assert all(job.partitions and not job.partitions & ~shards[job.shard] for job in jobs)
    begun = len(progress.ends)
    assert [job.after for job in jobs] == [*progress.ends, *[b""] * (len(jobs) - begun)]
    assert all(job.partitions == of(job.after) for job in jobs[:begun])


@given(PROGRESSES, SHARDS, st.data())
def test_progress_by_blocks_comes_to_its_end(progress: Progress, shards: list[int], data: st.DataObject) -> None:
    """However the blocks of several jobs take turns, and whichever views follow each other."""
    for _ in range(30):
        jobs = progress.jobs(shards)
        if not jobs:
            break
        for job in data.draw(st.permutations(jobs)):
            last = data.draw(st.sampled_from([None, *(key for key in KEYS if of(key) & job.partitions)]))
            is_further = last is not None and (not job.after or place_of(last) > place_of(job.after))
            rest = job.rest(last if is_further else None)
            before, progress = progress, progress.after(job, rest)
            assert before.told & ~progress.told == 0
            assert progress.told & rest.partitions == 0 and job.partitions & ~rest.partitions & ~progress.told == 0
            assert progress.told & of(*progress.ends) == 0 and (rest.after in progress.ends or not rest.after)
            assert len({partition_of(end) for end in progress.ends}) == len(progress.ends)
        shards = data.draw(SHARDS)
    assert progress.is_complete or progress.jobs(shards)


def test_rest_of_a_job_begins_after_its_last_key() -> None:
    one, two, three = KEYS[0], KEYS[9], KEYS[19]
    assert partition_of(one) < partition_of(two) < partition_of(three)
    job = Job(2, of(one, two, three))
    assert job.rest(two) == Job(2, of(two, three), two) and job.rest(None) == Job(2, 0)
    assert Progress().after(job, job.rest(two)) == Progress(of(one), (two,))
    assert Progress(of(one), (two,)).after(Job(2, of(two, three), two), Job(2, 0)) == Progress(of(one, two, three))
