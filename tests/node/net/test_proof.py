"""A proof is good for one meeting of two nodes, for one side of it, and under one secret."""

from __future__ import annotations

import hmac

import pytest
from msgspec.structs import replace

from node.net.proof import PROOF_BYTES, Meeting, Side, proof_of, proven_by

SECRET, OTHER = b"s" * 32, b"t" * 32
MEETING = Meeting(1, "kvs", "a:1", "b:1", b"1" * 32, b"2" * 32)


@pytest.mark.parametrize("side", Side)
def test_proof_is_believed_for_its_side_under_its_secret(side: Side) -> None:
    made = proof_of(SECRET, side, MEETING)
    assert len(made) == PROOF_BYTES
    assert proven_by((SECRET,), side, MEETING, made) == SECRET
    assert proven_by((OTHER, SECRET), side, MEETING, made) == SECRET
    assert proven_by((SECRET, OTHER), side, MEETING, made) == SECRET
    assert proven_by((OTHER,), side, MEETING, made) is None


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (1, "6adb059dd632e31c85d7b20bbc3583018c30daf3ea2fd020312baa525149a16c"),
        (2, "2f7dd5cb8544372448547ee552651c582b934d06c823fed1b295cb1654fc35c8"),
    ],
)
def test_proof_bytes_are_what_other_releases_send(protocol: int, expected: str) -> None:
    """A change here is one of the protocol, and of its number."""
    assert proof_of(SECRET, Side.DIALLER, replace(MEETING, protocol=protocol)).hex() == expected


@pytest.mark.parametrize(
    "other",
    [
        replace(MEETING, protocol=2),
        replace(MEETING, cluster="kvs2"),
        replace(MEETING, dialler="c:1"),
        replace(MEETING, answerer="c:1"),
        replace(MEETING, dialler="b:1", answerer="a:1"),
        replace(MEETING, dialler_challenge=b"3" * 32),
        replace(MEETING, answerer_challenge=b"3" * 32),
        replace(MEETING, dialler_challenge=b"2" * 32, answerer_challenge=b"1" * 32),
        replace(MEETING, cluster="kvsa", dialler=":1"),
        replace(MEETING, dialler_challenge=b"1" * 31, answerer_challenge=b"1" + b"2" * 32),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_proof_of_one_meeting_is_none_of_another(side: Side, other: Meeting) -> None:
    assert proven_by((SECRET,), side, other, proof_of(SECRET, side, MEETING)) is None


def test_proof_of_one_side_is_none_of_the_other() -> None:
    for side, other in [(Side.DIALLER, Side.ANSWERER), (Side.ANSWERER, Side.DIALLER)]:
        assert proven_by((SECRET,), other, MEETING, proof_of(SECRET, side, MEETING)) is None


@pytest.mark.parametrize("told", [b"", b"\0" * PROOF_BYTES, SECRET])
def test_proof_that_is_none_is_not_believed(told: bytes) -> None:
    assert proven_by((SECRET, OTHER), Side.DIALLER, MEETING, told) is None
    assert proven_by((SECRET,), Side.DIALLER, MEETING, proof_of(SECRET, Side.DIALLER, MEETING)[:-1]) is None


def test_proof_is_compared_with_that_of_each_secret_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(known: bytes, told: bytes) -> bool:
        compared.append(known)
        return known == told

    monkeypatch.setattr(hmac, "compare_digest", compare)
    proven_by((SECRET, OTHER), Side.DIALLER, MEETING, proof_of(SECRET, Side.DIALLER, MEETING))
    assert compared == [proof_of(secret, Side.DIALLER, MEETING) for secret in (SECRET, OTHER)]
