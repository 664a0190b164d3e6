"""How far an export has come, and the cursor that tells it: independent of views, nodes and their restarts.

A key's partition never changes, whoever owns it. So what is told is told by partition: which are told wholly, and of
each that is told in part, up to which key.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from node.values.record import KEY_BYTES_MAX
from ring.hashing import partition_of
from ring.sets import ALL, BYTES, bits_of

FORMAT = 1
"""The first byte of a cursor. Then come the partitions that are told wholly, each key up to which another one is told,
after its length, and a checksum over the prefix and all that."""
LANES = 16
"""So many partitions are told in part at most: a cursor must fit into a line of HTTP."""
_CHECKSUM = 4


class BadCursor(ValueError):
    """What it says is one line, for who has sent it."""


class Job(NamedTuple):
    """What one owner of a shard is to tell."""

    shard: int
    """Its index in the ring."""
    partitions: int
    """A set as in `ring.sets`, not empty."""
    after: bytes = b""
    """In the first of them, what comes after this key; empty: all."""

    def rest(self, end: bytes | None) -> Job:
        """What is left to be told once an answer has come that ends there."""
        if end is None:
            return Job(self.shard, 0)
        return Job(self.shard, self.partitions >> partition_of(end) << partition_of(end), end)


class Progress(NamedTuple):
    told: int = 0
    """The partitions that are told wholly, a set as in `ring.sets`."""
    ends: tuple[bytes, ...] = ()
    """Of each partition that is told in part, the last key that is told; ascending by partition."""

    @property
    def is_complete(self) -> bool:
        return self.told == ALL

    def after(self, job: Job, rest: Job) -> Progress:
        """Once a job is done but for this rest."""
        told = self.told | job.partitions & ~rest.partitions
        ends = {*self.ends} - {job.after} | {rest.after} - {b""}
        return Progress(told, tuple(sorted(ends, key=partition_of)))

    def jobs(self, shards: Sequence[int]) -> list[Job]:
        """What is left, where these are the partitions of each shard. What is told in part comes first, so that there
        is never more of it than is worked on at once."""
        shard_of = {end: shard for shard, owned in enumerate(shards) for end in self.ends if _bit(end) & owned}
        begun = [Job(shard_of[end], _bit(end), end) for end in self.ends]
        left = ALL & ~self.told & ~bits_of([partition_of(end) for end in self.ends])
        return begun + [Job(shard, owned & left) for shard, owned in enumerate(shards) if owned & left]

    def encode(self, prefix: bytes) -> str:
        """The cursor, for an export of the keys that begin with `prefix`."""
        body = bytes([FORMAT]) + self.told.to_bytes(BYTES) + b"".join(b"%c%b" % (len(end), end) for end in self.ends)
        return urlsafe_b64encode(body + crc32(prefix + body).to_bytes(_CHECKSUM)).rstrip(b"=").decode()


def decode(cursor: str, prefix: bytes) -> Progress:
    """Raises BadCursor."""
    try:
        encoded = b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except ValueError:
        raise BadCursor("not one that an export has told") from None
    body, checksum = encoded[:-_CHECKSUM], encoded[-_CHECKSUM:]
    if body[:1] != bytes([FORMAT]):
        raise BadCursor("not one that an export of this release has told")
    if crc32(prefix + body).to_bytes(_CHECKSUM) != checksum or len(body) < 1 + BYTES:
        raise BadCursor("cut off, or changed, or of an export with another prefix")
    return Progress(int.from_bytes(body[1 : 1 + BYTES]), tuple(_keys_in(body[1 + BYTES :])))


def _keys_in(encoded: bytes) -> Iterator[bytes]:
    """Raises BadCursor."""
    while encoded:
        length, key, encoded = encoded[0], encoded[1 : 1 + encoded[0]], encoded[1 + encoded[0] :]
        if not 0 < length == len(key) <= KEY_BYTES_MAX:
            raise BadCursor("it names what can be no key")
        yield key


def _bit(key: bytes) -> int:
    return 1 << partition_of(key)
