"""`python -m bench.peers`: measure the store beside Redis, etcd and the machine's limits; print tables in Markdown.

A full run on a quiet machine is kept: figures in results.json, the chart in results.svg beside this file, the tables
in docs/performance.md. A quick one shows that the bench works, and one of fewer rounds, or beside others who are at
work, proves little: none of these is kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import msgspec

from bench.figures import machine
from bench.peers.contenders import PROGRAMS, missing_programs, versions
from bench.peers.quiet import BUSY_MAX, processors_taken
from bench.peers.report import Results, in_page, markdown, results
from bench.peers.rounds import FULL, QUICK, Scale, measure
from bench.servers import ROOT

HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "performance.md"
PICTURE = "![Requests a second by connections, and p99.9 by rate](../bench/peers/results.svg)"
KEPT = HERE / "results.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench.peers", description="Measure the store beside Redis, etcd and the limits of the machine."
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test of two minutes; keeps no results")
    parser.add_argument("--rounds", type=_count, default=FULL.rounds, help=f"fewer than {FULL.rounds} are not kept")
    parser.add_argument("--dir", type=Path, default=ROOT / "data", help="where all keep their data: the disk measured")
    parser.add_argument("--redraw", action="store_true", help="measure nothing; lay out what was kept anew")
    options = parser.parse_args()
    if not options.redraw and (missing := missing_programs()):
        packages = " ".join(sorted({PROGRAMS[program] for program in missing}))
        parser.error(f"no {', '.join(missing)} found: apt-get install --no-install-recommends {packages}")
    try:
        if options.redraw:
            _lay_out(msgspec.json.decode(KEPT.read_bytes(), type=Results))
        else:
            _measure(FULL._replace(rounds=options.rounds), options.dir, is_quick=options.quick)
    except (RuntimeError, OSError, ValueError, msgspec.MsgspecError, subprocess.SubprocessError) as error:
        sys.exit(f"{parser.prog}: {_one_line(error)}")
    except KeyboardInterrupt:
        sys.exit(f"{parser.prog}: broken off")


def _measure(scale: Scale, directory: Path, *, is_quick: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    taken = processors_taken()
    about = {**machine(), **versions(), "taken by others before": f"{taken:.2f} processors"}
    run = results(about, list(measure(QUICK if is_quick else scale, directory, _tell)))
    print(markdown(run))
    if taken > BUSY_MAX:
        _tell(f"Not kept: others took {taken:.2f} processors before the first round.")
    elif is_quick or scale.rounds < FULL.rounds:
        _tell("Not kept: that takes a full run.")
    else:
        KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
        _lay_out(run)


def _lay_out(run: Results) -> None:
    from bench.charts import svg  # noqa: PLC0415 (only who draws needs matplotlib)
    from bench.peers.drawing import chart  # noqa: PLC0415

    (HERE / "results.svg").write_text(svg(chart(run)))
    PAGE.write_text(in_page(PAGE.read_text(), f"{PICTURE}\n\n{markdown(run)}"))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _one_line(error: Exception) -> str:
    """Of one that brings the log of a process along: what it is about, and how that ends."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of rounds")
    return int(text)


if __name__ == "__main__":
    main()
