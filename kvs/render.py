"""What people see of the store: tables on stdout, bars on stderr and, where there is a terminal, colours.

Owns wording and layout, and decides nothing. What it shows came over a network, so everything is printed as plain text,
never as markup: taken for markup, an address such as [fe80::1]:80 would vanish as a style.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import TypeAlias

import msgspec
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kvs import responses
from kvs.benchmark import Measurement
from kvs.load import Tally
from kvs.load_input import Source
from kvs.manifest import Sum
from kvs.tables import NONE, offset
from kvs.tables import number as _number
from kvs.tables import table as _table
from kvs.wanted import lost_keys

Shown: TypeAlias = Group | Table | Text

WIDTH_OF_A_PIPE = 10_000
"""Columns: whoever reads a table from a pipe wants its lines whole."""
CLOCK_OFF_MS = 60_000
"""A clock that is this far off is worth mentioning."""
WORDS = {"alive": "up", "dead": "down"}
"""For people, who find the same words on the page and in what is told of problems; programs get those of gossip."""
MARKS = {
    "disk-hangs": "disk hangs",
    "disk-full": "disk full",
    "disk-low": "disk nearly full",
    "clock-ahead": "clock refused",
    "view-not-stored": "view not stored",
}
"""What is said of a node in its line, by the code of the problem that it has."""
STYLES = {
    "up": "green",
    "suspect": "yellow",
    "down": "red",
    "silent": "red",
    "moving": "yellow",
    "preparing": "yellow",
    "settled": "green",
    "warning": "yellow",
    "note": "cyan",
}


def console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        made.width = WIDTH_OF_A_PIPE
    return made


@singledispatch
def shown(answer: msgspec.Struct) -> Shown:
    """The table for an answer."""
    raise TypeError(f"no table for {type(answer).__name__}")


@shown.register
def _status(answer: responses.Status) -> Shown:
    table = _table("NODE", "STATE", "SHARD", "#KEYS", "SETTLED")
    clocks = _clocks(answer)
    for node in sorted(answer.nodes, key=_numerically):
        late = node.settled_epoch is not None and node.settled_epoch < answer.epoch
        epoch = NONE if node.settled_epoch is None else f"epoch {node.settled_epoch}"
        settled = Text(epoch, "yellow" if late else "")
        shard = (node.shard_id or "in view") if node.member else "outside"
        table.add_row(
            node.address,
            Text.assemble(_state(node.state), *_marks(node, answer.problems), _clock(clocks.get(node.address, 0))),
            shard,
            _number(node.key_count),
            settled,
        )
    view = Text.assemble(f"epoch {answer.epoch} (", (answer.digest, "dim"), "), ", *_state_of_all(answer))
    copies = "no replication" if answer.repl_factor is None else f"replication factor {answer.repl_factor}"
    head = Text.assemble(view, f", {copies}, as {answer.address} sees it\n", *_crowded(answer.crowded_shards))
    waiting = [node for node in answer.nodes if node.keys_waiting_for_copies]
    kept = [Text(f"{_waiting(answer, waiting)}\n", "yellow")] if waiting else []
    return Group(*_problems(answer.problems), head, *kept, table)


def _problems(problems: Iterable[responses.Problem]) -> Iterator[Text]:
    for problem in problems:
        yield from problem_lines(problem)


def problem_lines(problem: responses.Problem, more: str = "") -> Iterator[Text]:
    """Two lines: what is wrong, and what to do. `more`: to be said of it besides."""
    head = (f"{problem.severity.upper()} ", STYLES.get(problem.severity, "bold red"))
    yield Text.assemble(head, f"{problem.code}: {problem.what}", _lasts(problem), more)
    yield Text(f"  to do: {problem.do}\n")


def _lasts(problem: responses.Problem) -> str:
    seconds = problem.for_seconds
    if seconds is None:
        return ""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f" (for {seconds / size:,.0f} {unit})"
    return f" (for {seconds:.0f} s)"


def _state_of_all(answer: responses.Status) -> Iterator[Text]:
    """The state of the whole: the node that was asked speaks for itself alone. One that was removed, and is there, may
    have to hand over what it has."""
    late = [
        node.address
        for node in sorted(answer.nodes, key=_numerically)
        if (node.member or node.state == "alive") and (node.settled_epoch is None or node.settled_epoch < answer.epoch)
    ]
    state = "moving" if late else answer.state
    yield Text.assemble(_state(state), *([(", not well", "red")] if answer.problems else []))
    if late:
        yield Text(f" (not settled by {', '.join(late)})", "yellow")


def _waiting(answer: responses.Status, waiting: Iterable[responses.NodeStatus]) -> str:
    kept = ", ".join(f"{node.address} {node.keys_waiting_for_copies:,}" for node in waiting)
    total = _counted(answer.keys_waiting_for_copies, "key")
    return f"{total} kept by earlier owners until enough of the present ones have a copy: {kept}"


@shown.register
def _top(answer: responses.Top) -> Shown:
    table = _table("NODE", "STATE", "#KEYS", "#OPS/S", "#P50 MS", "#P99 MS")
    for node in sorted(answer.nodes, key=_numerically):
        rates = (_rate(node.ops_per_second, 0), _rate(node.p50_ms, 2), _rate(node.p99_ms, 2))
        table.add_row(node.address, _state(node.state), _number(node.key_count), *rates)
    wrong = (f"; {_counted(answer.problems, 'problem')}, see kvs status", "red") if answer.problems else ""
    return Group(Text.assemble(f"{_rate(answer.ops_per_second, 0)} requests/s", wrong, "\n"), table)


def _rate(rate: float | None, digits: int) -> str:
    return NONE if rate is None else f"{rate:,.{digits}f}"


@shown.register
def _ring(answer: responses.RingMap) -> Shown:
    table = _table("SHARD", "#PARTITIONS", "#SHARE", "#RANGES", "REPLICAS", "ZONES")
    for shard in answer.shards:
        ranges = sum(shard_id == shard.shard_id for _, _, shard_id in answer.ranges)
        share = f"{shard.partitions / answer.partitions:.1%}"
        replicas = ", ".join(shard.replicas)
        zones = ", ".join(shard.zones)
        table.add_row(shard.shard_id, _number(shard.partitions), share, _number(ranges), replicas, zones)
    shards = _counted(len(answer.shards), "shard")
    head = f"epoch {answer.epoch}, {answer.partitions:,} partitions on {shards}\n"
    return Group(Text.assemble(head, *_crowded(answer.faults)), table)


@shown.register
def _place(answer: responses.Place) -> Shown:
    table = _table("KEY", "#PARTITION", "SHARD", "REPLICAS")
    table.add_row(repr(answer.key), str(answer.partition), answer.shard_id, ", ".join(answer.replicas))
    return table


@shown.register
def _shards(answer: responses.Shards) -> Shown:
    table = _table("SHARD", "#KEYS", "REPLICAS")
    for shard in answer.shards:
        table.add_row(shard.shard_id, _number(shard.key_count), ", ".join(shard.replicas))
    return table


@shown.register
def _changed(answer: responses.Changed) -> Shown:
    plain = any(count.address for count in answer.shards)
    table = _table("NODE", "#KEYS") if plain else _table("SHARD", "#KEYS", "REPLICAS")
    for count in answer.shards:
        cells = (count.address,) if plain else (count.shard_id,)
        table.add_row(*cells, _number(count.key_count), *(() if plain else (", ".join(count.replicas),)))
    return table


@shown.register
def _plan(answer: responses.Plan) -> Shown:
    moves = _table("FROM", "TO", "#PARTITIONS", "#KEYS")
    uncounted = {*(answer.unreachable or ())} & {move.source for move in answer.moves}
    for move in answer.moves:
        count = "unknown" if move.source in uncounted else _number(move.keys)
        moves.add_row(move.source, move.target, _number(move.partitions), count)
    after = _table("SHARD", "#PARTITIONS", "REPLICAS")
    for shard in answer.shards:
        after.add_row(shard.shard_id, _number(shard.partitions), ", ".join(shard.replicas))
    lost = [] if answer.keys_at_risk is msgspec.UNSET else [Text(f"{_at_risk(answer)}\n", "red")]
    if not answer.moves:
        return Group(*lost, Text("Nothing would move. The shards:\n"), after)
    copies = sum(move.partitions for move in answer.moves)
    each = "" if copies == answer.partitions else f", some to more than one node, {copies:,} copies in all"
    keys = _counted(answer.keys, "key")
    if uncounted:
        keys = f"at least {keys}" if answer.keys else lost_keys(None)
        keys += f" (those of {', '.join(sorted(uncounted))}, which cannot be asked, are not counted)"
    head = f"{_counted(answer.partitions, 'partition')} with {keys} would move{each}:\n"
    return Group(*lost, Text(head), moves, Text("\nThe shards after that:\n"), after)


def _at_risk(answer: responses.Plan) -> str:
    nodes = "" if answer.unreachable is msgspec.UNSET else ", ".join(answer.unreachable)
    lost = lost_keys(None if answer.keys_at_risk is msgspec.UNSET else answer.keys_at_risk)
    return f"{lost.capitalize()} would be lost: only {nodes} can have them, and cannot be reached"


@shown.register
def _progress(answer: responses.Progress) -> Shown:
    coordinator = f", coordinated by {answer.coordinator}" if answer.coordinator else ""
    if answer.state == "moving" and answer.silent and not answer.partitions:
        return Text(f"epoch {answer.epoch}: nothing moves; {answer.silent} cannot be asked{coordinator}", "yellow")
    head = Text.assemble(f"epoch {answer.epoch}: ", _state(answer.state), coordinator)
    if answer.state == "settled":
        return head
    table = _table("NODE", "#PARTITIONS TO HAND OVER", "#KEYS")
    for node in sorted(answer.nodes, key=_numerically):
        table.add_row(node.address, _number(node.partitions), _number(node.keys))
    return Group(head, Text(), table)


@shown.register
def _measurement(answer: Measurement) -> Shown:
    table = _table("", "#PER SECOND", "#P50 MS", "#P99 MS", "#P99.9 MS", "#ERRORS")
    for name, each in (("reads", answer.reads), ("writes", answer.writes)):
        times = (NONE if ms is None else f"{ms:,.2f}" for ms in (each.p50_ms, each.p99_ms, each.p999_ms))
        table.add_row(name, f"{each.per_second:,.0f}", *times, _number(each.errors))
    errors = "".join(f"\n{_counted(times, 'time')}: {error}" for error, times in answer.first_errors.items())
    return Group(table, Text(errors, "red")) if errors else table


@contextmanager
def change_bar() -> Iterator[Callable[[responses.Progress], None]]:
    """A bar for a view change. Call the function it yields with how far the change is."""
    what = TextColumn("{task.description}", markup=False)
    with _bar(what, BarColumn(), TextColumn("{task.fields[told]}", markup=False), TimeElapsedColumn()) as bar:
        task = bar.add_task("preparing", total=None, told="")
        most = 0

        def report(answer: responses.Progress) -> None:
            nonlocal most
            most = max(most, answer.keys)
            waits = f", waiting for {answer.silent}" if answer.silent and answer.state != "settled" else ""
            done, to_go = most - answer.keys, _counted(answer.partitions, "partition")
            told = f"{done:,} of {_counted(most, 'key')}, {to_go} to go" if most else ""
            bar.update(task, description=answer.state + waits, total=most or None, completed=done, told=told)

        yield report


@contextmanager
def load_bar(source: Source) -> Iterator[Callable[[Tally], None]]:
    """A bar for a load. Call the function it yields with what became of the entries so far."""
    count = TextColumn("{task.fields[told]}", markup=False)
    with _bar(TextColumn("loading"), BarColumn(), TaskProgressColumn(), count, TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=None, told="")

        def report(tally: Tally) -> None:
            failed = f", {tally.failed:,} failed" if tally.failed else ""
            told = _counted(tally.stored, "key") + failed
            bar.update(task, total=source.size, completed=source.done, told=told)

        yield report


@contextmanager
def backup_bar(keys: int) -> Iterator[Callable[[Sum], None]]:
    """A bar for a backup of about so many keys. Call the function it yields with what was written so far."""
    count = TextColumn("{task.fields[told]}", markup=False)
    with _bar(TextColumn("exporting"), BarColumn(), TaskProgressColumn(), count, TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=keys or None, told="")

        def report(told: Sum) -> None:
            bar.update(task, completed=told.entries, told=_counted(told.entries, "key"))

        yield report


def summary(tally: Tally, seconds: float) -> str:
    stored = "1 entry" if tally.stored == 1 else f"{tally.stored:,} entries"
    lines = [f"Stored {stored} in {seconds:.1f} s ({tally.stored / seconds:,.0f} keys/s)"]
    if tally.expired:
        lines.append(f"Left out, as their time has passed: {tally.expired:,}")
    if tally.failed:
        lines.append(f"Failed: {tally.failed:,}" + (", first:" if tally.failed > len(tally.failures) else ""))
    lines += (f"  {failure.entry}: {failure.error}" for failure in tally.failures)
    if tally.gave_up:
        lines.append("Gave up after too many entries that no node would take; the rest was not tried.")
    return "\n".join(lines)


def _bar(*columns: TextColumn | BarColumn | TaskProgressColumn | TimeElapsedColumn) -> Progress:
    screen = console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def _numerically(node: responses.NodeStatus | responses.Remaining | responses.TopNode) -> list[tuple[int, str]]:
    """Orders addresses by the numbers in them: 10.0.0.6 before 10.0.0.11."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", node.address)]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _crowded(shards: Iterable[responses.CrowdedShard]) -> Iterator[tuple[str, str]]:
    for shard in shards:
        shared = ", ".join(shard.zones)
        yield f"shard {shard.shard_id}: copies share {shared}, and need not; ask for the same nodes again\n", "yellow"


def _marks(node: responses.NodeStatus, problems: Iterable[responses.Problem]) -> Iterator[tuple[str, str]]:
    for problem in problems:
        if problem.code in MARKS and node.address in problem.nodes:
            yield f", {MARKS[problem.code]}", STYLES.get(problem.severity, "red")


def _clocks(answer: responses.Status) -> dict[str, int]:
    """By how many ms each is off those of most nodes that are up, as what is told of problems has it: the node that
    answered may itself be the one that is off. Where half are here and half there: off the clock of that node."""
    told = {node.address: node.clock_offset_ms for node in answer.nodes if node.clock_offset_ms is not None}
    offsets = told | {answer.address: 0}
    up = {node.address for node in answer.nodes if node.state == "alive"}
    ordered = sorted(offset_ms for node, offset_ms in offsets.items() if node in up or node == answer.address)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    if high - low >= CLOCK_OFF_MS:
        low = high = 0
    return {node: min(offset_ms - low, offset_ms - high, key=abs) for node, offset_ms in offsets.items()}


def _clock(off_ms: int) -> Text:
    return Text("" if abs(off_ms) < CLOCK_OFF_MS else f", clock {offset(off_ms)} off", "yellow")


def _state(state: str) -> Text:
    word = WORDS.get(state, state)
    return Text(word, STYLES.get(word, ""))
