"""When memory is given back, and that it is, after a crowd of those who speak TLS."""

from __future__ import annotations

import subprocess
import sys

import pytest

from node.spare_memory import MIB, WORTH_BYTES, SpareMemory, bytes_taken
from tests.cluster import ROOT


class Process:
    """With so many bytes, of which some are not used."""

    def __init__(self) -> None:
        self.used = self.taken = 100 * MIB
        self.given_back = 0

    def give_back(self) -> None:
        self.given_back += 1
        self.taken = self.used


def test_spare_memory_is_given_back_once_there_is_much() -> None:
    process = Process()
    spare = SpareMemory(lambda: process.taken, process.give_back)
    process.taken += WORTH_BYTES
    spare.look()
    assert process.given_back == 0
    process.taken += 1
    spare.look()
    assert (process.given_back, process.taken) == (1, 100 * MIB)


def test_spare_memory_that_is_in_use_is_asked_for_once() -> None:
    """And again when it has grown by as much, from where it had least since."""
    process = Process()
    spare = SpareMemory(lambda: process.taken, process.give_back)
    process.used = process.taken = 300 * MIB
    for _ in range(3):
        spare.look()
    assert process.given_back == 1
    process.used = process.taken = 150 * MIB
    spare.look()
    process.taken = 150 * MIB + WORTH_BYTES + 1
    spare.look()
    assert (process.given_back, process.taken) == (2, 150 * MIB)


CROWD = """
import ctypes, os, socket, ssl, sys, time
from node.spare_memory import SpareMemory, bytes_taken, WORTH_BYTES
trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
if trim is None or not bytes_taken():
    sys.exit(77)
spare = SpareMemory(bytes_taken, lambda: trim(0))
before = bytes_taken()
kept, crowd = [], []
for number in range(20_000):
    crowd.append(bytearray(os.urandom(1)) * 8000)
    kept.append(bytearray(600))
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
