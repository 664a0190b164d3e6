"""The chart of a run has all labels in full, and leaves out what was not measured."""

from __future__ import annotations

from matplotlib.text import Text

from bench.charts import Chart, svg
from bench.peers.drawing import chart
from bench.peers.histogram import NS_PER_MS, Histogram
from bench.peers.loads import Sample
from bench.peers.report import Results, results
from bench.peers.rounds import DISK, FULL, Lane, Round, at_rate, closed

MACHINE = {"processors": "2", "Python": "3.11.9", "kernel": "6.18", "Redis": "7.0.15", "etcd": "3.4.23", "wrk": "4.1.0"}


def a_run() -> Results:
    """In which etcd did not come to the highest rate."""
    done: Round = {DISK: a_sample(3_000, 1)}
    for scale, name in enumerate(("etcd", "node", "Redis"), start=1):
        for method in ("GET", "PUT"):
            for connections in FULL.connections:
                done[Lane(name, method, closed(connections))] = a_sample(
                    1_000.0 * scale * connections**0.5, connections
                )
            for per_second in FULL.rates[: 2 if name == "etcd" else 3]:
                done[Lane(name, method, at_rate(per_second))] = a_sample(per_second, 4 - scale)
    return results(MACHINE, [done, {**done, DISK: a_sample(3_500, 2)}])


def a_sample(per_second: float, taken_ms: int) -> Sample:
    return Sample(per_second, Histogram([taken_ms * NS_PER_MS] * 10))


def labels(drawn: Chart) -> set[str]:
    """The texts of a chart, which is checked to have room for all that is drawn."""
    drawn.draw_without_rendering()
    box, width, height = drawn.get_tightbbox(), *drawn.get_size_inches()
    assert 0 <= box.x0 <= box.x1 <= width
    assert 0 <= box.y0 <= box.y1 <= height
    return {text.get_text() for text in drawn.findobj(Text)}


def test_chart_names_all_that_was_measured() -> None:
    shown = labels(chart(a_run()))
    assert {"node", "Redis", "etcd", "fdatasync", "one fdatasync after the other"} <= shown
    assert {"1", "32", "128", "512", "1,000", "4,000", "16,000"} <= shown
    assert "answerer" not in shown, "nothing was measured of it"
    assert any("Redis 7.0.15" in label and "2 rounds" in label for label in shown)


def test_chart_of_the_same_results_is_the_same_file() -> None:
    assert svg(chart(a_run())) == svg(chart(a_run()))
