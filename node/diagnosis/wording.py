"""How problems are put: numbers, nodes and shards in the words that all of them use, and the commands that help."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gossip.view import Address

NAMED_MAX = 8
"""So many nodes are named in a sentence; how many more there are is told."""


CHANGE = "kvs view-change"
UNDO = f"take the change back: {CHANGE} --undo"
ADD = f"{CHANGE} --add NEW, a node that runs"


def named(things: Collection[str]) -> str:
    """A list for a sentence."""
    shown = list(things)[:NAMED_MAX]
    more = len(things) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def is_are(nodes: Collection[Address]) -> str:
    return "is" if len(nodes) == 1 else "are"


def numbers(shards: Iterable[int]) -> str:
    """The names of shards, by their indices."""
    ids = [str(shard + 1) for shard in shards]
    return f"shard{'' if len(ids) == 1 else 's'} {named(ids)}"


def start(nodes: Collection[Address]) -> str:
    """How those that are down come back."""
    return f"start {named(nodes)} again, with {'its disk' if len(nodes) == 1 else 'their disks'}"


def replace(nodes: Collection[Address]) -> str:
    """How others come in their place."""
    return f"{CHANGE} {' '.join(f'--replace {node} NEW' for node in nodes)}"


def remove(nodes: Collection[Address]) -> str:
    return f"{CHANGE} --remove {','.join(nodes)}"
