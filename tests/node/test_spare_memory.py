"""When memory is given back, and that it is, after a crowd of those who speak TLS."""

from __future__ import annotations

import subprocess
import sys

import pytest

from node.spare_memory import MIB, WORTH_BYTES, SpareMemory, bytes_taken
from tests.cluster import ROOT


class Process:
    """With so many bytes, of which some are used."""

    def __init__(self) -> None:
        self.used = self.taken = 100 * MIB
        self.given_back = 0

    def unused(self) -> int:
        return self.taken - self.used

    def give_back(self) -> None:
        self.given_back += 1
        self.taken = self.used


def test_spare_memory_is_given_back_once_there_is_much() -> None:
    process = Process()
    spare = SpareMemory(process.unused, process.give_back)
    process.taken += WORTH_BYTES
    spare.look()
    assert process.given_back == 0
    process.taken += 1
    spare.look()
    assert (process.given_back, process.taken) == (1, 100 * MIB)


def test_spare_memory_of_a_crowd_is_given_back_once_that_has_gone() -> None:
    """However often was looked while it was there."""
    process = Process()
    spare = SpareMemory(process.unused, process.give_back)
    process.used = process.taken = 300 * MIB
    for _ in range(3):
        spare.look()
    assert process.given_back == 0, "all of it is used"
    process.used = 100 * MIB
    spare.look()
    assert (process.given_back, process.taken) == (1, 100 * MIB)


def test_spare_memory_that_is_none_of_the_c_librarys_is_asked_for_once() -> None:
    """And again when it has grown by as much, from where it was least since."""
    process = Process()
    given_back = 0

    def give_back() -> None:
        nonlocal given_back
        given_back += 1

    spare = SpareMemory(process.unused, give_back)
    process.taken = 300 * MIB
    for _ in range(3):
        spare.look()
    assert given_back == 1
    process.taken = 150 * MIB
    spare.look()
    process.taken = 150 * MIB + WORTH_BYTES + 1
    spare.look()
    assert given_back == 2


CROWD = """
import ctypes, os, socket, ssl, sys, time
from node.spare_memory import SpareMemory, bytes_taken, bytes_unused, bytes_used
trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
if trim is None or not bytes_taken() or not bytes_used():
    sys.exit(77)
spare = SpareMemory(bytes_unused, lambda: trim(0))
before = bytes_taken()
kept, crowd = [], []
for number in range(20_000):
    crowd.append(bytearray(os.urandom(1)) * 8000)
    kept.append(bytearray(600))
spare.look()
del crowd
held = bytes_taken()
spare.look()
print(before, held, bytes_taken())
"""


def test_spare_memory_of_what_was_freed_goes_back_to_the_system() -> None:
    """Though what is still in use lies in between."""
    done = subprocess.run([sys.executable, "-c", CROWD], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this C library gives nothing back")
    before, held, after = map(int, done.stdout.split())
    assert held > before + WORTH_BYTES, "else this shows nothing"
    assert after < held - WORTH_BYTES


def test_bytes_taken_grow_with_what_is_used() -> None:
    before = bytes_taken()
    if not before:
        pytest.skip("this system does not tell")
    used = bytearray(b"x") * (32 * MIB)
    assert bytes_taken() > before + 16 * MIB
    assert used
