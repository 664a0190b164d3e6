"""What a run has measured, as it is kept in JSON, and as tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec

from bench.peers.histogram import Histogram
from bench.peers.loads import Sample
from bench.peers.rounds import Lane, Round
from bench.peers.targets import BUSY_MAX, TARGETS, told

BEGIN, END = "<!-- figures of make bench-peers: begin -->\n", "<!-- figures: end -->\n"
LIMIT = "¹"
HEADS = "", "load", "requests/s", "rounds", "p50 ms", "p99 ms", "p99.9 ms", "CPU us", "written", "load's CPU", "late ms"


class Spread(msgspec.Struct, frozen=True):
    """Of the rounds."""

    median: float
    least: float
    most: float


class Row(msgspec.Struct, frozen=True):
    """One lane. Percentiles are of all rounds together; None where who measured has not told."""

    name: str
    what: str
    how: str
    per_second: Spread
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    cpu_us: float
    written_bytes: float
    load_busy: float
    load_late_p99_ms: float
    """That requests were sent after their moment: with connections to spare, the load's own fault."""
    is_open: bool


class Ratio(msgspec.Struct, frozen=True):
    name: str
    measured: Spread
    target: float | None
    at_most: bool
    is_load_the_limit: bool

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        is_met = self.measured.median <= self.target if self.at_most else self.measured.median >= self.target
        return "met" if is_met else "missed"


class Results(msgspec.Struct, frozen=True):
    machine: dict[str, str]
    rounds: int
    ratios: list[Ratio]
    rows: list[Row]


def results(machine: dict[str, str], rounds: Sequence[Round]) -> Results:
    ratios = []
    for target in TARGETS:
        if (found := told(target, rounds)) is not None:
            spread = Spread(found.median, found.least, found.most)
            ratios.append(Ratio(target.name, spread, target.bound, target.at_most, found.is_load_the_limit))
    lanes = dict.fromkeys(lane for done in rounds for lane in done)
    rows = [_row(lane, [done[lane] for done in rounds if lane in done]) for lane in lanes]
    return Results(machine, len(rounds), ratios, rows)


def markdown(run: Results) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in run.machine.items())
    rounds = "One round" if run.rounds == 1 else f"Medians of {run.rounds} rounds, beside the least and the most"
    text = f"{rounds}; {machine}.\n\n"
    text += _table(("", "measured", "rounds", "target", ""), (_ratio_cells(ratio) for ratio in run.ratios))
    if any(ratio.is_load_the_limit for ratio in run.ratios):
        text += f"\n{LIMIT} The load took {BUSY_MAX:.0%} of a processor or more, and may itself be the limit here.\n"
    return f"{text}\n{_table(HEADS, map(_row_cells, run.rows))}"


def in_page(page: str, figures: str) -> str:
    """The page with the figures between its two marks. Raises ValueError if it has no such marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the figures")
    return f"{before}{begin}\n{figures}\n{end}{after}"


def _row(lane: Lane, samples: Sequence[Sample]) -> Row:
    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, samples))

    name, what, how = lane
    taken = Histogram.merged(each.taken for each in samples)
    p50_ms, p99_ms, p999_ms = (taken.percentile_ms(share) if taken.count else None for share in (0.5, 0.99, 0.999))
    return Row(
        name,
        what,
        how,
        spread([each.per_second for each in samples]),
        p50_ms,
        p99_ms,
        p999_ms,
        median(lambda each: each.cpu_us),
        median(lambda each: each.written_bytes),
        median(lambda each: each.busy),
        median(lambda each: each.late_p99_ms),
        lane.is_open,
    )


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def _ratio_cells(ratio: Ratio) -> Sequence[str]:
    measured, bound = ratio.measured, ""
    if ratio.target is not None:
        bound = f"{'<=' if ratio.at_most else '>='} {ratio.target:g}"
    return (
        ratio.name,
        f"{measured.median:.2f}{LIMIT if ratio.is_load_the_limit else ''}",
        f"{measured.least:.2f} to {measured.most:.2f}",
        bound,
        ratio.verdict,
    )


def _row_cells(row: Row) -> Sequence[str]:
    rate = row.per_second
    return (
        f"{row.name} {row.what}",
        row.how,
        f"{rate.median:,.0f}",
        f"{rate.least:,.0f} to {rate.most:,.0f}",
        *("" if each is None else f"{each:.2f}" for each in (row.p50_ms, row.p99_ms, row.p999_ms)),
        f"{row.cpu_us:.0f}" if row.cpu_us else "",
        f"{row.written_bytes:,.0f} B" if row.what == "PUT" else "",
        f"{row.load_busy:.0%}" if row.load_busy else "",
        f"{row.load_late_p99_ms:.2f}" if row.is_open else "",
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
