"""`python -m bench`: measure, print a table, write results.json and results.svg. Shows whether targets are met; asserts
nothing.

A quick run shows that the bench works and leaves the committed results alone: its figures are those of a moment.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.batches import batches
from bench.clients import clients
from bench.figures import Figure, Results, machine, table
from bench.idle import idle
from bench.loading import load
from bench.measures import copies, handover, many_keys, speed
from bench.recovery import catching_up
from bench.scale import FULL, QUICK, Scale
from bench.seeing import seeing
from bench.servers import ROOT, fdatasync_s
from bench.tables import show
from bench.watchers import watchers
from bench.whole_store import export, listing

HERE = Path(__file__).parent

MEASURES: dict[str, Callable[[Scale, Path], Iterator[Figure]]] = {
    "speed": speed,
    "copies": copies,
    "client": clients,
    "batch": batches,
    "many-keys": many_keys,
    "listing": listing,
    "export": export,
    "handover": handover,
    "catching-up": catching_up,
    "watch": watchers,
    "idle": idle,
    "seeing": seeing,
    "load": load,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description="Measure the store beside a bare aiohttp application.")
    parser.add_argument("--quick", action="store_true", help="a smoke test of seconds; writes no results")
    parser.add_argument("--only", nargs="+", choices=[*MEASURES], default=[*MEASURES], help="writes no results")
    parser.add_argument(
        "--dir", type=Path, default=ROOT / "data", help="where nodes keep their data: the disk measured"
    )
    parser.add_argument("--redraw", action="store_true", help="measure nothing; draw results.svg from results.json")
    options = parser.parse_args()
    if options.redraw:
        _draw(msgspec.json.decode((HERE / "results.json").read_bytes(), type=Results))
        return
    options.dir.mkdir(parents=True, exist_ok=True)

    figures = [Figure("fdatasync", 1e3 * fdatasync_s(options.dir), "ms", detail="of 4 KiB, median")]
    for name in options.only:
        with tempfile.TemporaryDirectory(dir=options.dir, prefix="bench-") as directory:
            figures += MEASURES[name](QUICK if options.quick else FULL, Path(directory))
    show(table(figures))
    if not options.quick and options.only == [*MEASURES]:
        results = Results(machine(), figures)
        (HERE / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        _draw(results)


def _draw(results: Results) -> None:
    from bench.charts import bars, svg  # noqa: PLC0415 (only who draws needs matplotlib)

    (HERE / "results.svg").write_text(svg(bars(results)))


if __name__ == "__main__":
    main()
