"""`python -m bench.gossip`: how gossip scales, from 10 to 10,000 nodes, with a tenth of all messages lost.

Prints a table, writes gossip.json and gossip.svg. Shows whether the bounds hold; asserts nothing. Of the store itself
nothing runs: this drives the state machine alone (see `bench.crowd`), through the same story at each size: a while in
which nothing happens, then one node gets a new view, then another dies.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.table import Table

from bench.crowd import Crowd
from bench.figures import machine
from bench.tables import empty_table, show
from gossip.view import ViewId

HERE = Path(__file__).parent
SEEDS = {10: 100, 100: 20, 1_000: 3, 10_000: 1}
"""For each size how many runs, with seeds from 1 on; a run of the largest takes minutes."""
LOSS = 0.1
NODE_ROUNDS = 200_000
"""In which nothing happens, at each size, all its runs taken together: false suspicions are rare."""
WARM_UP_ROUNDS = 8
"""Until the probes of the beginning, whose casts were lost, have ended."""
NEW_VIEW = ViewId(2, 2)


class Run(msgspec.Struct, frozen=True):
    nodes: int
    seed: int
    view_rounds: int
    """From the moment that one node holds a new view until all do."""
    death_rounds: int
    """From a node's death until all others hold it dead, not merely suspect."""
    steady_rounds: int
    """Of the time in which nothing happened, to which the next three apply."""
    bytes_per_node_round: float
    messages_per_node_round: float
    false_suspicions: int
    """Raised against nodes that live."""
    false_deaths: int
    """Nodes declared dead by anybody while they lived, in the whole run."""
    message_bytes_max: int
    """Of the whole run."""
    cpu_s: float


class Results(msgspec.Struct, frozen=True):
    machine: dict[str, str]
    loss: float
    runs: list[Run]


def view_rounds_max(nodes: int) -> float:
    return 3 * math.log2(nodes)


def death_rounds_max(nodes: int) -> float:
    return 6 * math.log2(nodes)


def measure(nodes: int, seed: int, steady_rounds: int) -> Run:
    started_s = time.process_time()
    crowd = Crowd(nodes, seed, LOSS)
    crowd.run(WARM_UP_ROUNDS)
    sent, sent_bytes, suspicions = crowd.sent, crowd.sent_bytes, crowd.slandered(dead=False)
    crowd.run(steady_rounds)
    node_rounds = nodes * steady_rounds
    sent, sent_bytes = crowd.sent - sent, crowd.sent_bytes - sent_bytes
    suspicions = crowd.slandered(dead=False) - suspicions

    first, *_, victim = crowd.addresses
    crowd.adopt(first, NEW_VIEW)
    view_rounds = _rounds_until(lambda: crowd.all_hold(NEW_VIEW), crowd, view_rounds_max(nodes))
    crowd.kill(victim)
    death_rounds = _rounds_until(lambda: crowd.all_hold_dead(victim), crowd, death_rounds_max(nodes))
    return Run(
        nodes,
        seed,
        view_rounds,
        death_rounds,
        steady_rounds,
        bytes_per_node_round=sent_bytes / node_rounds,
        messages_per_node_round=sent / node_rounds,
        false_suspicions=suspicions,
        false_deaths=crowd.slandered(dead=True),
        message_bytes_max=crowd.largest_bytes,
        cpu_s=time.process_time() - started_s,
    )


def _rounds_until(holds: Callable[[], bool], crowd: Crowd, bound: float) -> int:
    """Gives up at ten times the bound."""
    before = crowd.rounds
    while not holds() and crowd.rounds - before < 10 * bound:
        crowd.round()
    return crowd.rounds - before


# What it shows

HEADS = (
    "#nodes",
    "#runs",
    "#new view: mean, worst",
    "#at most",
    "",
    "#death: mean, worst",
    "#at most",
    "",
    "#bytes per node and round",
    "#largest message",
    "#false suspicions",
    "#false deaths",
    "#CPU s per run",
)


def table(runs: Sequence[Run]) -> Table:
    """A row for each size, in Markdown, for the documents; rounds unless it says otherwise."""
    shown = empty_table(*HEADS, style=box.MARKDOWN)
    for nodes in _sizes(runs):
        shown.add_row(*_row(nodes, [run for run in runs if run.nodes == nodes]))
    return shown


def _row(nodes: int, runs: Sequence[Run]) -> tuple[str, ...]:
    views = [run.view_rounds for run in runs]
    deaths = [run.death_rounds for run in runs]
    steady = nodes * sum(run.steady_rounds for run in runs)
    return (
        f"{nodes:,}",
        str(len(runs)),
        f"{statistics.mean(views):.1f}, {max(views)}",
        f"{view_rounds_max(nodes):.1f}",
        _verdict(max(views), view_rounds_max(nodes)),
        f"{statistics.mean(deaths):.1f}, {max(deaths)}",
        f"{death_rounds_max(nodes):.1f}",
        _verdict(max(deaths), death_rounds_max(nodes)),
        f"{statistics.mean(run.bytes_per_node_round for run in runs):,.0f}",
        f"{max(run.message_bytes_max for run in runs):,}",
        f"{1_000 * sum(run.false_suspicions for run in runs) / steady:.3f}",
        str(sum(run.false_deaths for run in runs)),
        f"{statistics.mean(run.cpu_s for run in runs):,.1f}",
    )


def _verdict(worst: int, bound: float) -> str:
    return "met" if worst <= bound else "MISSED"


def _draw(results: Results) -> None:
    from bench.charts import Curve, Point, curves, svg  # noqa: PLC0415 (only who draws needs matplotlib)

    runs, sizes = results.runs, _sizes(results.runs)

    def curve(name: str, colour: str, rounds: Callable[[Run], int], bound: Callable[[int], float]) -> Curve:
        measured = {nodes: [rounds(run) for run in runs if run.nodes == nodes] for nodes in sizes}
        points = [Point(nodes, statistics.mean(each), max(each)) for nodes, each in measured.items()]
        return Curve(name, colour, points, [bound(nodes) for nodes in sizes])

    drawn = curves(
        f"Rounds until all know, with {results.loss:.0%} of messages lost",
        [
            curve("a death", "#c0504d", lambda run: run.death_rounds, death_rounds_max),
            curve("a new view", "#2a7f62", lambda run: run.view_rounds, view_rounds_max),
        ],
    )
    (HERE / "gossip.svg").write_text(svg(drawn))


def _sizes(runs: Sequence[Run]) -> list[int]:
    return sorted({run.nodes for run in runs})


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.gossip", description="Measure how gossip scales.")
    parser.add_argument(
        "--nodes", nargs="+", type=int, choices=[*SEEDS], default=[*SEEDS], help="these sizes alone; writes no results"
    )
    parser.add_argument("--redraw", action="store_true", help="measure nothing; draw gossip.svg from gossip.json")
    options = parser.parse_args()
    if options.redraw:
        _draw(msgspec.json.decode((HERE / "gossip.json").read_bytes(), type=Results))
        return
    runs: list[Run] = []
    for nodes in options.nodes:
        steady_rounds = math.ceil(NODE_ROUNDS / nodes / SEEDS[nodes])
        for seed in range(1, SEEDS[nodes] + 1):
            run = measure(nodes, seed, steady_rounds)
            runs.append(run)
            print(f"{nodes:,} nodes, seed {seed}: {run.cpu_s:,.1f} s of CPU", file=sys.stderr)
    show(table(runs))
    print(f"Rounds; {LOSS:.0%} of messages lost; false suspicions per node and 1,000 rounds in which nothing happens.")
    if options.nodes == [*SEEDS]:
        results = Results(machine(), LOSS, runs)
        (HERE / "gossip.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        _draw(results)


if __name__ == "__main__":
    main()
