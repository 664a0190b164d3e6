"""The words that problems have in common."""

from __future__ import annotations

import pytest

from node.diagnosis.wording import counted, is_are, named, numbers, remove, replace, start


def test_wording_names_some_and_counts_the_rest() -> None:
    assert named(["a"]) == "a" and named(["a", "b"]) == "a, b"
    assert named([f"n{n}" for n in range(10)]) == "n0, n1, n2, n3, n4, n5, n6, n7 and 2 more"


@pytest.mark.parametrize(("number", "text"), [(0, "0 keys"), (1, "1 key"), (12_345, "12,345 keys")])
def test_wording_counts(number: int, text: str) -> None:
    assert counted(number, "key") == text


def test_wording_agrees_in_number() -> None:
    assert (is_are("a"), is_are("ab")) == ("is", "are")
    assert (numbers([0]), numbers([0, 2])) == ("shard 1", "shards 1, 3")
    assert start(["a:1"]) == "start a:1 again, with its disk"
    assert start(["a:1", "b:1"]) == "start a:1, b:1 again, with their disks"


def test_wording_of_commands_is_that_which_can_be_typed() -> None:
    assert remove(["a:1", "b:1"]) == "kvs view-change --remove a:1,b:1"
    assert replace(["a:1", "b:1"]) == "kvs view-change --replace a:1 NEW --replace b:1 NEW"
