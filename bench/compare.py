"""`python -m bench.compare BASE`: is this checkout as fast as another one, or as an earlier revision of itself?

Nodes of both run side by side on this machine, and are asked in alternation by the one load generator of this
checkout: only the product differs. Each round starts nodes anew, so that it does not matter how fast one process
happens to be, with empty data directories that are filled through the API, so that each side writes its own format.
Within a round the two take several turns, and the fastest of each counts: a machine that others share is slow for some
seconds now and then, by a third and more, and never too fast. The ratio is taken within a round; its median and range
over the rounds are shown. Asserts nothing: compare a checkout with itself to see how large a difference is noise.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from bench.lanes import BODY, KEYS, Lane, Sample, any_keys, keys_of, sample, write_once
from bench.scale import FULL, QUICK, Scale
from bench.servers import KEY_COUNT, ROOT, Server, free_addresses, node_env, server, status_of, wait_until
from bench.tables import empty_table, show

ROUNDS = 5
TURNS = 4
"""Of each side on each lane, in one round."""
PATIENCE_S = 30.0


class NoCheckout(ValueError):
    """What was named is neither a directory with a node in it nor a revision."""


class Course(NamedTuple):
    """A running cluster and what it is asked."""

    keys: list[str]
    lanes: list[Lane]


class Pair(NamedTuple):
    """One lane in one round."""

    base: Sample
    new: Sample

    @property
    def rate_ratio(self) -> float:
        return self.new.result.per_second / self.base.result.per_second

    @property
    def cpu_ratio(self) -> float:
        return self.new.cpu_us / self.base.cpu_us


@contextmanager
def speed(root: Path, directory: Path) -> Iterator[Course]:
    """Two nodes that share the keys: asked at the owner, and through the other."""
    addresses = free_addresses(2)
    keys = keys_of(addresses[0], ",".join(addresses))
    with _nodes(root, directory, addresses, {}) as (owner, other):
        _fill(owner, keys, [owner])
        yield Course(
            keys,
            [
                Lane("GET at the owner", owner, None),
                Lane("GET forwarded", other, None),
                Lane("durable PUT at the owner", owner, BODY),
                Lane("durable PUT forwarded", other, BODY),
            ],
        )


@contextmanager
def copies(root: Path, directory: Path) -> Iterator[Course]:
    """Two nodes that both have every key."""
    keys = any_keys(KEYS)
    with _nodes(root, directory, free_addresses(2), {"REPL_FACTOR": "2"}) as (one, other):
        _fill(one, keys, [one, other])
        yield Course(keys, [Lane("GET of two copies", one, None), Lane("durable PUT of two copies", one, BODY)])


COURSES: dict[str, Callable[[Path, Path], AbstractContextManager[Course]]] = {"speed": speed, "copies": copies}


@contextmanager
def _nodes(root: Path, directory: Path, addresses: Sequence[str], env: dict[str, str]) -> Iterator[list[Server]]:
    """A settled cluster of the code at `root`."""
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                server("node", address, {**node_env(",".join(addresses), directory / str(number)), **env}, root=root)
            )
            for number, address in enumerate(addresses)
        ]
        for node in nodes:
            node.serving_after(KEY_COUNT)
        wait_until(lambda: all(status_of(node.address)["state"] == "settled" for node in nodes), PATIENCE_S)
        yield nodes


def _fill(asked: Server, keys: list[str], owners: Sequence[Server]) -> None:
    """Write all keys, each of which every one of `owners` then has."""
    write_once(asked.address, keys, PATIENCE_S)

    def all_have_all() -> bool:
        return all(_key_count(owner) == len(keys) for owner in owners)

    wait_until(all_have_all, PATIENCE_S)


def _key_count(node: Server) -> int:
    own = (each for each in status_of(node.address)["nodes"] if each["address"] == node.address)
    return int(next(own)["key-count"])


def measure(
    roots: tuple[Path, Path], courses: Sequence[str], rounds: int, scale: Scale, directory: Path
) -> dict[str, list[Pair]]:
    """Of each lane, by its name, a pair for each round. `roots`: of the base, and of what is compared with it."""
    pairs: dict[str, list[Pair]] = {}
    for number in range(rounds):
        for name in courses:
            with ExitStack() as stack:
                homes = [stack.enter_context(tempfile.TemporaryDirectory(dir=directory)) for _ in roots]
                base, new = (
                    stack.enter_context(COURSES[name](root, Path(home)))
                    for root, home in zip(roots, homes, strict=True)
                )
                for base_lane, new_lane in zip(base.lanes, new.lanes, strict=True):
                    pair = _measure_pair(
                        (base_lane, base.keys), (new_lane, new.keys), scale, base_first=number % 2 == 0
                    )
                    pairs.setdefault(base_lane.name, []).append(pair)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return pairs


def _measure_pair(base: tuple[Lane, list[str]], new: tuple[Lane, list[str]], scale: Scale, *, base_first: bool) -> Pair:
    """The two take turns at being first, so that neither always inherits what the other leaves the disk busy with."""
    samples: dict[bool, list[Sample]] = {True: [], False: []}
    for turn in range(TURNS):
        first = base_first == (turn % 2 == 0)
        for is_base in (first, not first):
            samples[is_base].append(sample(*(base if is_base else new), scale))
    return Pair(fastest(samples[True]), fastest(samples[False]))


def fastest(samples: Sequence[Sample]) -> Sample:
    return max(samples, key=lambda each: each.result.per_second)


def table(pairs: dict[str, list[Pair]]) -> Table:
    shown = empty_table("", "#base", "#new", "", "#new/base", "#range", "#CPU, new/base", "#range")
    for name, rounds in pairs.items():
        base = statistics.median(pair.base.result.per_second for pair in rounds)
        new = statistics.median(pair.new.result.per_second for pair in rounds)
        rates, cpus = [pair.rate_ratio for pair in rounds], [pair.cpu_ratio for pair in rounds]
        cells = [cell for ratios in (rates, cpus) for cell in (f"{statistics.median(ratios):.3f}", _range(ratios))]
        shown.add_row(name, f"{base:,.0f}", f"{new:,.0f}", "requests/s", *cells)
    return shown


def _range(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.3f} to {max(ratios):.3f}"


@contextmanager
def checkout(base: str, repository: Path) -> Iterator[Path]:
    """The root of what `base` names: a directory as it is, or a revision of `repository`, unpacked while the block
    runs. Raises NoCheckout."""
    if Path(base, "node").is_dir():
        yield Path(base).resolve()
        return
    archive = subprocess.run(
        ["git", "-C", str(repository), "archive", "--format=tar", f"{base}^{{commit}}"],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise NoCheckout(f"{base} is neither a checkout nor a revision: {archive.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory(prefix="bench-base-") as directory:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
            tree.extractall(directory, filter="data")
        yield Path(directory)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.compare", description="Compare this checkout with another one.")
    parser.add_argument("base", help="the root of a checkout, or a revision of this one")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each figure is measured on either side")
    parser.add_argument("--only", nargs="+", choices=[*COURSES], default=[*COURSES])
    parser.add_argument("--quick", action="store_true", help="half a second a figure: a smoke test")
    parser.add_argument("--dir", type=Path, default=ROOT / "data", help="where nodes keep their data")
    options = parser.parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    try:
        with checkout(options.base, ROOT) as base:
            scale = QUICK if options.quick else FULL._replace(warm_up_s=0.3, duration_s=1.0)
            show(table(measure((base, ROOT), options.only, options.rounds, scale, options.dir)))
    except NoCheckout as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
