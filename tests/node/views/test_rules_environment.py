"""In what the view on the disk differs from the environment, in one line: tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gossip.view import Address, View
from node.config import Config
from node.views.rules import (
    difference_to_environment,
)
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D, environment

MINE = environment(A, B)
WITH_C = environment(A, B, C)
FIRST = successor(MINE, A, B, C)


def told(*view: Address, repl_factor: int | None = None) -> Config:
    return replace(Config.for_test(A, view, Path("/nowhere")), repl_factor=repl_factor)


@pytest.mark.parametrize(
    ("config", "view", "command"),
    [
        (told(B, A), FIRST, "kvs view-change --to a:1,b:1"),
        (told(A, B, C, D), WITH_C, "kvs view-change --to a:1,b:1,c:1,d:1"),
        (told(A, B, repl_factor=2), MINE, "kvs view-change --to a:1,b:1 --repl-factor 2"),
        (told(A, B, repl_factor=3), MINE, "kvs view-change --to a:1,b:1 --repl-factor 2"),
        (told(A, repl_factor=2), environment(A, B, repl_factor=2), "kvs view-change --to a:1 --repl-factor 1"),
    ],
)
def test_difference_to_the_environment_names_both_and_the_way(config: Config, view: View, command: str) -> None:
    line = difference_to_environment(config, view)
    assert line is not None and "\n" not in line
    assert line.endswith(f"to get there: {command}")
    assert ",".join(sorted(view.nodes)) in line and ",".join(sorted(config.view)) in line


@pytest.mark.parametrize(
    ("config", "view"),
    [
        (told(B, A), MINE),
        (told(A, B), environment(A, B, repl_factor=2)),
        (told(A, B, repl_factor=1), environment(A, B, repl_factor=1)),
        (told(B), FIRST),
        (told(B, repl_factor=2), MINE),
    ],
)
def test_difference_to_the_environment_none(config: Config, view: View) -> None:
    assert difference_to_environment(config, view) is None
