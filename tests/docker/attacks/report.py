"""What came of each attempt, as a table, and what of it is a fault of the store."""

from __future__ import annotations

from typing import NamedTuple

CALM_TIMES_MAX = 3.0
"""By so much may clients be slower beside the intruder, at the 99th percentile."""


class Row(NamedTuple):
    name: str
    expected: str
    seen: str
    beside: str
    """Of clients and nodes meanwhile."""
    is_well: bool


class Report:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.faults: list[str] = []
        self.alone_s: list[float] = []
        """How long each operation of a client took while the intruder did nothing."""
        self.beside_s: list[float] = []
        """While it flooded."""
        self.notes: list[str] = []

    def add(self, name: str, expected: str, seen: str, beside: str, faults: list[str]) -> None:
        self.rows.append(Row(name, expected, seen, beside, not faults))
        self.faults += [f"{name}: {fault}" for fault in faults]
        print(f"{'FAIL' if faults else 'ok  '} {name}: {seen}{f' [{beside}]' if beside else ''}", flush=True)
        for fault in faults:
            print(f"     {fault}", flush=True)

    def judge(self) -> None:
        """Once all is over."""
        if self.alone_s and self.beside_s:
            alone_s, beside_s = p99(self.alone_s), p99(self.beside_s)
            times = beside_s / alone_s
            self.notes.append(
                f"p99 of clients: {1e3 * alone_s:.1f} ms alone ({len(self.alone_s):,} operations), "
                f"{1e3 * beside_s:.1f} ms beside all floods ({len(self.beside_s):,}): {times:.1f} times"
            )
            if times > CALM_TIMES_MAX:
                self.faults.append(f"clients were {times:.1f} times as slow beside the intruder")

    def tell(self) -> None:
        print("\n| attempt | expected | seen | clients and nodes meanwhile | |\n| --- | --- | --- | --- | --- |")
        for row in self.rows:
            cells = (row.name, row.expected, row.seen, row.beside, "" if row.is_well else "**FAIL**")
            print(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        print()
        for note in self.notes:
            print(note)
        print(f"{len(self.rows)} attempts, {len(self.faults)} faults")
        for fault in self.faults:
            print(f"  {fault}")


def p99(latencies_s: list[float]) -> float:
    return sorted(latencies_s)[len(latencies_s) * 99 // 100]
